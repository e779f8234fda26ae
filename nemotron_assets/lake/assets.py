"""The asset that maintains all tables of the lake."""

from datetime import timedelta

import dagster as dg

from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table.asset import owners
from nemotron_assets.table.counting import counted
from resources.contract import LakeError
from resources.lakehouse import Lakehouse


@dg.asset(
    key=["lake", "maintenance"],
    group_name="lake",
    kinds={"delta"},
    owners=owners("lake"),
    freshness_policy=dg.FreshnessPolicy.time_window(timedelta(days=current_recipe().maintenance.fresh_days)),
    description="Compacts all tables and deletes old files; versions that models and scores were made from are kept.",
)
def maintenance(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]) -> dg.MaterializeResult:
    from nemotron_assets.lake.upkeep import maintain_all

    done = list(maintain_all(lake, recipe.maintenance))
    if failed := [str(result) for result in done if isinstance(result, LakeError)]:
        raise dg.Failure(f"not maintained: {counted(len(failed), 'table')}. {' '.join(failed)}", allow_retries=False)
    return dg.MaterializeResult(metadata={"tables": dg.MetadataValue.md("\n".join(f"- {result}" for result in done))})


ASSETS = [maintenance]
