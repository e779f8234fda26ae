"""Measures vLLM in this process: the seconds that writing tokens takes, and the memory that is set aside for them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.engines import VllmEngine


@dataclass(frozen=True)
class Written:
    """`tokens` tokens were written after each of `prompts` prompts together: `first_s` seconds until the first token of
    the last prompt, `seconds` in all."""

    prompts: int
    tokens: int
    first_s: float
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Tokens of all answers per second, the reading of the prompts included."""
        return self.prompts * self.tokens / self.seconds


def write(engine: VllmEngine, prompts: Sequence[Sequence[int]], tokens: int) -> Written:
    """Let vLLM write exactly `tokens` tokens after each of the prompts (token ids), all together. No answer ends
    earlier. The first call starts vLLM, which is not counted."""
    from vllm import SamplingParams
    from vllm.inputs.engine import tokens_input
    from vllm.sampling_params import RequestOutputKind

    llm = engine._start()
    asked = SamplingParams(
        temperature=0.0,
        max_tokens=tokens,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.CUMULATIVE,
    )
    with engine._threads():
        started = time.perf_counter()
        for number, prompt in enumerate(prompts):
            llm.add_request(f"speed-{number}", tokens_input(list(prompt)), asked)
        waiting, first = {f"speed-{number}" for number in range(len(prompts))}, 0.0
        while llm.has_unfinished_requests():
            for output in engine._step():
                if output.outputs[0].token_ids:
                    waiting.discard(output.request_id)
            if not waiting and not first:
                first = time.perf_counter() - started
        return Written(len(prompts), tokens, first, time.perf_counter() - started)


def cache_bytes(engine: VllmEngine, context: int, sequences: int = 1) -> int:
    """The bytes of its cache that the running vLLM gives to so many sequences of `context` tokens: whole blocks of all
    groups of layers, padding included."""
    from vllm.v1.kv_cache_interface import MambaSpec

    core = engine._start().engine_core.engine_core  # of vLLM in this process
    config = core.scheduler.kv_cache_config
    of_block = max(tensor.size for tensor in config.kv_cache_tensors) // config.num_blocks  # all share one memory
    specs = [group.kv_cache_spec for group in config.kv_cache_groups]
    blocks = sum(1 if isinstance(spec, MambaSpec) else math.ceil(context / spec.block_size) for spec in specs)
    return blocks * of_block * sequences
