"""Numbers of the blend: what the model is trained on, and how often."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from nemotron_assets.recipe.code.languages import LANGUAGES
from nemotron_assets.recipe.release import SubsetName
from nemotron_assets.recipe.section import Section


@dataclass(frozen=True)
class Layout:
    """A table that the model can be trained on, and which of its columns say what.

    `subset` is the column whose values the recipe may weigh apart, `subsets` are these values; `origin` has the content
    hash of the document or file that a row is, or was written from; `snapshot` is None for what belongs to no snapshot.
    """

    origin: str = "content_hash"
    subset: str | None = None
    subsets: Collection[str] = ()
    text: str = "text"
    snapshot: str | None = "snapshot"


#: Every table that the model can be trained on, by full name. A new one is one more entry here and its weight below.
SOURCES: dict[str, Layout] = {
    "web.nemotron_cc_v2": Layout("origin_hash", "subset", get_args(SubsetName)),
    "web.multilingual": Layout(),
    "math.nemotron_cc_math": Layout("origin_hash", "category", ("3", "4plus")),
    "math.mind": Layout("origin_hash"),
    "code.curated": Layout(subset="language", subsets=LANGUAGES, text="content", snapshot=None),
    "code.qa": Layout("origin_hash", "language", LANGUAGES, snapshot=None),
}

#: Tables whose subsets have no weight of the whole table beside them.
_BY_SUBSET_ONLY = ("web.nemotron_cc_v2", "math.nemotron_cc_math")


def source_names() -> list[str]:
    """Every name that `blend.weights` may have: a table, or one of its subsets as table/subset."""
    tables = [name for name in SOURCES if name not in _BY_SUBSET_ONLY]
    return [*tables, *(f"{name}/{subset}" for name, source in SOURCES.items() for subset in sorted(source.subsets))]


def _named_like(name: str, known: list[str]) -> list[str]:
    """The names to suggest instead of `name`: all tables, and the subsets of the table that it names."""
    table = name.partition("/")[0]
    return [other for other in known if "/" not in other or other.startswith((f"{table}/", *_BY_SUBSET_ONLY))]


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
        known = source_names()
        for name in weights:
            if name not in known:
                known = _named_like(name, known)
                near = difflib.get_close_matches(name, known, 3, 0.6) or known[:12]
                raise ValueError(f"{name!r} is not a source of the blend; there are {', '.join(near)}")
        return weights
