"""Checks of deduplication: no text is kept twice, every dropped document names a kept one, and the counts add up."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse


@table_check(SIGNATURES, blocking=True)
def every_text_signed_once(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Every distinct text of the snapshot has one signature, and all signatures have the same scheme."""
    import polars as pl

    from nemotron_assets.table.buckets import distinct

    texts = distinct(lake.read(DOCUMENTS, context.partition_key).scan(), "content_hash")
    signed = lake.read(SIGNATURES, context.partition_key).scan()
    hashes = distinct(signed, "content_hash")
    facts = signed.select(  # a snapshot has few schemes
        pl.len(), schemes=pl.col("scheme").n_unique(), no_shingles=(pl.col("bands").bin.size() == 0).sum()
    )
    rows, schemes, empty = facts.collect(engine="streaming").row(0)
    return dg.AssetCheckResult(
        passed=rows == hashes == texts and schemes <= 1,
        metadata={"texts": texts, "signatures": rows, "schemes": schemes, "without_shingles": empty},
    )


@table_check(NEAR_DUPLICATES, blocking=True)
def pairs_are_alike(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """A pair has two different texts and is listed once, its second document is of the same or an earlier snapshot,
    and, where the recipe verifies pairs, its similarity is at least the recipe's. Plots the similarities."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.table.buckets import distinct
    from nemotron_assets.web.dedup.report import similarity_counts

    pairs = lake.read(NEAR_DUPLICATES, context.partition_key).scan()
    least = recipe.web.dedup.min_similarity if recipe.web.dedup.verify else 0.0
    ids = distinct(pairs)
    count, same, forward, below = (
        pairs.select(
            pl.len(),
            (pl.col("content_hash") == pl.col("other_content_hash")).sum().alias("same"),
            (pl.col("other_snapshot") > pl.col("snapshot")).sum().alias("forward"),
            (pl.col("similarity") < least).sum().alias("below"),
        )
        .collect(engine="streaming")
        .row(0)
    )
    title = f"Near-duplicates of {context.partition_key} by similarity"
    return dg.AssetCheckResult(
        passed=count == ids and not (same or forward or below),
        metadata={
            "pairs": count,
            "doubled": count - ids,
            "same_text": same,
            "forward": forward,
            "below": below,
            "similarities": bars(similarity_counts(pairs), title, "pairs"),
        },
    )


@table_check(DUPLICATES, blocking=True)
def duplicates_point_backwards(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """A duplicate names a document of this or an earlier snapshot that is not itself a duplicate; ids are unique. Plots
    the number of duplicates between each two snapshots."""
    import polars as pl

    from nemotron_assets.plots import heatmap
    from nemotron_assets.table.buckets import distinct, present
    from nemotron_assets.web.dedup.report import pair_counts

    rows = lake.read(DUPLICATES, context.partition_key).scan()
    forward, count, near = (
        rows.select(
            (pl.col("duplicate_of_snapshot") > pl.col("snapshot")).sum().alias("forward"),
            pl.len(),
            (pl.col("kind") == "near").sum().alias("near"),
        )
        .collect(engine="streaming")
        .row(0)
    )
    documents = lake.read(DUPLICATES).scan().select(pl.col("parents").list.first().alias("document"))
    chains, doubled = present(rows, "duplicate_of", documents, "document"), count - distinct(rows)
    counts = pair_counts(lake.read(DUPLICATES).scan())
    return dg.AssetCheckResult(
        passed=forward == chains == doubled == 0,
        metadata={
            "duplicates": count,
            "near": near,
            "exact": count - near,
            "forward": forward,
            "chains": chains,
            "doubled": doubled,
            "between_snapshots": heatmap(
                counts, "Dropped documents", "snapshot of the kept document", "snapshot of the dropped document"
            ),
        },
    )


@table_check(DUPLICATES)
def kept_documents_differ(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """In a sample of kept documents, at most the share that the recipe allows is similar to another kept document of
    this or an earlier snapshot. Such a pair was missed by the bands. Documents are compared by whole signatures first,
    then exactly by their texts."""
    from nemotron_assets.web.dedup.missed_pairs import missed_pairs

    looked_at, pairs = missed_pairs(lake, context.partition_key, recipe.web.dedup)
    share = pairs["document"].n_unique() / max(1, looked_at)
    return dg.AssetCheckResult(
        passed=share <= recipe.web.dedup.max_missed_share,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "looked_at": looked_at,
            "alike_share": share,
            "allowed": recipe.web.dedup.max_missed_share,
            "alike": dg.MetadataValue.json(pairs.head(20).to_dicts()),
        },
    )


@table_check(REPEATED_SPANS, blocking=True)
def spans_are_in_kept_documents(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Spans lie inside the texts of documents of this snapshot that are not duplicates; ids are unique."""
    import polars as pl

    from nemotron_assets.table.buckets import distinct, present
    from nemotron_assets.web.dedup.report import spans_outside

    spans = lake.read(REPEATED_SPANS, context.partition_key).scan()
    spans = spans.with_columns(document=pl.col("parents").list.first())
    empty = ((pl.col("why") == "repeated") & (pl.col("start") >= pl.col("end"))).sum().alias("wrong")
    rows, wrong = spans.select(pl.len(), empty).collect(engine="streaming").row(0)
    ids = distinct(spans)
    dropped = lake.read(DUPLICATES, context.partition_key).scan().select(document=pl.col("parents").list.first())
    of_dropped = present(spans, "document", dropped, "document")
    outside = spans_outside(spans, lake.read(DOCUMENTS, context.partition_key).scan())
    return dg.AssetCheckResult(
        passed=rows == ids and not (wrong or of_dropped or outside),
        metadata={
            "spans": rows,
            "doubled": rows - ids,
            "empty": wrong,
            "of_duplicates": of_dropped,
            "outside_texts": outside,
        },
    )


@table_check(UNIQUE_DOCUMENTS, blocking=True)
def every_text_once(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """No text of this snapshot occurs twice among the unique documents of this and all earlier snapshots, unless the
    recipe keeps duplicates. Each document is either unique, or a duplicate, or dropped because the cuts left too little
    or nothing new of its text.

    Later snapshots are checked with their own partitions, which are made again when this snapshot changes them."""
    from nemotron_assets.web.dedup.report import cut_counts, texts_kept_twice

    unique = lake.read(UNIQUE_DOCUMENTS)
    snapshots = [snapshot for snapshot in unique.snapshots() if snapshot <= context.partition_key]
    doubled = texts_kept_twice(lake.read(UNIQUE_DOCUMENTS, snapshots).scan(), context.partition_key)
    rows = lake.read(UNIQUE_DOCUMENTS, context.partition_key).rows
    documents = lake.read(DOCUMENTS, context.partition_key).rows
    dropped = lake.read(DUPLICATES, context.partition_key).rows
    cut = cut_counts(lake.read(REPEATED_SPANS, context.partition_key).scan())
    gone = cut["left_too_short"] + cut["left_the_same"]
    return dg.AssetCheckResult(
        passed=(doubled == 0 or not recipe.web.dedup.enabled) and rows + dropped + gone == documents,
        metadata={
            "unique_documents": rows,
            "documents": documents,
            "duplicates": dropped,
            "doubled_texts": doubled,
            **cut,
        },
    )


CHECKS = [
    every_text_signed_once,
    pairs_are_alike,
    duplicates_point_backwards,
    kept_documents_differ,
    spans_are_in_kept_documents,
    every_text_once,
]
