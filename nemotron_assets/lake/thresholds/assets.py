"""The asset that counts what each rule keeps as its threshold moves."""

import dagster as dg

from nemotron_assets.lake.thresholds.tables import READ, THRESHOLDS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from resources.lakehouse import Lakehouse


@table_asset(
    THRESHOLDS,
    recipe=("thresholds.factors", "thresholds.min_rows", "thresholds.names", "web.heuristics", "code.quality"),
    kinds={"polars"},
    deps=READ,
)
def thresholds(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The share of every source, host, language and repository that each rule keeps by itself, at the recipe's
    threshold and at multiples of it, from the stored numbers. So a threshold is chosen by its curve, and a threshold
    that fits one corpus and not another is seen."""
    import polars as pl

    from nemotron_assets.lake.thresholds.curves import fingerprint, threshold_rows
    from nemotron_assets.lake.thresholds.report import metadata

    rows = pl.concat(threshold_rows(lake, recipe))
    context.add_output_metadata(metadata(rows, fingerprint(lake)))
    return rows


ASSETS = [thresholds]
