"""Numbers of the blend: what the model is trained on, and how often."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section

#: What can be trained on: a table, or a subset of one, as table/subset.
SOURCE_NAMES = (
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
    # Of code every language by the table's name, and any language apart, as code.curated/Python.
    "code.curated",
    "code.qa",
)


class Blend(Section):
    """What the model is trained on."""

    sequence_length: int = Field(ge=64, le=1_048_576, description="tokens in one packed sequence")
    sequences_per_shard: int = Field(ge=1, description="packed sequences in one shard, about; packing works per shard")
    held_out_share: float = Field(gt=0, lt=0.5, description="share of contents kept for bits per byte")
    weights: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(
        description="passes over each source; 1.5 takes every text once and half of them twice. Not named: not used. "
        "code.curated/HTML takes one language more or less often than code.curated takes the others"
    )
    encoder: Literal["gigatoken", "tokenizers"] = Field("gigatoken", description="library that turns text into ids")
    sort_memory_mb: int = Field(
        512, ge=128, description="memory for putting documents in order, in MiB; more goes to disk"
    )
    seed: int = Field(ge=0, description="seed of the order of documents and of sequences in a shard")

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: dict[str, float]) -> dict[str, float]:
        from nemotron_assets.code.sources.language import LANGUAGES  # only a recipe that names languages needs them

        for name in weights:
            table, _, language = name.partition("/")
            languages = LANGUAGES if table in ("code.curated", "code.qa") else ()
            if name in SOURCE_NAMES or language in languages:
                continue
            names = [*SOURCE_NAMES, *(f"{table}/{known}" for known in languages)]
            near = difflib.get_close_matches(name, names, 3, 0.6) or SOURCE_NAMES
            raise ValueError(f"{name!r} is no source of the blend; there are {', '.join(near)}")
        return weights
