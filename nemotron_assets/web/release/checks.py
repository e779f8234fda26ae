"""Checks of the release: nothing is published twice, without text, without a source or under an unknown name."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import CURATED
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from nemotron_assets.web.synthetic.tables import DIVERSE_QA, REPHRASED, TRANSLATED_DIVERSE_QA
from resources.lakehouse import Lakehouse


@table_check(NEMOTRON_CC_V2, blocking=True)
def published_rows_are_sound(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Ids are unique, subsets are those of the recipe, no text is empty or of another length than it says."""
    from nemotron_assets.web.release.audit import unsound

    found = unsound(lake.read(NEMOTRON_CC_V2, context.partition_key).scan(), recipe.release.subsets)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(
    NEMOTRON_CC_V2,
    blocking=True,
    reads=[CURATED, REPHRASED, DIVERSE_QA, TRANSLATED_DIVERSE_QA, UNIQUE_DOCUMENTS],
)
def every_parent_is_known(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every row has one parent, in the table it names, and its origin is a unique document: those are what the blend
    holds out and what bits per byte are measured on, so a hash nobody has would be trained on unseen."""
    from nemotron_assets.stages import all_tables
    from nemotron_assets.web.release.audit import strangers

    tables = all_tables()
    found = strangers(
        lake.read(NEMOTRON_CC_V2, context.partition_key).batches(["parents", "sources", "origin_hash"]),
        {name: lake.read(tables[name], context.partition_key).batches(["id"]) for name in NEMOTRON_CC_V2.parents},
        lake.read(UNIQUE_DOCUMENTS, context.partition_key).batches(["content_hash"]),
        recipe.release.memory_mb,
    )
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


CHECKS = [published_rows_are_sound, every_parent_is_known]
