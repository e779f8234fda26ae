"""Numbers of the measurement of speed: lengths and sizes of the batches that engines run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nemotron_assets.recipe.section import Section

_Tokens = Annotated[int, Field(ge=2, le=1_048_576)]


class Throughput(Section):
    """Speed of a model beside a plain Transformer of its size in the same engine (published: Qwen3-8B on an A10G, at
    1k tokens in and 8k out, and 8k in and 16k out)."""

    lengths: tuple[tuple[_Tokens, _Tokens], ...] = Field(
        min_length=1, description="tokens of a prompt and tokens that are written, as [8192, 16384]"
    )
    batches: tuple[Annotated[int, Field(ge=1, le=4_096)], ...] = Field(
        min_length=1, description="requests that run together; a batch that does not fit the cache is left out"
    )
    runs: int = Field(ge=2, le=100, description="measurements of every batch; their spread is stored")
    warm_up: int = Field(16, ge=2, description="tokens of the batch before the first measurement (default)")

    @property
    def context(self) -> int:
        """Tokens of the longest prompt and what is written to it."""
        return max(map(sum, self.lengths))
