"""Counts of what deduplication did, for the metadata and plots of assets and checks."""

from __future__ import annotations

import polars as pl

from nemotron_assets.table.buckets import distinct, summed


def cut_counts(spans: pl.LazyFrame) -> dict[str, int]:
    """How much of a snapshot repeats: spans, their bytes, documents that are cut, and documents that are dropped after
    the cuts, by reason."""
    repeated = pl.col("why") == "repeated"
    document = pl.col("parents").list.first()
    counts = spans.select(
        repeated_spans=repeated.sum().cast(pl.Int64),
        repeated_bytes=(pl.col("end") - pl.col("start")).sum(),
        documents_cut=pl.lit(distinct(spans.filter(repeated).select(document=document), "document")),
        left_too_short=(pl.col("why") == "too_short").sum().cast(pl.Int64),
        left_the_same=(pl.col("why") == "same_rest").sum().cast(pl.Int64),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def spans_outside(spans: pl.LazyFrame, documents: pl.LazyFrame) -> int:
    """The number of spans whose "document" is not among the documents, or that end after its text."""
    sizes = documents.select(document="id", bytes=pl.col("text").str.len_bytes().cast(pl.Int64))

    def query(spans: pl.LazyFrame, sizes: pl.LazyFrame) -> pl.LazyFrame:
        outside = pl.col("bytes").is_null() | (pl.col("end") > pl.col("bytes"))
        return spans.join(sizes, on="document", how="left").select(outside=outside.sum())

    return summed(query, (spans.select("document", "end"), "document"), (sizes, "document"))["outside"]


def texts_kept_twice(texts: pl.LazyFrame, snapshot: str) -> int:
    """The number of texts of the snapshot that occur more than once among all the texts (snapshot, content_hash)."""

    def query(texts: pl.LazyFrame) -> pl.LazyFrame:
        hashes = texts.group_by("content_hash").agg(pl.len(), pl.col("here").any())
        return hashes.filter(pl.col("here") & (pl.col("len") > 1)).select(doubled=pl.len())

    here = pl.col("snapshot") == snapshot
    return summed(query, (texts.select("content_hash", here=here), "content_hash"))["doubled"]


def pair_counts(duplicates: pl.LazyFrame) -> dict[tuple[str, str], int]:
    """Number of dropped documents by (their snapshot, the snapshot of the document they duplicate)."""
    counts = duplicates.group_by("snapshot", "duplicate_of_snapshot").len().sort("snapshot", "duplicate_of_snapshot")
    return {(row[0], row[1]): row[2] for row in counts.collect(engine="streaming").iter_rows()}


def similarity_counts(pairs: pl.LazyFrame, steps: int = 20) -> dict[str, int]:
    """Number of pairs by similarity, in equal steps from the lowest similarity (rounded down to 0.05) to 1."""
    lowest = pairs.select(pl.col("similarity").min()).collect(engine="streaming").item()
    if lowest is None:
        return {}
    low = int(lowest * 20) / 20
    width = (1 - low) / steps or 1.0
    place = ((pl.col("similarity") - low) / width).floor().cast(pl.Int64).clip(0, steps - 1)
    counts = dict(pairs.group_by(place.alias("place")).len().collect(engine="streaming").iter_rows())
    return {f"{low + k * width:.3g}": counts.get(k, 0) for k in range(steps)}
