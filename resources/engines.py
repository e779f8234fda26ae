"""Language models that answer requests: vLLM inside this process, or an OpenAI-compatible endpoint.

Both take chat messages with an optional output grammar. Both yield each answer as soon as it is finished, so that the
ledger can write it to disk. `resources/gpu.py` makes the engines. The same code runs vLLM's CPU and CUDA builds.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from resources.endpoint import EngineError, Reply
from resources.endpoints import Endpoints, EndpointSettings, Patience
from resources.generations import Answer, Request, Sampling
from resources.weights import folder_sha256

# vLLM runs in this process and must not bind its threads to cores, because the process does other work afterwards.
# Grammars come from this project and may take long to compile on a busy machine. No usage statistics are sent.
VLLM_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1", "VLLM_REGEX_COMPILATION_TIMEOUT_S": "300", "VLLM_LOGGING_LEVEL": "ERROR",
}  # fmt: skip

__all__ = ["EngineError", "EngineSettings", "OpenAiEngine", "VllmEngine"]

logger = logging.getLogger(__name__)

_FINISHED = ("stop", "length")  # other finish reasons (error, abort) do not give an answer


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


def engine_arguments(folder: Path, settings: EngineSettings) -> dict[str, Any]:
    """vLLM's arguments for the model in `folder`, whether vLLM runs in this process or as a server."""
    own: dict[str, Any] = {}
    if settings.device == "cpu":
        own = {
            "distributed_executor_backend": "uni",
            "kv_cache_memory_bytes": settings.kv_cache_bytes,
            # vLLM 0.32 fails on a CPU if it reads a prompt in chunks and the request has a seed of its own.
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(settings.max_model_len, settings.max_num_seqs),
        }
    if json.loads((folder / "config.json").read_text("utf-8")).get("model_type") == "nemotron_h":
        # vLLM 0.32 finds no prefix of this model again, and on a CPU it does not start, or fails, with the cache.
        own["enable_prefix_caching"] = False
        own["mamba_ssm_cache_dtype"] = "float32"  # as published: the state is a long sum
    return own | {
        "model": str(folder),
        "dtype": settings.dtype,
        "seed": 0,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "gpu_memory_utilization": settings.gpu_memory_share,
        "enforce_eager": settings.device == "cpu",
        "disable_log_stats": True,
        "trust_remote_code": False,
    }


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
        if request.prompt_ids is not None:
            return list(request.prompt_ids)
        return self.tokenizer.apply_chat_template(request.chat(), add_generation_prompt=True, return_dict=False)


class VllmEngine(_WithTokenizer):
    """vLLM in this process. Requests are added one by one, and each answer is yielded as soon as it is finished.

    A request with `prompt_ids` is a rollout: its answer has the tokens and their log-probabilities. Before the first
    one, whoever asks for rollouts sets `ends`, the token ids that end a rollout beside those that the model's
    configuration names, and for thinking budgets `processors`, the logits processors of vLLM, and `forced_of`, which
    says which tokens of an answer were forced.
    """

    kind = "vllm"
    ends: tuple[int, ...] = ()
    processors: tuple[str, ...] = ()
    forced_of: Callable[[Request, list[int]], list[bool]] = staticmethod(lambda request, tokens: [False] * len(tokens))

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
                        started[key] = time.perf_counter(), request
                    if not started:
                        return
                    for output in self._step():
                        if output.finished:
                            at, request = started.pop(output.request_id)
                            yield output.request_id, self._answer(output, request, time.perf_counter() - at)
            finally:
                if started and self._llm is not None:
                    self._llm.abort_request(list(started))

    @property
    def started(self) -> bool:
        """Whether vLLM runs, so that `processors` can no longer change."""
        return self._llm is not None

    def reload(self, folder: Path) -> None:
        """Go on with the weights of another folder, which must have the shape of these."""
        self.folder, self.sha256 = folder, folder_sha256(folder)
        if self._llm is not None:
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})

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
        ids, sampling, is_rollout = self.prompt_ids(request), request.sampling, request.prompt_ids is not None
        if sampling.sampler not in (None, self.kind):
            raise EngineError(f"request {request.prompt} is for the engine {sampling.sampler}, not for {self.kind}")
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
            stop_token_ids=list(self.ends) if is_rollout else None,
            logprobs=0 if is_rollout else None,  # of the sampled token alone
            seed=_seed(key),
            extra_args=_budget(sampling, self.processors),
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(**{output.kind: output.spec}) if output else None,
        )
        llm.add_request(key, tokens_input(ids), parameters)

    def _answer(self, output: Any, request: Request, seconds: float) -> Answer:
        answer = output.outputs[0]
        if answer.finish_reason not in _FINISHED:
            raise EngineError(f"{self.name} ended request {output.request_id} with {answer.finish_reason!r}")
        tokens = len(output.prompt_token_ids), len(answer.token_ids)
        if request.prompt_ids is None:
            return Answer(answer.text, *tokens, answer.finish_reason, seconds)
        ids = list(answer.token_ids)
        logprobs = [found[token].logprob for token, found in zip(ids, answer.logprobs, strict=True)]
        said = ids[:-1] if answer.finish_reason == "stop" else ids
        text = self.tokenizer.decode(said, skip_special_tokens=False)
        return Answer(text, *tokens, answer.finish_reason, seconds, ids, logprobs, self.forced_of(request, ids))

    def arguments(self) -> Any:
        """What vLLM is started with."""
        from vllm import EngineArgs

        return EngineArgs(
            served_model_name=self.name,
            structured_outputs_config={"backend": "guidance"},
            logits_processors=list(self.processors) or None,
            logprobs_mode="processed_logprobs",  # of the distribution that is sampled from
            **engine_arguments(self.folder, self.settings),
        )

    def _start(self) -> Any:
        if self._llm is None:
            import torch

            os.environ.update(VLLM_ENVIRONMENT)
            keep_to_own_modules()
            from vllm.v1.engine.llm_engine import LLMEngine

            set_num_threads, state = torch.set_num_threads, random.getstate()
            try:
                self._llm = LLMEngine.from_engine_args(self.arguments())
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


