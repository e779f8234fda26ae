"""Checks of the evaluation: scores that can be true, and a model that has learned."""

import dagster as dg

from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(BENCHMARK_SCORES)
def scores_are_possible(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shares lie within 0 and 1, bits per byte are positive and finite, every score has samples."""
    import polars as pl

    share = pl.col("value").is_between(0, 1)
    bits = pl.col("value").is_finite() & (pl.col("value") > 0)
    possible = pl.when(pl.col("metric") == "bits_per_byte").then(bits).otherwise(share) & (pl.col("samples") > 0)
    wrong = lake.read(BENCHMARK_SCORES).scan().filter(~possible).select("model_version", "task", "metric").collect()
    return dg.AssetCheckResult(passed=wrong.is_empty(), metadata={"impossible": str(wrong.rows())})


@table_check(BENCHMARK_SCORES)
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


CHECKS = [scores_are_possible, better_than_guessing]
