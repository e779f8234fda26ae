"""Compares two models on the same items: the interval of the mean difference, and a test of whether it is chance.

Values of one item belong together, so the differences of items are drawn, and not the values of each model alone: an
unpaired test on paired data sees less than there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Draws of the bootstrap and of the test.
DRAWS = 10_000
#: Differences that are drawn together, so that memory stays small.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Paired:
    """`difference` is the mean of second - first over `items`. `low` to `high` is its 95% interval (percentile
    bootstrap over items), `p` the two-sided probability of such a difference by chance (the sign of each item's
    difference is drawn)."""

    items: int
    difference: float
    low: float
    high: float
    p: float

    @property
    def is_worse(self) -> bool:
        """Whether the second is worse than the first: the whole interval lies below zero, and chance gives such a
        difference in less than 5%. The bootstrap interval of few items is too narrow alone."""
        return self.high < 0 and self.p < 0.05


def paired(
    first: Sequence[float],
    second: Sequence[float],
    seed: int = 0,
    draws: int = DRAWS,
    weights: Sequence[float] | None = None,
) -> Paired:
    """Compare the values of two models of the same items, in the same order. Equal arguments give equal results.
    `weights` are the weights of the items in all means, as the bytes of a text; without them items weigh alike.

    Raises ValueError for no items, another number of values or weights, values that are not finite, or weights that are
    not above 0.
    """
    import numpy as np

    ours, theirs = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if ours.shape != theirs.shape or not ours.size:
        raise ValueError(f"{ours.size} values of the first model and {theirs.size} of the second are no pairs of items")
    weight = np.ones_like(ours) if weights is None else np.asarray(weights, np.float64)
    difference = theirs - ours
    if weight.shape != ours.shape or not (np.isfinite(weight).all() and (weight > 0).all()):
        raise ValueError(f"{weight.size} weights of {ours.size} items: every item needs a finite weight above 0")
    if not np.isfinite(difference).all():
        raise ValueError("a value is not a finite number, so the models cannot be compared")
    weighted = difference * weight
    count, mean, numbers = len(difference), weighted.sum() / weight.sum(), np.random.default_rng(seed)
    means, extreme = [], 0
    for size in _groups(draws, max(1, _AT_ONCE // count)):
        drawn = numbers.integers(0, count, (size, count))
        means.append(weighted[drawn].sum(1) / weight[drawn].sum(1))
        signs = numbers.integers(0, 2, (size, count), dtype=np.int8) * 2 - 1
        extreme += int((np.abs((signs * weighted).sum(1) / weight.sum()) >= abs(mean) - 1e-12).sum())
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Paired(count, float(mean), float(low), float(high), (extreme + 1) / (draws + 1))


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact test: the two-sided probability that chance splits `gained` + `lost` flipped items like this. The
    items that both models answered alike say nothing."""
    flipped = int(gained) + int(lost)
    tail = sum(math.comb(flipped, k) for k in range(min(int(gained), int(lost)) + 1))
    return min(1.0, 2 * tail / 2**flipped)


def _groups(total: int, most: int) -> list[int]:
    return [min(most, total - done) for done in range(0, total, most)]
