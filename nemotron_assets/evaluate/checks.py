"""Checks of the evaluation: items that can be scored, and scores that can be true."""

import dagster as dg

from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BENCHMARKS
from nemotron_assets.recipe import Recipe
from resources.lakehouse import Lakehouse


@dg.asset_check(asset=BENCHMARKS.asset_key, blocking=True)
def items_can_be_scored(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """No item stands twice, and the sets that are scored have more items than worked examples."""
    import polars as pl

    items = lake.read(BENCHMARKS).scan()
    counts = dict(items.group_by("benchmark").len().sort("benchmark").collect().iter_rows())
    doubled = items.group_by("benchmark", "content_hash").len().filter(pl.col("len") > 1).collect().height
    shots = {"arc_challenge": recipe.evaluate.arc_shots, "gsm8k": recipe.evaluate.gsm8k_shots}
    short = [name for name, count in shots.items() if counts.get(name, 0) <= count]
    return dg.AssetCheckResult(
        passed=not doubled and not short, metadata={"items": counts, "doubled": doubled, "too_few_items": short}
    )


@dg.asset_check(asset=BENCHMARK_SCORES.asset_key)
def scores_are_possible(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shares lie within 0 and 1, bits per byte are positive and finite, every score has samples."""
    import polars as pl

    share = pl.col("value").is_between(0, 1)
    bits = pl.col("value").is_finite() & (pl.col("value") > 0)
    possible = pl.when(pl.col("metric") == "bits_per_byte").then(bits).otherwise(share) & (pl.col("samples") > 0)
    wrong = lake.read(BENCHMARK_SCORES).scan().filter(~possible).select("model_version", "task", "metric").collect()
    return dg.AssetCheckResult(passed=wrong.is_empty(), metadata={"impossible": str(wrong.rows())})


@dg.asset_check(asset=BENCHMARK_SCORES.asset_key)
def better_than_guessing(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The newest model needs fewer bits per byte than one that finds every token equally likely: it has learned."""
    import polars as pl

    bits = (pl.col("metric") == "bits_per_byte") & (pl.col("task") == "held_out_documents")
    row = lake.read(BENCHMARK_SCORES).scan().filter(bits).sort("at").tail(1).collect().row(0, named=True)
    return dg.AssetCheckResult(
        passed=row["value"] < row["random_baseline"],
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"bits_per_byte": row["value"], "uniform_tokens": row["random_baseline"]},
    )


CHECKS = [items_can_be_scored, scores_are_possible, better_than_guessing]
