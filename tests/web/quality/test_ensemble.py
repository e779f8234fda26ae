"""The arithmetic of the ensemble: a case worked by hand, a plain Python reference, and properties of any input."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.web.quality import LEVELS
from nemotron_assets.scorers.statistics import rank_correlation, wins
from nemotron_assets.web.quality.ensemble import (
    BUCKETS,
    SCORERS,
    SCORES,
    assign_levels,
    buckets,
    cut_points,
    level_shares,
    sample_scores,
)

PERCENTILES = tuple(range(5, 100, 5))
LOWEST = load_recipe("nano2").web.quality.lowest_bucket

scores_and_weights = st.lists(
    st.tuples(st.floats(0, 5, allow_nan=False), st.integers(1, 10_000)), min_size=1, max_size=60
)


def inverted_cdf(scores, weights, percentile: int) -> float:
    """The smallest score at which the weights of all scores up to it reach the percentile: exact integers."""
    total = sum(weights)
    for limit in sorted(scores):
        if 100 * sum(w for s, w in zip(scores, weights, strict=True) if s <= limit) >= percentile * total:
            return limit
    raise AssertionError("unreachable")


def test_a_case_worked_by_hand():
    # Five documents of 10, 40, 20, 20 and 10 bytes; up to each score lie 10, 50, 70, 90 and 100% of the bytes.
    scores, weights = np.array([0.5, 1.0, 2.0, 3.0, 4.0]), np.array([10, 40, 20, 20, 10])
    cuts = cut_points(scores, weights, PERCENTILES)
    assert cuts.tolist() == [0.5] * 2 + [1.0] * 8 + [2.0] * 4 + [3.0] * 4 + [4.0]
    # 0.5 reaches the first two cut points, 1.0 eight more, 2.0 four more ...
    assert buckets(scores, cuts).tolist() == [2, 10, 14, 18, 19]
    # ... and scores that were not in the sample fall between.
    assert buckets(np.array([0.0, 0.4999, 0.75, 2.5, 3.9999, 5.0]), cuts).tolist() == [0, 0, 2, 14, 18, 19]


def test_the_largest_bucket_decides_the_level():
    scores = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    cuts = cut_points(scores, np.array([10, 40, 20, 20, 10]), PERCENTILES)
    frame = pl.DataFrame(
        {"edu_a_score": [0.0, 0.5, 0.75, 2.0, 0.0, 4.0], "edu_b_score": [0.0, 1.0, 0.5, 0.5, 3.0, 0.0],
         "reference_score": [0.1, 0.5, 0.0, 1.0, 1.0, 0.0], "bytes": [1, 1, 2, 2, 3, 1]}
    )  # fmt: skip
    rows = assign_levels(frame, dict.fromkeys(SCORERS, cuts), LOWEST)
    assert rows["edu_a_bucket"].to_list() == [0, 2, 2, 14, 0, 19]
    assert rows["edu_b_bucket"].to_list() == [0, 10, 2, 2, 18, 0]
    assert rows["reference_bucket"].to_list() == [0, 2, 0, 10, 10, 0]
    assert rows["bucket"].to_list() == [0, 10, 2, 14, 18, 19]
    assert rows["level"].to_list() == ["low", "medium_low", "low", "medium", "medium_high", "high"]
    shares = level_shares(rows.lazy())
    assert shares == pytest.approx({"high": 0.1, "medium_high": 0.3, "medium": 0.2, "medium_low": 0.1, "low": 0.3})
    assert tuple(shares) == LEVELS


def test_every_bucket_has_the_published_level():
    cuts = dict.fromkeys(SCORERS, np.arange(1, 20) / 4)
    frame = pl.DataFrame(dict.fromkeys(SCORES, np.arange(20) / 4))
    rows = assign_levels(frame, cuts, LOWEST)
    assert rows["bucket"].to_list() == list(range(20))
    expected = ["low"] * 7 + ["medium_low"] * 5 + ["medium"] * 6 + ["medium_high", "high"]
    assert rows["level"].to_list() == expected
    assert rows.schema["bucket"] == pl.Int32 and all(rows.schema[name] == pl.Int32 for name in BUCKETS)


@settings(max_examples=200, deadline=None)
@given(scores_and_weights)
def test_cut_points_are_those_of_the_definition(pairs):
    scores, weights = zip(*pairs, strict=True)
    cuts = cut_points(np.array(scores), np.array(weights), PERCENTILES)
    total = sum(weights)
    for cut, percentile in zip(cuts, PERCENTILES, strict=True):
        expected = inverted_cdf(scores, weights, percentile)
        # Where the weights add up to a percentile exactly, floating point may land on the next score.
        at_tie = any(100 * sum(w for s, w in pairs if s <= limit) == percentile * total for limit in scores)
        assert cut == expected or (at_tie and cut in scores)
    assert (np.diff(cuts) >= 0).all()


@settings(max_examples=200, deadline=None)
@given(scores_and_weights, st.lists(st.floats(-1, 6, allow_nan=False), min_size=2, max_size=40))
def test_a_better_score_never_has_a_smaller_bucket(pairs, others):
    scores, weights = (np.array(column) for column in zip(*pairs, strict=True))
    found = buckets(np.array(sorted(others)), cut_points(scores, weights, PERCENTILES))
    assert (np.diff(found) >= 0).all() and found.min() >= 0 and found.max() <= 19


@settings(max_examples=100, deadline=None)
@given(scores_and_weights, st.integers(0, 2), st.floats(0, 5, allow_nan=False))
def test_one_better_score_never_lowers_the_level(pairs, which, better):
    scores, weights = (np.array(column) for column in zip(*pairs, strict=True))
    cuts = dict.fromkeys(SCORERS, cut_points(scores, weights, PERCENTILES))
    frame = pl.DataFrame(dict.fromkeys(SCORES, scores))
    raised = frame.with_columns(pl.max_horizontal(SCORES[which], pl.lit(better)))
    before, after = (assign_levels(rows, cuts, LOWEST)["bucket"] for rows in (frame, raised))
    assert (after >= before).all()


def test_long_documents_weigh_more():
    scores = np.array([1.0, 2.0])
    assert cut_points(scores, np.array([1, 1]), (50,)).tolist() == [1.0]
    assert cut_points(scores, np.array([1, 3]), (50,)).tolist() == [2.0]


def test_no_documents_have_no_cut_points():
    with pytest.raises(ValueError, match="no cut points for 0 scores"):
        cut_points(np.array([]), np.array([]), PERCENTILES)


def test_the_sample_is_a_share_by_hash_and_bounded():
    from nemotron_assets.table.ids import row_id

    rows = pl.DataFrame({"id": [row_id("t", i) for i in range(4_000)], "snapshot": "S", "bytes": 5})
    rows = rows.with_columns(**dict.fromkeys(SCORES, pl.lit(1.0))).lazy()
    assert sample_scores(rows, 1.0, 10**6).height == 4_000
    tenth = sample_scores(rows, 0.1, 10**6)
    assert 300 < tenth.height < 500
    assert set(sample_scores(rows, 1.0, 200)["id"]) <= set(tenth["id"])  # a smaller sample is part of a larger one
    assert sample_scores(rows, 1.0, 200).height < 260


def test_rank_correlation_and_wins_are_those_of_scipy():
    from scipy.stats import mannwhitneyu, spearmanr

    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 6, 50).astype(float), rng.integers(0, 6, 50).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(first, np.ones(50)))
    better, worse = rng.integers(1, 6, 17), rng.integers(0, 5, 23)
    assert wins(better, worse) == pytest.approx(mannwhitneyu(better, worse).statistic / (17 * 23))
    assert np.isnan(wins([], worse))
