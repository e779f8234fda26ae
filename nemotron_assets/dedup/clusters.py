"""From verified pairs to groups: connected components, and which kept item each dropped item duplicates.

Items are the numbers 0 .. count - 1. A lower number takes precedence: item 0 is the earliest.
"""

from __future__ import annotations

import numpy as np

from resources.kernels import kernel


def components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64[count]: the earliest item of each item's connected component; an item without pairs is its own component.

    Computed by union-find. The order of the pairs does not change the result.
    """
    parents = np.arange(count)
    link(parents, *_pairs(count, left, right))
    return roots(parents)


@kernel
def link(parents, left, right):
    """Join the components of the pairs' items, in place: a step of `components` for pairs that come batch by batch.

    `parents` is int64[count], at first each item itself, and `left` and `right` are int64.
    """
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        while parents[a] != a:
            parents[a] = parents[parents[a]]
            a = parents[a]
        while parents[b] != b:
            parents[b] = parents[parents[b]]
            b = parents[b]
        # The earlier root stays the root, so a root is always the earliest item of its component.
        if a < b:
            parents[b] = a
        else:
            parents[a] = b


@kernel
def roots(parents):
    """The earliest item of each item's component, after the last `link`. Works in place."""
    for item in range(parents.size):
        parents[item] = parents[parents[item]]  # parents come earlier, so theirs are final
    return parents


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
    kept, similarities = np.full(count, -1), np.full(count, np.nan)
    decide(kept, similarities, late[order], early[order], similarity[order])
    return kept, similarities


@kernel
def decide(kept, similarities, late, early, similarity):
    """Decide items in place: a step of `direct` for pairs that come batch by batch, sorted by their later item, then by
    the earlier item, then by falling similarity.

    `kept` is int64[count], at first -1, and `similarities` float64[count], at first NaN.
    """
    for pair in range(late.size):
        item, other = late[pair], early[pair]
        if item != other and kept[item] < 0 and kept[other] < 0:
            kept[item], similarities[item] = other, similarity[pair]


def _pairs(count: int, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    if left.shape != right.shape:
        raise ValueError(f"{len(left)} items on the left cannot be paired with {len(right)} on the right")
    for side in (left, right):
        if len(side) and not (side.min() >= 0 and side.max() < count):
            raise IndexError(f"pairs name items {side.min()} to {side.max()}, but there are {count}")
    return left, right
