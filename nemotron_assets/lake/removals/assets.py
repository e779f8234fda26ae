"""The asset that counts what each step removes."""

import dagster as dg

from nemotron_assets.lake.removals.tables import READ, REMOVALS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from resources.lakehouse import Lakehouse


@table_asset(REMOVALS, recipe="removals", kinds={"polars"}, deps=READ)
def removals(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The share of the rows that each step of the web, mathematics and code data removes, per source, host, language
    and repository, so that no step wipes one of them out unseen."""
    import polars as pl

    from nemotron_assets.lake.removals.report import metadata
    from nemotron_assets.lake.removals.steps import removal_rows

    rows = pl.concat(removal_rows(lake, recipe.removals))
    context.add_output_metadata(metadata(rows))
    return rows


ASSETS = [removals]
