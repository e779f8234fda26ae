"""Measures how fast vLLM runs a model: the time in which it reads prompts, and the time in which it writes tokens; and
the memory that it sets aside for them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resources.engines import EngineError, VllmEngine, engine_arguments


@dataclass(frozen=True)
class Timing:
    """One batch. `prefill_s`: until every request had its first token; `decode_s`: from then to the end, in which
    `decoded` tokens were written; `written` tokens in all. `together`: no request had to wait until another one
    ended. `prefill_cpu_s` and `decode_cpu_s` are the CPU seconds of this process in both times."""

    prompt_tokens: int
    prefill_s: float
    decode_s: float
    decoded: int
    together: bool
    written: int = 0
    prefill_cpu_s: float = 0.0
    decode_cpu_s: float = 0.0

    @property
    def prefill_rate(self) -> float:
        """Tokens of prompts per second."""
        return self.prompt_tokens / self.prefill_s

    @property
    def decode_rate(self) -> float:
        """Tokens written per second, of all requests together."""
        return self.decoded / self.decode_s

    @property
    def written_rate(self) -> float:
        """Tokens written per second, of all requests together, the reading of the prompts included."""
        return self.written / (self.prefill_s + self.decode_s)


class TimedEngine(VllmEngine):
    """vLLM with the configuration of a model and random weights: speed does not depend on them. The folder needs the
    file config.json and no other one. Prompts are never found again in a cache. Without `random_weights`, the weights
    of the folder are loaded."""

    random_weights = True

    def arguments(self) -> Any:
        from vllm import EngineArgs

        own = engine_arguments(self.folder, self.settings) | {"enable_prefix_caching": False}
        return EngineArgs(load_format="dummy" if self.random_weights else "auto", skip_tokenizer_init=True, **own)

    def cache_bytes(self, context: int, sequences: int) -> int:
        """The bytes of its cache that the running vLLM gives to so many sequences of `context` tokens: whole blocks of
        all groups of layers, padding included."""
        from vllm.v1.kv_cache_interface import MambaSpec

        config = self._start().engine_core.engine_core.scheduler.kv_cache_config  # of vLLM in this process
        of_block = max(tensor.size for tensor in config.kv_cache_tensors) // config.num_blocks  # all share one memory
        specs = [group.kv_cache_spec for group in config.kv_cache_groups]
        blocks = sum(1 if isinstance(spec, MambaSpec) else math.ceil(context / spec.block_size) for spec in specs)
        return blocks * of_block * sequences

    def time(self, prompts: Sequence[Sequence[int]], output_tokens: int) -> Timing:
        """Run one batch: all prompts (token ids) at once, `output_tokens` tokens (at least 2) for each. A model with
        random weights ends no answer by itself."""
        from vllm import SamplingParams
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind

        if output_tokens < 2:
            raise EngineError(f"{output_tokens} output tokens have no time between the first and the last: ask for 2")
        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=output_tokens,
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.CUMULATIVE,
        )
        with self._threads():
            llm, counts = self._start(), {str(number): 0 for number in range(len(prompts))}
            started, first, at_first, together, open_ = _clocks(), None, 0, True, set(counts)
            for name, ids in zip(counts, prompts, strict=True):
                llm.add_request(name, tokens_input(list(ids)), sampling)
            while open_:
                for output in self._step():
                    counts[output.request_id] = len(output.outputs[0].token_ids)
                    if output.finished:
                        open_.discard(output.request_id)
                if first is None and all(counts.values()):
                    first, at_first = _clocks(), sum(counts.values())
                    together = len(open_) == len(prompts)
            ended = _clocks()
        tokens, written = sum(map(len, prompts)), sum(counts.values())
        (reading, reading_cpu), (writing, writing_cpu) = _between(started, first), _between(first, ended)
        decoded = written - at_first
        return Timing(tokens, reading, max(writing, 1e-9), decoded, together, written, reading_cpu, writing_cpu)


def _clocks() -> tuple[float, float]:
    """The time by the clock, and the CPU time of this process with all its threads."""
    return time.perf_counter(), time.process_time()


def _between(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    return end[0] - start[0], end[1] - start[1]
