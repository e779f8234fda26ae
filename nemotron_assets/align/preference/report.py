"""Facts about preference pairs and about the rounds of DPO, for the Dagster UI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemotron_assets.plots import markdown
from nemotron_assets.table.markdown import markdown_row
from nemotron_assets.training.preference.columns import REFERENCE

if TYPE_CHECKING:
    import polars as pl


def of_pairs(pairs: pl.LazyFrame, made: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The pairs of every part: how many, from where, and how often the policy was right. `made` has what became of the
    prompts that this run asked."""
    import polars as pl

    rows = pairs.group_by("part", "split").agg(
        pl.len().alias("pairs"),
        (pl.col("chosen_from") == REFERENCE).sum().alias("with reference"),
        (pl.col("right_samples").sum() / pl.col("samples").sum()).round(3).alias("share of right answers"),
        pl.col("margin").mean().round(3).alias("mean margin"),
    )
    found = rows.sort("part", "split").collect()
    lines = [markdown_row(found.columns), f"|{'---|' * found.width}", *map(markdown_row, found.iter_rows())]
    return {
        "pairs": markdown("\n".join(lines)),
        "prompts": "; ".join(f"{part}: {dict(counts)}" for part, counts in made.items()) or "all parts were stored",
    }


def of_rounds(models: Sequence[dict[str, Any]]) -> dg.JsonMetadataValue:
    """The pairs and the held-out pairs of every round, and how its model judges the latter."""
    return dg.MetadataValue.json([json.loads(row["metrics"]) for row in models])
