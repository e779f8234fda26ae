"""Checks of deduplication: no text is kept twice, and duplicates point to what is kept."""

import dagster as dg

from nemotron_assets.table import snapshot_partitions
from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse


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


CHECKS = [duplicates_point_backwards, every_text_once]
