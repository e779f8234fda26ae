"""From verified pairs to groups: connected components, and which kept item each dropped item duplicates.

Items are the numbers 0 .. count - 1. A lower number takes precedence: item 0 is the earliest.
"""

from __future__ import annotations

import numpy as np
from numba import njit


def components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64[count]: the earliest item of each item's connected component; an item without pairs is its own component.

    Computed by union-find. The order of the pairs does not change the result.
    """
    return _components(count, *_pairs(count, left, right))


def direct(count: int, left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which kept item each item duplicates, and how similar the two are: (int64[count], float64[count]).

    Kept items have -1 and NaN. Items are decided in order of precedence: an item is a duplicate exactly if it is paired
    with an earlier item that is kept. It then names the earliest such item, with the similarity of the pair (the
    highest one if the pair is given twice). So an item is never dropped because of an item that is dropped itself:
    there are no chains.
    """
    left, right = _pairs(count, left, right)
    similarity = np.ascontiguousarray(similarity, np.float64)
    if similarity.shape != left.shape:
        raise ValueError(f"{len(left)} pairs, but {len(similarity)} similarities")
    early, late = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((-similarity, early, late))
    return _direct(count, early[order], late[order], similarity[order])


def _pairs(count: int, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    if left.shape != right.shape:
        raise ValueError(f"{len(left)} items on the left cannot be paired with {len(right)} on the right")
    for side in (left, right):
        if len(side) and not (side.min() >= 0 and side.max() < count):
            raise IndexError(f"pairs name items {side.min()} to {side.max()}, but there are {count}")
    return left, right


@njit(cache=True, nogil=True)
def _components(count, left, right):
    parent = np.arange(count)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        # The earlier root stays the root, so a root is always the earliest item of its component.
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for item in range(count):
        parent[item] = parent[parent[item]]  # parents come earlier, so theirs are final
    return parent


@njit(cache=True, nogil=True)
def _direct(count, early, late, similarity):
    """The pairs are sorted by their later item, then by the earlier item, then by falling similarity."""
    kept = np.full(count, -1, np.int64)
    similarities = np.full(count, np.nan)
    for pair in range(late.size):
        item, other = late[pair], early[pair]
        if item != other and kept[item] < 0 and kept[other] < 0:
            kept[item], similarities[item] = other, similarity[pair]
    return kept, similarities
