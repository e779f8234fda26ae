"""A check that the thresholds were approved on the corpus that they are applied to."""

import dagster as dg

from nemotron_assets.lake.thresholds.tables import THRESHOLDS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(THRESHOLDS)
def approved_on_this_corpus(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """The corpus in the lake is the one that the recipe's thresholds were approved on (`thresholds.approved_on`). A
    recipe that names no corpus passes; the metadata have the fingerprint to write into it."""
    from nemotron_assets.lake.thresholds.curves import fingerprint

    approved, here = recipe.thresholds.approved_on, fingerprint(lake)
    return dg.AssetCheckResult(
        passed=approved in (None, here),
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if approved in (None, here)
        else f"the thresholds were approved on the corpus {approved}, and the lake holds the corpus {here}: look at "
        f"`nemotron sql --report thresholds`, and then set thresholds.approved_on to {here}",
        metadata={"fingerprint": here, "approved_on": approved or "the recipe names no corpus"},
    )


CHECKS = [approved_on_this_corpus]
