"""Checks that no step takes more of one source, host, language or repository than the recipe allows."""

import dagster as dg

from nemotron_assets.lake.removals.tables import REMOVALS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(REMOVALS)
def nothing_is_wiped_out_unseen(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """No step removes a larger share of a source, host, language or repository than the recipe allows
    (`removals.max_share`, and `removals.max_share_of_step` for single steps), except names that the recipe expects to
    lose."""
    from nemotron_assets.lake.removals.report import names_table
    from nemotron_assets.lake.removals.steps import wiped_out

    found = wiped_out(lake.read(REMOVALS).scan(), recipe.removals)
    return dg.AssetCheckResult(
        passed=found.is_empty(),
        severity=dg.AssetCheckSeverity.WARN if recipe.removals.only_warn else dg.AssetCheckSeverity.ERROR,
        metadata={"too_much": found.height, "names": dg.MetadataValue.md(names_table(found))},
    )


CHECKS = [nothing_is_wiped_out_unseen]
