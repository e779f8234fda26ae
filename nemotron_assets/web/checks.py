"""Checks of web documents: ids are unique and nothing was lost without a reason."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import snapshot_partitions
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION
from resources.lakehouse import Lakehouse


@dg.asset_check(asset=DOCUMENTS.asset_key, partitions_def=snapshot_partitions, blocking=True)
def every_page_accounted_for(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Every page of the snapshot became one document or has a reason why not, and ids are unique."""
    import polars as pl

    from nemotron_assets.web.report import fates, fates_table

    counts = fates(lake.read(EXTRACTION, context.partition_key).scan())
    pages = lake.read(PAGES, context.partition_key).rows
    ids = lake.read(DOCUMENTS, context.partition_key).scan().select(pl.len(), pl.col("id").n_unique().alias("ids"))
    rows, distinct = ids.collect(engine="streaming").row(0)
    return dg.AssetCheckResult(
        passed=rows == distinct == counts.get("document", 0) and sum(counts.values()) == pages,
        metadata={"pages": pages, "documents": rows, "doubled": rows - distinct,
                  "fates": dg.MetadataValue.md(fates_table(counts))},
    )  # fmt: skip


@dg.asset_check(asset=DOCUMENTS.asset_key, partitions_def=snapshot_partitions)
def extraction_failures(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of pages that failed (crashed, hung or could not be parsed) is within the recipe's limit."""
    from nemotron_assets.web.report import fates

    counts = fates(lake.read(EXTRACTION, context.partition_key).scan())
    share = counts.get("rejected", 0) / max(1, sum(counts.values()))
    return dg.AssetCheckResult(
        passed=share <= recipe.quarantine.max_share,
        metadata={"rejected_share": share, "allowed": recipe.quarantine.max_share},
    )


@dg.asset_check(asset=DOCUMENTS.asset_key, partitions_def=snapshot_partitions)
def languages(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shows the language mix and the sizes of the texts. Fails when the language of a page with text could mostly not
    be determined, as happens when pages are decoded wrongly."""
    from nemotron_assets.plots import bars
    from nemotron_assets.web.report import fates, language_mix, text_sizes

    texts = lake.read(DOCUMENTS, context.partition_key).scan()
    mix = language_mix(texts)
    counts = fates(lake.read(EXTRACTION, context.partition_key).scan())
    kept, unsure = counts.get("document", 0), counts.get("language_unsure", 0)
    return dg.AssetCheckResult(
        passed=unsure <= kept,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "languages": len(mix),
            "language_mix": bars(mix, f"Documents per language, {context.partition_key}", "documents"),
            "language_unsure": unsure,
            **text_sizes(texts),
        },
    )


CHECKS = [every_page_accounted_for, extraction_failures, languages]
