"""Which rows of the SFT tables are published and trained on, and how benchmark items are found in them."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from nemotron_assets.recipe.contamination import Overlap
from nemotron_assets.recipe.section import Section

#: How the answer of a row was verified, from the strongest to the weakest.
Status = Literal["verified", "majority", "judged", "unverified", "failed"]
STATUSES = get_args(Status)
#: The splits of a benchmark. Models are scored with `test`; `dev` holds the worked examples of a prompt.
Split = Literal["test", "validation", "dev", "train"]


class SftContamination(Overlap):
    """How benchmark items are found in rows of SFT data. Only common words count."""

    min_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="a row has an item if it has at least this share of the item's n-grams; 0: a single n-gram is "
        "enough (default)",
    )
    max_items: int = Field(
        10,
        ge=1,
        description="n-grams that more than this many items have do not count, because they are instructions such as "
        "'Choose the correct option' and not part of a problem (default)",
    )
    removed_splits: tuple[Split, ...] = Field(
        ("test", "validation", "dev"),
        description="splits of the benchmarks whose items may not be in the data; rows with items of other splits are "
        "reported, but kept. Train splits are seeds of the published SFT data (Nano 2 §2.2.2)",
    )
    batch_rows: int = Field(256, ge=1, le=65_536, description="rows that are searched together (default)")


class SftRelease(Section):
    """Which rows of the SFT tables are published and trained on. Rows whose answer failed never are."""

    unverified: list[str] = Field(
        default_factory=list,
        description="tables whose rows without a verified answer are used too, for example sft.general_sft: nothing "
        "can verify an answer to an open question. Rows of other tables need a verified, majority or judged answer, "
        "and so do those of sft.longdoc_qa and sft.procedural, which are trained on without being published",
    )
    contamination: SftContamination = SftContamination()
    recounted_rows: int | None = Field(
        100_000,
        ge=1,
        description="published rows, those with the lowest ids, in which a check counts the items' n-grams once more "
        "and in another way; null: all rows (default)",
    )