def keep_to_own_modules() -> None:
    """Let vLLM search only its own modules for GPU kernels.

    vLLM's CPU build (0.32) replaces its GPU kernels wherever they were imported. To find them it inspects every object
    of every loaded module, and some objects of llvmlite (numba) and Flask raise when they are inspected.
    """
    from vllm.triton_utils import dispatcher

    dispatcher.sys = _VllmModules()


class OpenAiEngine(_WithTokenizer):
    """A model behind OpenAI-compatible endpoints (`vllm serve`, SGLang, NIM). `folder` holds its tokenizer.

    resources/endpoints.py explains how requests are spread and asked again, resources/endpoint.py the key and the
    limits.
    """

    template_sha256 = hashlib.sha256(b"").hexdigest()

    def __init__(
        self,
        folder: Path,
        name: str,
        endpoints: Sequence[EndpointSettings],
        patience: Patience,
        log: Callable[[str], None] = logger.warning,
    ) -> None:
        self.folder, self.name = folder, name
        self.sha256 = hashlib.sha256(f"openai:{name}".encode()).hexdigest()
        self._endpoints = Endpoints(endpoints, patience, _body, log)

    def run(self, requests: Iterable[tuple[str, Request]]) -> Iterator[tuple[str, Answer]]:
        """Yield (key, answer) for (key, request) pairs, in the order in which answers finish."""
        for made in self._endpoints.ask(requests):
            yield made.key, self._answer(made.request, made.reply, made.seconds, made.endpoint)

    def close(self) -> None:
        """Does nothing: an endpoint holds no memory in this process."""

    def _answer(self, request: Request, reply: Reply, seconds: float, endpoint: str) -> Answer:
        """The answer in a reply. Tokens that the endpoint did not count are counted with the local tokenizer."""
        prompt, output = reply.prompt_tokens, reply.output_tokens
        if prompt is None or output is None:
            try:
                prompt = len(self.prompt_ids(request)) if prompt is None else prompt
                output = self.count_tokens([reply.text])[0] if output is None else output
            except (OSError, ValueError) as error:
                logger.warning("%s did not count tokens, and its tokenizer cannot be loaded: %s", self.name, error)
        return Answer(reply.text, prompt or 0, output or 0, reply.finish_reason, seconds, endpoint=endpoint)


def _body(endpoint: EndpointSettings, key: str, request: Request) -> dict[str, Any]:
    """What an endpoint is sent for a request."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": endpoint.model,
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
    if output is not None and endpoint.structured_outputs != "none":
        if output.kind == "json":
            schema = {"name": request.prompt, "strict": True, "schema": json.loads(output.spec)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif endpoint.structured_outputs == "vllm":
            body["structured_outputs"] = {"regex": output.spec}
        elif endpoint.structured_outputs == "sglang":
            body["regex"] = output.spec
        else:
            body["nvext"] = {"guided_regex": output.spec}
    return body


def _budget(sampling: Sampling, processors: tuple[str, ...]) -> dict[str, int] | None:
    """The thinking budget of a request, for the processor of vLLM (nemotron_assets/chat/budget). Without a limit the
    whole answer may be a thought, but for the room that is kept."""
    if sampling.budget is None:
        return None
    if not processors:
        raise EngineError("the request has a thinking budget, but vLLM was started without a processor for it")
    tokens, grace, room = sampling.budget
    limit = sampling.max_tokens if tokens is None else tokens
    return {"thinking_budget": limit, "thinking_grace": grace, "answer_room": room}


def _seed(key: str) -> int:
    """The seed of a request, from its key: the same request gets the same random numbers in any batch.

    The answer can still differ where bfloat16 sums are rounded differently in a larger or smaller batch.
    """
    return int(key[:8], 16) & 0x7FFFFFFF
