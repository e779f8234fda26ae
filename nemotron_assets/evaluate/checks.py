"""Checks of the evaluation: scores are possible values, and every scored model has learned something."""

import dagster as dg

from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(BENCHMARK_SCORES)
def scores_are_possible(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shares of right answers are between 0 and 1, bits per byte are positive and finite, every score has samples."""
    import polars as pl

    share = pl.col("value").is_between(0, 1)
    bits = pl.col("value").is_finite() & (pl.col("value") > 0)
    possible = pl.when(pl.col("metric") == "bits_per_byte").then(bits).otherwise(share) & (pl.col("samples") > 0)
    wrong = lake.read(BENCHMARK_SCORES).scan().filter(~possible).select("model_version", "task", "metric").collect()
    return dg.AssetCheckResult(passed=wrong.is_empty(), metadata={"impossible": str(wrong.rows())})


@table_check(BENCHMARK_SCORES)
def better_than_guessing(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every scored model needs fewer bits per byte on held-out documents than a model for which all tokens are equally
    likely."""
    import polars as pl

    bits = (pl.col("metric") == "bits_per_byte") & (pl.col("task") == "held_out_documents")
    rows = lake.read(BENCHMARK_SCORES).scan().filter(bits).sort("at").collect()
    guessing = rows.filter(pl.col("value") >= pl.col("random_baseline")).select("model", "model_version")
    newest = rows.row(-1, named=True) if rows.height else {"value": None, "random_baseline": None}
    return dg.AssetCheckResult(
        passed=bool(rows.height) and guessing.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "bits_per_byte": newest["value"],
            "uniform_tokens": newest["random_baseline"],
            "models_that_guess": ", ".join(f"{model} {version}" for model, version in guessing.iter_rows()),
        },
    )


CHECKS = [scores_are_possible, better_than_guessing]
