"""Deals the places of a long list to names by their shares: after every prefix, no name is a full place off its share.

A place is one packed sequence of the training data, a name is a category of text. With shares of 0.5, 0.3 and 0.2 the
list begins a b c a b a a b c a; among its first n places, a has more than 0.5 n - 1 and fewer than 0.5 n + 1.

The k-th place of a name must then lie in a window: not before place floor((k - 1) / share) and before place
ceil(k / share), counted from 0. Choosing at every place the open window that ends first keeps every window ("earliest
deadline first", which is optimal for jobs of one place). This choice depends on all earlier ones, but any place can be
found without them. The list is cut into blocks, and the counts at the end of a block follow from a short run-up alone:

- The run-up starts with the counts floor(share x n), and one more for the names whose windows end first.
- It is as long as the longest window (1 / smallest share), so every window that is open at the end began inside it.

By Hall's condition for intervals, windows between two such points can always be kept: a block is dealt on its own, with
the counts at its two ends given. Finding a place costs the same at the beginning and after a trillion places.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numba import njit

#: Shares are fractions of whole numbers with at most this sum.
_MOST_PARTS = 1 << 40
#: The smallest share that can be dealt: a block has about twice as many places as the longest window.
SMALLEST_SHARE = 1e-6
_SHORTEST_BLOCK = 1 << 12
_BLOCKS_KEPT = 4
_NEVER = 1 << 62


@dataclass(frozen=True)
class _Block:
    """Places of the list from `first` on: the number of the name at every place, and the counts before the first."""

    first: int
    before: np.ndarray
    names: np.ndarray


class Apportionment:
    """The list of places for names with weights. A name with the weight 0 gets no place.

    `shares` are the exact shares of all names; they add up to 1. Weights that are not fractions of whole numbers below
    2^40 are rounded to such fractions: a difference of less than one place in a trillion places. Raises `ValueError`
    for weights that are negative, not finite, all 0, or so small that a share is below one place in a million.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.names = tuple(weights)
        self._parts = _whole_parts(weights)
        self._total = sum(self._parts)
        self.shares = {name: Fraction(p, self._total) for name, p in zip(self.names, self._parts, strict=True)}
        least = min(part for part in self._parts if part)
        self._run_up = -(-self._total // least) + 1
        self._length = max(_SHORTEST_BLOCK, 2 * self._run_up)
        self._array = np.array(self._parts, np.int64)
        self._blocks: OrderedDict[int, _Block] = OrderedDict()

    def counts(self, places: int) -> np.ndarray:
        """How many of the first `places` places each name has, in the order of `names`."""
        block = self._block(places // self._length)
        dealt = np.bincount(block.names[: places - block.first], minlength=len(self.names))
        return block.before + dealt

    def dealt(self, first: int, last: int) -> np.ndarray:
        """The number of the name at each of the places `first` to `last` - 1, counted from 0."""
        blocks = [self._block(number) for number in range(first // self._length, -(-last // self._length))]
        pieces = [block.names[max(first - block.first, 0) : last - block.first] for block in blocks]
        return np.concatenate([np.empty(0, np.int64), *pieces])

    def _block(self, number: int) -> _Block:
        if number not in self._blocks:
            first = number * self._length
            before, after = self._counts_at(first), self._counts_at(first + self._length)
            done, open_ = self._divided(first)
            names = _deal(self._array, self._total, open_, before - done, after - done, self._length)
            self._blocks[number] = _Block(first, before, names)
            if len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _divided(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Quotient and remainder of place x share, which are too large for 64 bits before the division."""
        pairs = [divmod(part * place, self._total) for part in self._parts]
        return np.array([q for q, _ in pairs], np.int64), np.array([r for _, r in pairs], np.int64)

    def _counts_at(self, place: int) -> np.ndarray:
        """The counts at the end of a block, from the run-up before it."""
        start = max(0, place - self._run_up)
        done, open_ = self._divided(start)
        ahead = np.zeros_like(done)
        # A name whose share has come out whole has no open window, and cannot be ahead.
        ends = [
            (-(-(self._total - int(rest)) // part), number)
            for number, (rest, part) in enumerate(zip(open_, self._parts, strict=True))
            if rest
        ]
        for _, number in sorted(ends)[: start - int(done.sum())]:
            ahead[number] = 1
        names = _deal(self._array, self._total, open_, ahead, None, place - start)
        return done + ahead + np.bincount(names, minlength=len(done))


def _whole_parts(weights: Mapping[str, float]) -> list[int]:
    """Whole numbers in proportion to the weights. Decimal fractions keep their exact proportions."""
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of {name} is {weight}; a weight is a finite number of at least 0")
    exact = [Fraction(str(float(weight))) for weight in weights.values()]
    total = sum(exact)
    if not total:
        raise ValueError(f"the weights of {', '.join(weights) or 'no names'} are all 0: nothing can be dealt")
    for name, weight in zip(weights, exact, strict=True):
        if 0 < weight / total < SMALLEST_SHARE:
            raise ValueError(
                f"the weight of {name} is a share of {float(weight / total):.2g}, but the smallest share is "
                f"{SMALLEST_SHARE:g}: give it the weight 0, or a larger one"
            )
    scale = math.lcm(*(weight.denominator for weight in exact))
    parts = [int(weight * scale) for weight in exact]
    common = math.gcd(*parts)
    parts = [part // common for part in parts]
    if sum(parts) <= _MOST_PARTS:
        return parts
    parts = [int(weight / total * _MOST_PARTS) for weight in exact]
    parts[parts.index(max(parts))] += _MOST_PARTS - sum(parts)
    return parts


@njit(cache=True)
def _deal(parts, total, rest, ahead, most, places):
    """Deal `places` places, each to the name whose window is open and ends first.

    Counts are relative to floor(share x n) at the first place, n; `rest` is the remainder of that division, and `ahead`
    the counts there. With `most`, a name ends with exactly this count, so that a window may end no later than the last
    place.
    """
    names = len(parts)
    counts = ahead.copy()
    ends = np.empty(names, np.int64)
    for name in range(names):
        if parts[name]:
            ends[name] = -((rest[name] - (counts[name] + 1) * total) // parts[name])
            if most is not None:
                ends[name] = min(ends[name], places) if counts[name] < most[name] else _NEVER
        else:
            ends[name] = _NEVER
    dealt = np.empty(places, np.int64)
    for place in range(places):
        best, best_end = -1, _NEVER
        for name in range(names):
            is_open = counts[name] * total < rest[name] + parts[name] * (place + 1)
            if is_open and ends[name] < best_end:
                best, best_end = name, ends[name]
        dealt[place] = best
        counts[best] += 1
        ends[best] = -((rest[best] - (counts[best] + 1) * total) // parts[best])
        if most is not None:
            ends[best] = min(ends[best], places) if counts[best] < most[best] else _NEVER
    return dealt
