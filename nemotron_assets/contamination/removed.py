"""Which rows of SFT data are left out of every training: those in which a benchmark item was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.recipe.categories import CONTAMINATED
from resources.lakehouse import QUARANTINE

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader


def removed_rows(contaminated: Reader | None, lake: Lakehouse) -> dict[str, set[str]]:
    """{table of SFT data: ids of its rows that have a benchmark item, or could not be searched for one}. `contaminated`
    reads sft.contaminated; without it nothing is removed."""
    found: dict[str, set[str]] = {}  # a small share of the rows, which a check limits
    if contaminated is None:
        return found
    in_vain = lake.read(QUARANTINE).scan().filter(pl.col("stage") == CONTAMINATED)
    for source, row in in_vain.select("part", "row_id").collect().iter_rows():
        found.setdefault(source, set()).add(row)
    for batch in contaminated.batches(["source", "removed", "parents"]):
        for source, parents in (
            pl.DataFrame(pl.from_arrow(batch)).filter("removed").select("source", "parents").iter_rows()
        ):
            found.setdefault(source, set()).update(parents)
    return found
