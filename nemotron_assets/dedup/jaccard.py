"""Exact Jaccard similarity of pairs of texts: shared shingles over all shingles."""

from __future__ import annotations

import numpy as np

from nemotron_assets.dedup import _kernels
from nemotron_assets.dedup.shingles import ShingleSets


def jaccard(sets: ShingleSets, left: np.ndarray, right: np.ndarray, other: ShingleSets | None = None) -> np.ndarray:
    """float64 per pair: the similarity of row left[k] of `sets` and row right[k] of `other` (by default of `sets`).

    A text without shingles resembles nothing, not even another such text: 0.0.
    """
    other = other or sets
    left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    if left.shape != right.shape:
        raise ValueError(f"{len(left)} rows on the left cannot be paired with {len(right)} on the right")
    for rows, of in ((left, sets), (right, other)):
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(of)):
            raise IndexError(f"pairs name rows {rows.min()} to {rows.max()}, but there are {len(of)} texts")
    out = np.empty(len(left), np.float64)
    _kernels.jaccard(sets.offsets, sets.hashes, other.offsets, other.hashes, left, right, out)
    return out
