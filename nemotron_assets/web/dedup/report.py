"""Counts of what deduplication did, for the metadata and plots of assets and checks."""

from __future__ import annotations

import polars as pl


def cut_counts(spans: pl.LazyFrame) -> dict[str, int]:
    """How much of a snapshot repeats: spans, their bytes, documents that are cut, and documents that are dropped after
    the cuts, by reason."""
    repeated = pl.col("why") == "repeated"
    document = pl.col("parents").list.first()
    return (
        spans.select(
            repeated_spans=repeated.sum().cast(pl.Int64),
            repeated_bytes=(pl.col("end") - pl.col("start")).sum(),
            documents_cut=document.filter(repeated).n_unique().cast(pl.Int64),
            left_too_short=(pl.col("why") == "too_short").sum().cast(pl.Int64),
            left_the_same=(pl.col("why") == "same_rest").sum().cast(pl.Int64),
        )
        .collect()
        .row(0, named=True)
    )


def pair_counts(duplicates: pl.LazyFrame) -> dict[tuple[str, str], int]:
    """Number of dropped documents by (their snapshot, the snapshot of the document they duplicate)."""
    counts = duplicates.group_by("snapshot", "duplicate_of_snapshot").len().sort("snapshot", "duplicate_of_snapshot")
    return {(row[0], row[1]): row[2] for row in counts.collect(engine="streaming").iter_rows()}


def similarity_counts(pairs: pl.LazyFrame, steps: int = 20) -> dict[str, int]:
    """Number of pairs by similarity, in equal steps from the lowest similarity (rounded down to 0.05) to 1."""
    similarities = pairs.select("similarity").collect(engine="streaming")["similarity"]
    if similarities.is_empty():
        return {}
    low = int(similarities.min() * 20) / 20
    width = (1 - low) / steps or 1.0
    place = ((similarities - low) / width).floor().cast(pl.Int64).clip(0, steps - 1)
    counts = dict(place.value_counts().iter_rows())
    return {f"{low + k * width:.3g}": counts.get(k, 0) for k in range(steps)}
