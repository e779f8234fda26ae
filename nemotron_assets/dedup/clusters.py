"""From verified pairs to groups: connected components, and which item is a duplicate of which kept one.

Items are numbers 0 .. count - 1, and their order is the order of precedence: 0 is the earliest.
"""

from __future__ import annotations

import numpy as np
from numba import njit


def components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64[count]: the earliest item that each item is connected to, itself if it is alone; by union-find.

    The result depends on the pairs alone, not on their order.
    """
    return _components(count, *_pairs(count, left, right))


def direct(count: int, left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which kept item each item duplicates: (int64[count], -1 for what is kept; float64[count], NaN for those).

    In order of precedence, an item is a duplicate exactly if it is paired with an earlier item that is itself kept; it
    then names the earliest such item, with the similarity of that pair (the highest, where the pair is given twice).
    So nothing is removed for the sake of something that is removed itself: there are no chains.
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
        # The earlier root stays one, so a root is always the earliest of its component.
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for item in range(count):
        parent[item] = parent[parent[item]]  # parents are earlier, hence final
    return parent


@njit(cache=True, nogil=True)
def _direct(count, early, late, similarity):
    """Pairs sorted by their later item, then by the earlier one, then by falling similarity."""
    kept = np.full(count, -1, np.int64)
    similarities = np.full(count, np.nan)
    for pair in range(late.size):
        item, other = late[pair], early[pair]
        if item != other and kept[item] < 0 and kept[other] < 0:
            kept[item], similarities[item] = other, similarity[pair]
    return kept, similarities
