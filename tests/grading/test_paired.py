"""Two models are compared item by item, and the result is what statistics says it should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.grading.paired import mcnemar, paired


def test_equals_scipy():
    """The interval is that of scipy's percentile bootstrap, the probability that of its paired permutation test."""
    from scipy import stats

    numbers = np.random.default_rng(4)
    first = numbers.random(80) < 0.4
    second = np.where(numbers.random(80) < 0.2, numbers.random(80) < 0.8, first)
    found = paired(first.astype(float), second.astype(float))
    difference = second.astype(float) - first
    own = stats.bootstrap((difference,), np.mean, n_resamples=10_000, method="percentile", rng=1)
    assert found.low == pytest.approx(own.confidence_interval.low, abs=0.015)
    assert found.high == pytest.approx(own.confidence_interval.high, abs=0.015)
    test = stats.permutation_test((difference,), np.mean, permutation_type="samples", n_resamples=10_000, rng=1)
    assert found.p == pytest.approx(test.pvalue, abs=0.02)
    assert found.difference == pytest.approx(difference.mean()) and found.items == 80


def test_pairs_see_what_means_do_not():
    """600 items of which 30 become right and 5 wrong: an unpaired test of 50% against 54% finds nothing."""
    first = [1.0] * 300 + [0.0] * 300
    second = [0.0] * 5 + [1.0] * 295 + [1.0] * 30 + [0.0] * 270
    found = paired(first, second)
    assert found.low > 0 and found.p < 0.001 and not found.is_worse
    assert paired(second, first).is_worse


def test_equal_models_do_not_differ():
    assert paired([1.0, 0.0], [1.0, 0.0]).p == 1
    found = paired([0.0] * 9, [0.0] * 9)
    assert (found.low, found.high, found.is_worse) == (0, 0, False)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 0.0]), ([1.0], [float("nan")])])
def test_what_cannot_be_compared_is_an_error(first, second):
    with pytest.raises(ValueError):
        paired(first, second)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=40))
def test_swapping_the_models_turns_the_sign(pairs):
    first, second = zip(*pairs, strict=True)
    there, back = paired(first, second, draws=400), paired(second, first, draws=400)
    assert there.difference == -back.difference and there.p == back.p
    assert there.low == pytest.approx(-back.high) and there.low <= there.high


def test_weights_are_like_repeated_items():
    """A text of three times the bytes counts like three items in the mean, and like one item in the interval."""
    first, second = [1.0, 0.0, 2.0], [2.0, 0.5, 0.0]
    found = paired(first, second, weights=[3, 1, 1])
    assert found.difference == pytest.approx((3 * 1 + 0.5 - 2) / 5) and found.items == 3
    assert paired(first, second, weights=[2, 2, 2]) == paired(first, second)
    for wrong in ([1, 1], [1, 0, 1], [1, float("inf"), 1]):
        with pytest.raises(ValueError, match="weights"):
            paired(first, second, weights=wrong)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_the_binomial_test(gained, lost):
    from scipy.stats import binomtest

    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected)
