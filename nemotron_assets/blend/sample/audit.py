"""Counts faults in the rows of the sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.blend.sample.choosing import available
from nemotron_assets.blend.sample.tables import DATASET_SAMPLE, SUBSETS
from nemotron_assets.recipe.release import DatasetSample

if TYPE_CHECKING:
    from resources.lakehouse import Reader


def faults(rows: pl.LazyFrame, readers: Mapping[str, Reader], recipe: DatasetSample) -> dict[str, int]:
    """{kind of fault: number}: repeated ids, subsets that do not exist or have too many rows, rows that lack a
    published column, and rows that are not in the subset's table or differ from it."""
    kept = rows.collect(engine="streaming")
    found = {
        "repeated_ids": kept.height - kept["id"].n_unique(),
        "unknown_subsets": kept.filter(~pl.col("subset").is_in(list(SUBSETS))).height,
        "too_many_rows": 0,
        "missing_values": 0,
        "not_in_table": 0,
    }
    for subset, source in SUBSETS.items():
        of = kept.filter(pl.col("subset") == subset)
        columns = [name for name in DATASET_SAMPLE.published.columns_of(subset) if name != "id"]
        found["too_many_rows"] += max(0, of.height - recipe.rows[subset])
        found["missing_values"] += of.filter(pl.any_horizontal(pl.col(columns).is_null())).height
        one = (pl.col("parents").list.len() == 1) & (pl.col("sources") == [source.table.full_name])
        parents = of.filter(one).with_columns(id=pl.col("parents").list.first())
        there = available(subset, readers[source.table.full_name])
        there = there.filter(pl.col("id").is_in(parents["id"].to_list())).select("id", *columns).collect()
        same = parents.select("id", *columns).join(there, on=["id", *columns], how="inner", nulls_equal=True)
        found["not_in_table"] += of.height - same.height
    return found
