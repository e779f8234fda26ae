"""Language models that answer requests: vLLM inside this process, or an OpenAI-compatible endpoint.

Both take chat messages with an optional output grammar. Both yield each answer as soon as it is finished, so that the
ledger can write it to disk. `resources/gpu.py` makes the engines. The same code runs vLLM's CPU and CUDA builds.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from resources.generations import Answer, Request
from resources.weights import folder_sha256

# vLLM runs in this process and must not bind its threads to cores, because the process does other work afterwards.
# Grammars come from this project and may take long to compile on a busy machine. No usage statistics are sent.
_VLLM_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1", "VLLM_REGEX_COMPILATION_TIMEOUT_S": "300", "VLLM_LOGGING_LEVEL": "ERROR",
}  # fmt: skip

_FINISHED = ("stop", "length")  # other finish reasons (error, abort) do not give an answer


class EngineError(RuntimeError):
    """A model cannot be loaded or reached, or did not finish an answer. The message says which and why."""


@dataclass(frozen=True)
class EngineSettings:
    """How vLLM runs.

    `kv_cache_bytes` limits its memory on a CPU, `gpu_memory_share` (0 to 1) on CUDA. `threads` is for a CPU.
    """

    device: Literal["cpu", "cuda"]
    dtype: str
    max_model_len: int
    max_num_seqs: int
    kv_cache_bytes: int
    gpu_memory_share: float
    threads: int


class _WithTokenizer:
    """The tokenizer of an engine's model, read from a folder."""

    folder: Path

    @cached_property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer of the model."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, without special tokens."""
        if not texts:
            return []
        return [len(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    def prompt_ids(self, request: Request) -> list[int]:
        """The token ids of a request in the model's chat template, up to where the answer begins."""
        return self.tokenizer.apply_chat_template(request.chat(), add_generation_prompt=True, return_dict=False)


class VllmEngine(_WithTokenizer):
    """vLLM in this process. Requests are added one by one, and each answer is yielded as soon as it is finished."""

    def __init__(self, folder: Path, name: str, settings: EngineSettings) -> None:
        self.folder, self.name, self.settings = folder, name, settings
        self.sha256 = folder_sha256(folder)
        self._llm: Any = None

    @cached_property
    def template_sha256(self) -> str:
        return hashlib.sha256((self.tokenizer.chat_template or "").encode()).hexdigest()

    def run(self, requests: Iterable[tuple[str, Request]]) -> Iterator[tuple[str, Answer]]:
        """Yield (key, answer) for (key, request) pairs, in the order in which answers finish.

        At most `2 * max_num_seqs` requests are in the engine at a time.
        """
        source, started = iter(requests), {}
        with self._threads():
            try:
                while True:
                    for key, request in itertools.islice(source, 2 * self.settings.max_num_seqs - len(started)):
                        self._add(self._start(), key, request)
                        started[key] = time.perf_counter()
                    if not started:
                        return
                    for output in self._step():
                        if output.finished:
                            seconds = time.perf_counter() - started.pop(output.request_id)
                            yield output.request_id, self._answer(output, seconds)
            finally:
                if started and self._llm is not None:
                    self._llm.abort_request(list(started))

    def close(self) -> None:
        """Free the memory of the model."""
        if self._llm is not None:
            import gc

            from vllm.distributed import cleanup_dist_env_and_memory

            self._llm.engine_core.shutdown()
            self._llm = None
            gc.collect()
            cleanup_dist_env_and_memory()

    @contextlib.contextmanager
    def _threads(self) -> Iterator[None]:
        """Use the engine's number of threads inside the context, and restore the process's number after it."""
        import torch

        threads = torch.get_num_threads()
        if self.settings.device == "cpu":
            torch.set_num_threads(self.settings.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def _step(self) -> list[Any]:
        try:
            return self._llm.step()
        except Exception as error:
            self._llm = None  # its state is unknown: the next run starts a new one
            raise EngineError(f"{self.name}: vLLM failed: {type(error).__name__}: {error}") from error

    def _add(self, llm: Any, key: str, request: Request) -> None:
        from vllm import SamplingParams
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        output = request.output_format
        ids, sampling = self.prompt_ids(request), request.sampling
        if len(ids) + sampling.max_tokens > self.settings.max_model_len:
            raise EngineError(
                f"prompt {request.prompt} has {len(ids)} tokens and asks for {sampling.max_tokens}, together more than "
                f"llm.max_model_len = {self.settings.max_model_len}: raise it, or shorten the prompt"
            )
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            top_k=sampling.top_k or 0,
            stop=list(sampling.stop),
            seed=_seed(key),
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(**{output.kind: output.spec}) if output else None,
        )
        llm.add_request(key, tokens_input(ids), parameters)

    def _answer(self, output: Any, seconds: float) -> Answer:
        answer = output.outputs[0]
        if answer.finish_reason not in _FINISHED:
            raise EngineError(f"{self.name} ended request {output.request_id} with {answer.finish_reason!r}")
        tokens = len(output.prompt_token_ids), len(answer.token_ids)
        return Answer(answer.text, *tokens, answer.finish_reason, seconds)

    def _start(self) -> Any:
        if self._llm is None:
            import torch

            os.environ.update(_VLLM_ENVIRONMENT)
            _keep_to_own_modules()
            from vllm import EngineArgs
            from vllm.v1.engine.llm_engine import LLMEngine

            settings, own = self.settings, {}
            set_num_threads, state = torch.set_num_threads, random.getstate()
            if settings.device == "cpu":
                own = {
                    "distributed_executor_backend": "uni",
                    "kv_cache_memory_bytes": settings.kv_cache_bytes,
                    # vLLM 0.32 fails on a CPU if it reads a prompt in chunks and the request has a seed of its own.
                    "enable_chunked_prefill": False,
                    "max_num_batched_tokens": max(settings.max_model_len, settings.max_num_seqs),
                }
            try:
                arguments = EngineArgs(
                    model=str(self.folder),
                    served_model_name=self.name,
                    dtype=settings.dtype,
                    seed=0,
                    max_model_len=settings.max_model_len,
                    max_num_seqs=settings.max_num_seqs,
                    gpu_memory_utilization=settings.gpu_memory_share,
                    enforce_eager=settings.device == "cpu",
                    structured_outputs_config={"backend": "guidance"},
                    disable_log_stats=True,
                    trust_remote_code=False,
                    **own,
                )
                self._llm = LLMEngine.from_engine_args(arguments)
            except (ValueError, RuntimeError, OSError) as error:
                raise EngineError(f"vLLM cannot load {self.name} from {self.folder}: {error}") from error
            finally:
                # vLLM's CPU worker replaces this function with an empty one, and seeds the global generators.
                torch.set_num_threads = set_num_threads
                random.setstate(state)
        return self._llm


class _VllmModules:
    """Replaces `sys` in vLLM's search for its kernels: only the modules of vLLM are found."""

    @property
    def modules(self) -> dict[str, Any]:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "vllm"}


def _keep_to_own_modules() -> None:
    """Let vLLM search only its own modules for GPU kernels.

    vLLM's CPU build (0.32) replaces its GPU kernels wherever they were imported. To find them it inspects every object
    of every loaded module, and some objects of llvmlite (numba) and Flask raise when they are inspected.
    """
    from vllm.triton_utils import dispatcher

    dispatcher.sys = _VllmModules()


class OpenAiEngine(_WithTokenizer):
    """A model behind an OpenAI-compatible endpoint (`vllm serve`, SGLang, NIM). `folder` holds its tokenizer.

    The key comes from the environment variable `api_key_env` and is sent only to `base_url`: redirects are not
    followed. The statuses 408, 409, 429 and 5xx and connection errors are retried, after a wait that doubles each time
    or that the server sets (Retry-After). `timeout_s` and `backoff_s` are in seconds.
    """

    template_sha256 = hashlib.sha256(b"").hexdigest()

    def __init__(
        self,
        folder: Path,
        name: str,
        base_url: str,
        *,
        api_key_env: str | None = None,
        structured_outputs: str = "vllm",
        concurrency: int = 16,
        timeout_s: float = 300,
        retries: int = 5,
        backoff_s: float = 1.0,
    ) -> None:
        self.folder, self.name = folder, name
        self.sha256 = hashlib.sha256(f"openai:{name}".encode()).hexdigest()
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._key_env, self._structured = api_key_env, structured_outputs
        self._concurrency, self._timeout, self._retries, self._backoff = concurrency, timeout_s, retries, backoff_s

    def run(self, requests: Iterable[tuple[str, Request]]) -> Iterator[tuple[str, Answer]]:
        """Yield (key, answer) for (key, request) pairs, with at most `concurrency` requests in flight."""
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        import httpx

        source = iter(requests)
        with (
            httpx.Client(timeout=self._timeout, headers=self._headers(), trust_env=False) as client,
            ThreadPoolExecutor(self._concurrency) as pool,
        ):
            pending, failure = {}, None
            try:
                while True:
                    for key, request in itertools.islice(source, 0 if failure else self._concurrency - len(pending)):
                        pending[pool.submit(self._ask, client, key, request)] = key
                    if not pending:
                        break
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        key = pending.pop(future)
                        # After a failure no new request is sent, but answers in flight are paid for and kept.
                        if error := future.exception():
                            failure = failure or error
                        else:
                            yield key, future.result()
                if failure:
                    raise failure
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Does nothing: an endpoint holds no memory in this process."""

    def _headers(self) -> dict[str, str]:
        if not self._key_env:
            return {}
        key = os.environ.get(self._key_env)
        if not key:
            raise EngineError(
                f"{self._key_env} (llm.api_key_env) is not set: set this environment variable to the endpoint's key"
            )
        return {"Authorization": f"Bearer {key}"}

    def _ask(self, client: Any, key: str, request: Request) -> Answer:
        import httpx

        body, problem = self._body(key, request), ""
        started, pause = time.perf_counter(), self._backoff
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(pause)
                pause = min(2 * pause, 300)
            try:
                response = client.post(self._url, json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == 200:
                return self._parse(response, time.perf_counter() - started)
            problem = f"HTTP {response.status_code}: {response.text[:300]}"
            if response.status_code not in (408, 409, 429) and response.status_code < 500:
                raise EngineError(f"{self._url} refused a request of prompt {request.prompt}: {problem}")
            with contextlib.suppress(KeyError, ValueError):
                pause = min(max(float(response.headers["Retry-After"]), 0), 300)
        raise EngineError(f"{self._url} did not answer after {self._retries + 1} attempts; last: {problem}")

    def _body(self, key: str, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.name,
            "messages": request.chat(),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": _seed(key),
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.top_k is not None:  # vLLM, SGLang and NIM add this field to the protocol
            body["top_k"] = sampling.top_k
        output = request.output_format
        if output is not None and self._structured != "none":
            if output.kind == "json":
                schema = {"name": request.prompt, "strict": True, "schema": json.loads(output.spec)}
                body["response_format"] = {"type": "json_schema", "json_schema": schema}
            elif self._structured == "vllm":
                body["structured_outputs"] = {"regex": output.spec}
            elif self._structured == "sglang":
                body["regex"] = output.spec
            else:
                body["nvext"] = {"guided_regex": output.spec}
        return body

    def _parse(self, response: Any, seconds: float) -> Answer:
        try:
            body = response.json()
            choice, usage = body["choices"][0], body.get("usage") or {}
            text, reason = choice["message"]["content"] or "", choice["finish_reason"]
            if not isinstance(text, str) or reason not in (*_FINISHED, "content_filter"):
                raise ValueError(f"finish_reason {reason!r}, content of type {type(text).__name__}")
            tokens = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise EngineError(f"{self._url} did not answer with a chat completion: {error}") from error
        return Answer(text, *tokens, reason, seconds)


def _seed(key: str) -> int:
    """The seed of a request, from its key: the same request gets the same random numbers in any batch.

    The answer can still differ where bfloat16 sums are rounded differently in a larger or smaller batch.
    """
    return int(key[:8], 16) & 0x7FFFFFFF
