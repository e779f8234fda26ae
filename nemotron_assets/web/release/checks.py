"""Checks of the release: every row is valid, and its parent and its web document exist."""

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
    """Ids are unique, subsets are those of the recipe, no text is empty, and `characters` is the length of the text."""
    from nemotron_assets.web.release.audit import invalid_rows

    found = invalid_rows(lake.read(NEMOTRON_CC_V2, context.partition_key).scan(), recipe.release.subsets)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(
    NEMOTRON_CC_V2,
    blocking=True,
    reads=[CURATED, REPHRASED, DIVERSE_QA, TRANSLATED_DIVERSE_QA, UNIQUE_DOCUMENTS],
)
def every_parent_is_known(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every row has one parent, which is in the row's source table. The origin hash of every row is that of the
    page of a unique document: the blend holds out pages by this hash, so a wrong hash could put a held-out page into
    the training data."""
    from nemotron_assets.stages import all_tables
    from nemotron_assets.web.release.audit import untraceable_rows

    tables = all_tables()
    found = untraceable_rows(
        lake.read(NEMOTRON_CC_V2, context.partition_key).batches(["parents", "sources", "origin_hash"]),
        {name: lake.read(tables[name], context.partition_key).batches(["id"]) for name in NEMOTRON_CC_V2.parents},
        lake.read(UNIQUE_DOCUMENTS, context.partition_key).batches(["url"]),
        recipe.release.memory_mb,
    )
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


CHECKS = [published_rows_are_sound, every_parent_is_known]
