"""Checks that seeds can be used."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(SEEDS, blocking=True)
def seeds_are_whole(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Ids are unique, a known answer is one of the options, and every set that the recipe names has seeds."""
    import polars as pl

    seeds = lake.read(SEEDS).scan()
    counts = dict(seeds.group_by("seed_set").len().sort("seed_set").collect().iter_rows())
    options = pl.col("choices").list
    foreign = (options.len() > 0) & ~options.contains(pl.col("answer"))
    missing = sorted(set(recipe.sft.seed_sets) - counts.keys())
    counted = seeds.select(doubled=pl.len() - pl.col("id").n_unique(), wrong=foreign.fill_null(True).sum())
    doubled, wrong = counted.collect().row(0)
    return dg.AssetCheckResult(
        passed=not doubled and not wrong and not missing,
        metadata={"seeds": counts, "repeated_ids": doubled, "answer_is_no_option": wrong, "missing_sets": missing},
    )


CHECKS = [seeds_are_whole]
