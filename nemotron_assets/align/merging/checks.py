"""Checks of the merge: it is not worse than the worse of its two models, and its weights are what they should be."""

import dagster as dg

from nemotron_assets.align.merging.tables import ALIGNED, MERGE_SCORES
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.training.checks import loads_with_transformers
from resources.lakehouse import Lakehouse


@table_check(MERGE_SCORES)
def not_worse_than_the_worse_model(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """On every suite, the 95% interval of the difference between the merge that is used and the worse of its two models
    does not lie wholly below zero. The difference is over the same prompts."""
    import polars as pl

    rows = lake.read(MERGE_SCORES).scan().filter(pl.col("is_used")).collect()
    worse = rows.filter(pl.col("high") < 0)
    shown = {
        row["suite"]: f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})" for row in rows.to_dicts()
    }
    return dg.AssetCheckResult(
        passed=bool(rows.height) and worse.is_empty(), severity=dg.AssetCheckSeverity.WARN, metadata=shown
    )


@table_check(MERGE_SCORES)
def every_share_is_scored_alike(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every share of the recipe and both models have a score from 0 to 1 on every suite, over the same prompts, and one
    share is used."""
    import polars as pl

    rows = lake.read(MERGE_SCORES).scan().collect()
    by_suite = rows.group_by("suite").agg(pl.col("alpha").sort(), pl.col("item_ids").n_unique().alias("sets"))
    wanted = [0.0, *recipe.align.merging.alphas, 1.0]
    whole = all(row["alpha"] == wanted and row["sets"] == 1 for row in by_suite.to_dicts())
    used = rows.filter("is_used")["alpha"].unique().to_list()
    possible = bool(rows["score"].is_between(0, 1).all())
    return dg.AssetCheckResult(
        passed=bool(rows.height) and whole and possible and len(used) == 1,
        metadata={"suites": by_suite.height, "used": str(used), "unscored": int(rows["unscored"].sum())},
    )


CHECKS = [not_worse_than_the_worse_model, every_share_is_scored_alike, loads_with_transformers(ALIGNED)]
