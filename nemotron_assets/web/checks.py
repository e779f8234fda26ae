"""Checks of the web tables: ids are unique, no text is kept twice, nothing was lost without a reason."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import snapshot_partitions
from nemotron_assets.web.tables import DIVERSE_QA, DOCUMENTS, DUPLICATES, EXTRACTION, UNIQUE_DOCUMENTS
from resources.lakehouse import QUARANTINE, Lakehouse


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


@dg.asset_check(asset=DUPLICATES.asset_key, partitions_def=snapshot_partitions, blocking=True)
def duplicates_point_backwards(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """A duplicate names a document of this or an earlier snapshot, which is itself no duplicate; ids are unique."""
    import polars as pl

    rows = lake.read(DUPLICATES, context.partition_key).scan()
    forward, count, distinct = (
        rows.select(
            (pl.col("duplicate_of_snapshot") > pl.col("snapshot")).sum().alias("forward"),
            pl.len(),
            pl.col("id").n_unique().alias("ids"),
        )
        .collect(engine="streaming")
        .row(0)
    )
    documents = lake.read(DUPLICATES).scan().select(pl.col("parents").list.first().alias("document"))
    chained = rows.join(documents, left_on="duplicate_of", right_on="document", how="semi").select(pl.len())
    chains = chained.collect(engine="streaming").item()
    return dg.AssetCheckResult(
        passed=forward == 0 and chains == 0 and count == distinct,
        metadata={"duplicates": count, "forward": forward, "chains": chains, "doubled": count - distinct},
    )


@dg.asset_check(asset=UNIQUE_DOCUMENTS.asset_key, partitions_def=snapshot_partitions, blocking=True)
def every_text_once(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No text of this snapshot occurs twice among the unique documents of this and all earlier snapshots.

    Later snapshots are checked with their own partitions, which are made again when this one changes them."""
    import polars as pl

    mine = pl.col("snapshot") == context.partition_key
    texts = lake.read(UNIQUE_DOCUMENTS).scan().filter(pl.col("snapshot") <= context.partition_key)
    hashes = texts.select("snapshot", "content_hash").group_by("content_hash").agg(pl.len(), mine.any().alias("mine"))
    doubled = hashes.filter(pl.col("mine") & (pl.col("len") > 1)).select(pl.len()).collect(engine="streaming").item()
    rows = lake.read(UNIQUE_DOCUMENTS, context.partition_key).rows
    documents = lake.read(DOCUMENTS, context.partition_key).rows
    dropped = lake.read(DUPLICATES, context.partition_key).rows
    return dg.AssetCheckResult(
        passed=doubled == 0 and rows + dropped == documents,
        metadata={"unique_documents": rows, "documents": documents, "duplicates": dropped, "doubled_texts": doubled},
    )


@dg.asset_check(asset=DIVERSE_QA.asset_key, partitions_def=snapshot_partitions, blocking=True)
def pairs_are_whole(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every sample ends with as many question/answer pairs as it says, about a document that exists; ids are unique."""
    import polars as pl

    rows = lake.read(DIVERSE_QA, context.partition_key).scan()
    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().select(document="id")
    pairs = pl.col("text").str.count_matches(r"\n\nQuestion: [^\n]+\nAnswer: [^\n]+")
    parent = pl.col("parents").list.first()
    wrong = (pairs < pl.col("question_count")) | ~pl.col("text").str.contains(r"\n\nQuestion: [^\n]+\nAnswer: [^\n]+$")
    facts = rows.select(samples=pl.len(), doubled=pl.len() - pl.col("id").n_unique(), broken=wrong.sum())
    metadata = facts.collect(engine="streaming").row(0, named=True)
    orphans = rows.select(document=parent).join(documents, on="document", how="anti").select(pl.len())
    metadata["orphans"] = orphans.collect(engine="streaming").item()
    passed = not (metadata["doubled"] or metadata["broken"] or metadata["orphans"])
    return dg.AssetCheckResult(passed=passed, metadata=metadata)


@dg.asset_check(asset=DIVERSE_QA.asset_key, partitions_def=snapshot_partitions)
def answers_are_usable(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of segments whose answer gave no sample (truncated, unparsable, too short) is within the recipe's
    limit; a small model may fail often, which the laptop recipe allows."""
    import polars as pl

    mine = (pl.col("stage") == DIVERSE_QA.full_name) & (pl.col("partition") == context.partition_key)
    causes = lake.read(QUARANTINE).scan().filter(mine).group_by("cause").len().sort("cause").collect()
    accepted, rejected = lake.read(DIVERSE_QA, context.partition_key).rows, causes["len"].sum()
    share = rejected / max(1, accepted + rejected)
    return dg.AssetCheckResult(
        passed=share <= recipe.diverse_qa.max_reject_share,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "accepted": accepted, "rejected_share": share, "allowed": recipe.diverse_qa.max_reject_share,
            **dict(causes.iter_rows()),
        },
    )  # fmt: skip


CHECKS = [
    every_page_accounted_for, extraction_failures, languages, duplicates_point_backwards, every_text_once,
    pairs_are_whole, answers_are_usable,
]  # fmt: skip
