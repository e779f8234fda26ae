"""Exact Jaccard similarity of pairs of texts (the number of shingles they share, over the number of all they have), and
containment (over the number of the text that has fewer): a text inside a three times longer one has 0.33 and 1.0."""

from __future__ import annotations

import numpy as np

from nemotron_assets.dedup import _kernels
from nemotron_assets.dedup.shingles import ShingleSets


def jaccard(sets: ShingleSets, left: np.ndarray, right: np.ndarray, other: ShingleSets | None = None) -> np.ndarray:
    """float64 per pair: the similarity of row left[k] of `sets` and row right[k] of `other` (by default of `sets`).

    A text without shingles has the similarity 0.0 to every text, also to another one without shingles. Raises
    IndexError for a row that does not exist, and ValueError if `left` and `right` differ in length.
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


def containment(similarity: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float64 per pair: the share of the smaller set that the larger one has, too, from the exact Jaccard similarity of
    the two sets and their sizes. 0.0 if a set is empty."""
    shared = np.rint(similarity * (left + right) / (1 + similarity))
    smaller = np.minimum(left, right)
    return np.divide(shared, smaller, out=np.zeros(len(similarity)), where=smaller > 0)
