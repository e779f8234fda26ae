"""The ensemble: three scores become three integers 0..19, the largest of them a level (Nemotron-CC §2.2).

Cut points are percentiles of a score over documents weighted by their length in UTF-8 bytes: the smallest score at
which the share of bytes at or below it reaches the percentile (inverted CDF). A document's integer is the number of
cut points its score reaches; taking the largest of three is a union: the scorers find different good documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from nemotron_assets.recipe.web.quality import LEVELS

LANGUAGE = "en"  # what the published scorers and the questions to annotators are made for
SCORERS = ("edu_a", "edu_b", "reference")
SCORES = tuple(f"{name}_score" for name in SCORERS)
BUCKETS = tuple(f"{name}_bucket" for name in SCORERS)


def cut_points(scores: np.ndarray, weights: np.ndarray, percentiles: Sequence[int]) -> np.ndarray:
    """Weighted percentiles of scores, inverted CDF, ascending. Raises `ValueError` without a positive weight."""
    if not len(scores) or not np.sum(weights) > 0:
        raise ValueError(f"no cut points for {len(scores)} scores with a total weight of {np.sum(weights)}")
    return np.percentile(scores, percentiles, weights=weights, method="inverted_cdf")


def buckets(scores: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Number of cut points each score reaches (int32): 0..19 for 19 of them."""
    return np.digitize(scores, cuts).astype(np.int32)


def judged(scores: pl.DataFrame, cuts: Mapping[str, np.ndarray], lowest_bucket: Mapping[str, int]) -> pl.DataFrame:
    """Scores with an integer for each, the largest as `bucket` and its `level`."""
    integers = {
        bucket: buckets(scores[score].to_numpy(), cuts[name])
        for name, score, bucket in zip(SCORERS, SCORES, BUCKETS, strict=True)
    }
    level = pl.when(False).then(pl.lit(""))
    for name in LEVELS:
        level = level.when(pl.col("bucket") >= lowest_bucket[name]).then(pl.lit(name))
    return (
        scores.with_columns(**{name: pl.Series(values, dtype=pl.Int32) for name, values in integers.items()})
        .with_columns(bucket=pl.max_horizontal(*BUCKETS))
        .with_columns(level=level)
    )


def sample(scores: pl.LazyFrame, share: float, most: int, also: Sequence[str] = ()) -> pl.DataFrame:
    """The documents whose id, a hash, lies in the lowest `share` of the hash's range, at most about `most`: id,
    snapshot, bytes, the scores and the columns `also`."""
    total = scores.select(pl.len()).collect(engine="streaming").item()
    limit = min(share, most / max(1, total))
    chosen = scores
    if limit < 1:  # the first 60 bits of an id are uniform
        chosen = scores.filter(pl.col("id").str.slice(0, 15) < f"{int(limit * 16**15):015x}")
    return chosen.select("id", "snapshot", "bytes", *SCORES, *also).collect(engine="streaming").sort("id")


def level_shares(rows: pl.LazyFrame) -> dict[str, float]:
    """Share of the bytes in each level, the best level first; all 0 for an empty table."""
    sums = dict(rows.group_by("level").agg(pl.col("bytes").sum()).collect(engine="streaming").iter_rows())
    total = sum(sums.values())
    return {level: sums.get(level, 0) / total if total else 0.0 for level in LEVELS}
