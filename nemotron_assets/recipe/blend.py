"""Numbers of the blend: which tables the model is trained on, and how often."""

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
    """The columns of a table that the model can be trained on.

    `origin` is the column with the content hash of the document or file that a row is, or was written from: it decides
    which rows are held out. `subset` is the column whose values may have a weight of their own, `subsets` are these
    values. `text` is the column that is trained on, `snapshot` that of the snapshot (None if the table has none).
    """

    origin: str = "content_hash"
    subset: str | None = None
    subsets: Collection[str] = ()
    text: str = "text"
    snapshot: str | None = "snapshot"


#: Every table that the model can be trained on, by full name. A new table needs an entry here and a weight in a recipe.
SOURCES: dict[str, Layout] = {
    "web.nemotron_cc_v2": Layout("origin_hash", "subset", get_args(SubsetName)),
    "web.multilingual": Layout(),
    "math.nemotron_cc_math": Layout("origin_hash", "category", ("3", "4plus")),
    "math.mind": Layout("origin_hash"),
    "code.curated": Layout(subset="language", subsets=LANGUAGES, text="content", snapshot=None),
    "code.qa": Layout("origin_hash", "language", LANGUAGES, snapshot=None),
}

#: Tables that have weights for their subsets only, and none for the table as a whole.
_BY_SUBSET_ONLY = ("web.nemotron_cc_v2", "math.nemotron_cc_math")


def source_names() -> list[str]:
    """Every name that `blend.weights` may have: a table, or one of its subsets as table/subset."""
    tables = [name for name in SOURCES if name not in _BY_SUBSET_ONLY]
    return [*tables, *(f"{name}/{subset}" for name, source in SOURCES.items() for subset in sorted(source.subsets))]


class Blend(Section):
    """What the model is trained on, how often, and how it is packed (weights: see the recipe files)."""

    sequence_length: int = Field(ge=64, le=1_048_576, description="tokens in one packed sequence")
    sequences_per_shard: int = Field(
        ge=1,
        description="packed sequences in one shard, roughly; documents are packed shard by shard, so that larger "
        "shards leave less padding and need more memory",
    )
    held_out_share: float = Field(
        gt=0,
        lt=0.5,
        description="share of the documents that are never trained on, but kept to measure bits per byte; chosen by "
        "content hash, so that equal texts stay together",
    )
    weights: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(
        description="passes over each source: 1.5 takes every text once and half of them a second time. A source that "
        "is not named is not used. A name is a table, or a subset as table/subset: code.curated/HTML says how often "
        "one language is taken, code.curated how often all others are"
    )
    encoder: Literal["gigatoken", "tokenizers"] = Field(
        "gigatoken", description="library that turns text into token ids; both give the same ids (default)"
    )
    sort_memory_mb: int = Field(
        512,
        ge=128,
        description="memory for sorting the documents, in MiB; what does not fit goes to temporary files (default)",
    )
    seed: int = Field(ge=0, description="seed of the order of documents, and of the sequences in a shard")

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: dict[str, float]) -> dict[str, float]:
        known = source_names()
        for name in weights:
            if name not in known:
                of_its_form = [other for other in known if ("/" in other) == ("/" in name)]
                near = difflib.get_close_matches(name, of_its_form, 3, 0.5) or known[:12]
                raise ValueError(f"{name!r} is not a source of the blend; sources are, for example: {', '.join(near)}")
        return weights
