"""Checks of the sample: every row is a row of its published data set, and no subset is too large."""

import dagster as dg

from nemotron_assets.blend.sample.tables import DATASET_SAMPLE, TABLES_READ
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(DATASET_SAMPLE, blocking=True, reads=tuple(TABLES_READ.values()))
def sample_rows_are_published_rows(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every row has the values of a row in its subset's table and all published columns, ids are unique, and no subset
    has more rows than the recipe allows."""
    from nemotron_assets.blend.sample.audit import faults

    readers = {table.full_name: lake.read(table) for table in TABLES_READ.values()}
    found = faults(lake.read(DATASET_SAMPLE).scan(), readers, recipe.release.sample)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


CHECKS = [sample_rows_are_published_rows]
