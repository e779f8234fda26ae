"""Numbers of the blend: what the model is trained on, and how often."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section

#: What can be trained on: a table, or the subset of one, as table/subset.
SourceName = Literal[
    "web.nemotron_cc_v2/High-Quality",
    "web.nemotron_cc_v2/Medium-High-Quality",
    "web.nemotron_cc_v2/Medium-Quality",
    "web.nemotron_cc_v2/High-Quality-Synthetic",
    "web.nemotron_cc_v2/Diverse-QA",
    "web.nemotron_cc_v2/Translated-Diverse-QA",
    "web.multilingual",
    "math.nemotron_cc_math/3",
    "math.nemotron_cc_math/4plus",
    "math.mind",
]


class Blend(Section):
    """What the model is trained on."""

    sequence_length: int = Field(ge=64, le=1_048_576, description="tokens in one packed sequence")
    sequences_per_shard: int = Field(ge=1, description="packed sequences in one shard, about; packing works per shard")
    held_out_share: float = Field(gt=0, lt=0.5, description="share of contents kept for bits per byte")
    weights: dict[SourceName, Annotated[float, Field(ge=0, le=100)]] = Field(
        description="passes over each source; 1.5 takes every text once and half of them twice. Not named: not used"
    )
    encoder: Literal["gigatoken", "tokenizers"] = Field("gigatoken", description="library that turns text into ids")
    sort_memory_mb: int = Field(512, ge=128, description="memory for putting documents in order; more goes to disk")
    seed: int = Field(ge=0, description="seed of the order of documents and of sequences in a shard")
