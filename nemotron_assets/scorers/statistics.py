"""How well two sets of scores agree: rank correlation, and how often one set wins over the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; NaN when either is constant or shorter than three."""
    from scipy.stats import rankdata

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def wins(better: Sequence[float], worse: Sequence[float]) -> float:
    """How often a value of the first is above one of the second, over all pairs, ties counting half (the AUC)."""
    first, second = np.asarray(better, float), np.sort(np.asarray(worse, float))
    if not (len(first) and len(second)):
        return float("nan")
    below = np.searchsorted(second, first, "left") + np.searchsorted(second, first, "right")
    return float(below.mean() / (2 * len(second)))
