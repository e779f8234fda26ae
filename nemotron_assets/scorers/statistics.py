"""Statistics that compare two sets of scores: rank correlation, and how often one set wins over the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation; NaN if one of the sets is constant or there are fewer than three values."""
    from scipy.stats import rankdata

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def wins(better: Sequence[float], worse: Sequence[float]) -> float:
    """The share of pairs in which the value of `better` is above that of `worse`; ties count half (the AUC). NaN if one
    of them is empty."""
    first, second = np.asarray(better, float), np.sort(np.asarray(worse, float))
    if not (len(first) and len(second)):
        return float("nan")
    below = np.searchsorted(second, first, "left") + np.searchsorted(second, first, "right")
    return float(below.mean() / (2 * len(second)))
