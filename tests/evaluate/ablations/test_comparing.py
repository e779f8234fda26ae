"""The two sides of an ablation: means, intervals over seeds and items, and verdicts."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.evaluate.ablations.comparing import ablation_rows, crossed, verdict
from nemotron_assets.evaluate.tables import ABLATIONS
from nemotron_assets.recipe.ablation import Ablation
from tests.evaluate.ablations.test_sides import WITHOUT_DEDUP

ABLATION = Ablation(**WITHOUT_DEDUP)
MADE = {"models": ["a"], "made_again": ["web.duplicates"], "input_versions": ["web.documents@1"], "run_id": "",
        "at": datetime.now(UTC)}  # fmt: skip
TASK = ("held_out_code", "bits_per_byte")


def scored(values: list[float], weights: list[float] | None = None) -> dict:
    return {
        TASK: {f"i{n}": (v, w) for n, (v, w) in enumerate(zip(values, weights or [1.0] * len(values), strict=True))}
    }


def test_differences_are_those_of_the_items_weighted_by_their_bytes():
    before = {7: scored([2.0, 4.0], [3, 1]), 8: scored([2.0, 4.0], [3, 1])}
    after = {7: scored([1.0, 4.0], [3, 1]), 8: scored([1.0, 3.0], [3, 1])}
    (row,) = ablation_rows(ABLATION, before, after, MADE)
    assert (row["unchanged"], row["changed"], row["difference"]) == (2.5, 1.625, -0.875)
    assert row["seed_differences"] == [-0.75, -1.0]
    assert (row["task"], row["metric"], row["items"], row["seeds"]) == (*TASK, 2, [7, 8])
    assert set(row) == set(ABLATIONS.column_names)


def test_the_same_models_differ_in_nothing():
    same = {seed: scored([1.0, 2.0, 3.0]) for seed in ABLATION.seeds}
    (row,) = ablation_rows(ABLATION, same, same, MADE)
    assert (row["low"], row["difference"], row["high"], row["p_value"]) == (0, 0, 0, 1)
    assert row["verdict"] == "undecided"


def test_the_luck_of_single_trainings_widens_the_interval():
    """Seeds that disagree decide nothing, although a test over items alone would see a clear difference."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (4, 400))
    agreeing = noise + 0.1
    disagreeing = noise + np.array([[0.5], [-0.4], [0.3], [-0.0]])
    weights = np.ones(400)
    low, high = crossed(agreeing, weights)
    assert 0.09 < low < high < 0.11
    low, high = crossed(disagreeing, weights)
    assert low < -0.15 and high > 0.25


def test_models_must_have_the_same_items():
    before = {seed: scored([1.0, 2.0]) for seed in ABLATION.seeds}
    with pytest.raises(ValueError, match="not measured on the same items of held_out_code"):
        ablation_rows(ABLATION, before, {7: scored([1.0]), 8: scored([1.0, 2.0])}, MADE)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(-1, 1))
def test_an_interval_is_around_a_constant_difference(weights, difference):
    weights = np.array([abs(w) + 0.1 for w in weights])
    low, high = crossed(np.full((3, len(weights)), difference), weights)
    assert math.isclose(low, difference, abs_tol=1e-9) and math.isclose(high, difference, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("metric", "low", "high", "said"),
    [("bits_per_byte", -2, -1, "better"), ("bits_per_byte", 1, 2, "worse"), ("right", 0.1, 0.2, "better"),
     ("right", -0.2, -0.1, "worse"), ("right", -0.1, 0.1, "undecided"), ("right", 0, 0.1, "undecided")],
)  # fmt: skip
def test_verdicts(metric, low, high, said):
    assert verdict(metric, low, high) == said
