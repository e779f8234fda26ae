"""Checks of web documents: every page is accounted for, few pages failed, and no personal data is left."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_check
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.lakehouse import Lakehouse


@table_check(DOCUMENTS, blocking=True)
def every_page_accounted_for(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every page of the snapshot became one document or is counted with the reason why it did not. Ids are unique, and
    no document comes from a page on an opt-out list."""
    from nemotron_assets.plots import bars
    from nemotron_assets.table.buckets import distinct
    from nemotron_assets.text.opt_outs import load
    from nemotron_assets.web.report import fates, fates_table

    documents = lake.read(DOCUMENTS, context.partition_key)
    counts = fates(lake.read(EXTRACTION, context.partition_key).scan())
    pages = lake.read(PAGES, context.partition_key).rows
    rows, ids = documents.rows, distinct(documents.scan())
    opt_outs, urls = load(recipe.web.documents.opt_outs), documents.batches(["url"], batch_size=8_192)
    opted_out = sum(reason is not None for batch in urls for reason in opt_outs.reasons(batch["url"].to_pylist()))
    return dg.AssetCheckResult(
        passed=rows == ids == counts.get("document", 0) and sum(counts.values()) == pages and not opted_out,
        metadata={
            "pages": pages,
            "documents": rows,
            "doubled": rows - ids,
            "opted_out": opted_out,
            "fates": dg.MetadataValue.md(fates_table(counts)),
            "plot": bars(counts, f"Fates of pages, {context.partition_key}", "pages"),
        },
    )


@table_check(DOCUMENTS)
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


@table_check(DOCUMENTS)
def languages(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shows the languages and the sizes of the texts. Warns when more pages were left out because their language is
    unsure than were kept, as happens when pages are decoded with the wrong character encoding."""
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


@table_check(DOCUMENTS, blocking=True)
def no_personal_data_left(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """A second scan of a sample of documents finds no personal data except kinds that the recipe keeps. The sample is
    the documents with the lowest ids; ids are hashes, so it is random."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.report import personal_data, personal_data_left, personal_data_table

    privacy = recipe.web.documents.privacy
    texts = lake.read(DOCUMENTS, context.partition_key).scan()
    last = texts.select(pl.col("id").bottom_k(privacy.check_documents).max()).collect().item() or ""
    sample = texts.filter(pl.col("id") <= last).select("text", "title").collect_batches(chunk_size=256)
    scanned, left = personal_data_left((row for batch in sample for row in batch.iter_rows()), privacy)
    counts = personal_data(lake.read(PRIVACY, context.partition_key).scan())
    matches = dict(counts.group_by("rule", maintain_order=True).agg(pl.col("matches").sum()).iter_rows())
    return dg.AssetCheckResult(
        passed=not left,
        metadata={
            "scanned": scanned,
            "left": dict(left),
            "found": dg.MetadataValue.md(personal_data_table(counts)),
            "plot": bars(matches, f"Personal data found, {context.partition_key}", "matches"),
        },
    )


CHECKS = [every_page_accounted_for, extraction_failures, languages, no_personal_data_left]
