"""The ensemble: three scores become three buckets 0..19, and the largest bucket becomes a level (Nemotron-CC §2.2).

Cut points are percentiles of a score over documents that weigh as much as their length in UTF-8 bytes. A cut point is
the smallest score at which the share of bytes at or below it reaches the percentile (inverted CDF). The bucket of a
score is the number of cut points that it reaches. Taking the largest of three buckets is a union: each scorer finds
good documents that the other two miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from nemotron_assets.recipe.web.quality import LEVELS

ENGLISH = "en"  # the language of the published scorers and of the questions to annotators
SCORERS = ("edu_a", "edu_b", "reference")
SCORES = tuple(f"{name}_score" for name in SCORERS)
BUCKETS = tuple(f"{name}_bucket" for name in SCORERS)


def cut_points(scores: np.ndarray, weights: np.ndarray, percentiles: Sequence[int]) -> np.ndarray:
    """Weighted percentiles of scores (inverted CDF), ascending. Raises `ValueError` without a positive weight."""
    if not len(scores) or not np.sum(weights) > 0:
        raise ValueError(
            f"no cut points for {len(scores)} scores with a total weight of {np.sum(weights)}: at least one document "
            "with text must be scored"
        )
    return np.percentile(scores, percentiles, weights=weights, method="inverted_cdf")


def buckets(scores: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The number of cut points that each score reaches, as int32: 0 to 19 for 19 cut points."""
    return np.digitize(scores, cuts).astype(np.int32)


def assign_levels(
    scores: pl.DataFrame, cuts: Mapping[str, np.ndarray], lowest_bucket: Mapping[str, int]
) -> pl.DataFrame:
    """Add the columns `BUCKETS`, the largest of them as `bucket`, and its `level`.

    `cuts` are the cut points by scorer, `lowest_bucket` the lowest bucket of each level.
    """
    columns = {
        bucket: pl.Series(buckets(scores[score].to_numpy(), cuts[name]), dtype=pl.Int32)
        for name, score, bucket in zip(SCORERS, SCORES, BUCKETS, strict=True)
    }
    level = pl.when(False).then(pl.lit(""))
    for name in LEVELS:
        level = level.when(pl.col("bucket") >= lowest_bucket[name]).then(pl.lit(name))
    return scores.with_columns(**columns).with_columns(bucket=pl.max_horizontal(*BUCKETS)).with_columns(level=level)


def sample_scores(scores: pl.LazyFrame, share: float, most: int, also: Sequence[str] = ()) -> pl.DataFrame:
    """A random `share` of the documents, at most about `most`: id, snapshot, bytes, `SCORES` and the columns `also`.

    Ids are hashes. The sample takes the ids in the lowest part of their range, so a larger sample contains a smaller.
    """
    total = scores.select(pl.len()).collect(engine="streaming").item()
    limit = min(share, most / max(1, total))
    chosen = scores
    if limit < 1:  # the first 60 bits of an id are uniform
        chosen = scores.filter(pl.col("id").str.slice(0, 15) < f"{int(limit * 16**15):015x}")
    return chosen.select("id", "snapshot", "bytes", *SCORES, *also).collect(engine="streaming").sort("id")


def level_shares(rows: pl.LazyFrame) -> dict[str, float]:
    """{level: share of the bytes}, the best level first. All shares are 0 for an empty table."""
    sums = dict(rows.group_by("level").agg(pl.col("bytes").sum()).collect(engine="streaming").iter_rows())
    total = sum(sums.values())
    return {level: sums.get(level, 0) / total if total else 0.0 for level in LEVELS}
