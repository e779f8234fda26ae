"""Figures of a plan: a number with a range and a memory of what it was derived from, and numbers that are not known.

The range of an input is turned into draws; a derived figure is computed draw by draw. So an input that is used twice is
high in both places, and errors that have nothing to do with each other partly cancel out.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

#: Draws of each input. The first one is the expected value, and is kept out of the range.
DRAWS = 401
#: The range of a derived figure is that of this middle share of the draws.
_MIDDLE = 0.9


@dataclass(frozen=True)
class Unknown:
    """A figure that nobody knows, with the reason. Whatever is computed from it is not known either."""

    reason: str

    def __str__(self) -> str:
        return f"not known: {self.reason}"

    def _same(self, other: Any = None) -> Self:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same

    def up_to(self, other: Any) -> Self:
        return self

    def at_least(self, other: Any) -> Self:
        return self

    def named(self, name: str) -> Self:
        return self


@dataclass(frozen=True, eq=False)
class Figure:
    """A number that is known within a range.

    `name` says what it is. An input has a `source`; a derived figure has `inputs`, the figures that it was computed
    from.
    """

    name: str
    draws: np.ndarray
    source: str = ""
    inputs: tuple[Figure, ...] = field(default=(), repr=False)

    @property
    def expected(self) -> float:
        return float(self.draws[0])

    @property
    def low(self) -> float:
        return self._bound((1 - _MIDDLE) / 2, min)

    @property
    def high(self) -> float:
        return self._bound((1 + _MIDDLE) / 2, max)

    def _bound(self, share: float, outer: Callable[..., float]) -> float:
        if len(self.draws) == 1:
            return self.expected
        return outer(float(np.quantile(self.draws[1:], share)), self.expected)

    def __add__(self, other: Value | float) -> Value:
        return self._with(other, np.add)

    def __radd__(self, other: float) -> Value:
        return self._with(other, np.add)

    def __sub__(self, other: Value | float) -> Value:
        return self._with(other, np.subtract)

    def __rsub__(self, other: float) -> Value:
        return self._with(other, lambda mine, its: its - mine)

    def __mul__(self, other: Value | float) -> Value:
        return self._with(other, np.multiply)

    def __rmul__(self, other: float) -> Value:
        return self._with(other, np.multiply)

    def __truediv__(self, other: Value | float) -> Value:
        return self._with(other, _share)

    def __rtruediv__(self, other: float) -> Value:
        return self._with(other, lambda mine, its: _share(its, mine))

    def up_to(self, other: Value | float | None) -> Value:
        """The smaller of both; this figure itself if the other is None, which stands for no limit in a recipe."""
        return self if other is None else self._with(other, np.minimum)

    def at_least(self, other: Value | float) -> Value:
        """The larger of both."""
        return self._with(other, np.maximum)

    def named(self, name: str) -> Figure:
        """The same figure under a name of its own, with its derivation."""
        return Figure(name, self.draws, inputs=(self,))

    def _with(self, other: Value | float, operation: Callable[[Any, Any], Any]) -> Value:
        if isinstance(other, Unknown):
            return other
        if not isinstance(other, Figure):
            return Figure("", operation(self.draws, float(other)), inputs=(self,))
        return Figure("", operation(self.draws, other.draws), inputs=(self, other))


def _share(part: Any, whole: Any) -> Any:
    """A division in which nothing of nothing is nothing."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros_like(part), where=(whole != 0) | (part != 0))


#: What an estimator computes with. Plain numbers may stand on one side of an operation.
Value = Figure | Unknown


def known(name: str, value: float, source: str) -> Figure:
    """An input that is exact, for example a value of the recipe."""
    return Figure(name, np.array([float(value)]), source)


def between(name: str, low: float, expected: float, high: float, source: str) -> Figure:
    """An input within a range. Half of its draws lie below the expected value and half above, evenly on a scale of
    ratios. Equal names draw equally, so that an input stays one input wherever it is used."""
    if not 0 <= low <= expected <= high or not math.isfinite(high):
        raise ValueError(f"{name}: the range [{low}, {expected}, {high}] must ascend and may not be negative")
    if low == high:
        return known(name, expected, source)
    place = np.random.default_rng(zlib.crc32(name.encode())).permutation(np.linspace(-1, 1, DRAWS - 1))
    floor, ceiling = max(low, expected * 1e-6, 1e-300), max(high, 1e-300)
    middle = max(expected, 1e-300)
    draws = np.where(place < 0, middle * (floor / middle) ** -place, middle * (ceiling / middle) ** place)
    return Figure(name, np.concatenate([[expected], draws]), source)


def total(values: Iterable[Value | None]) -> Value:
    """The sum of the values that apply (None does not). Not known if one of them is not known."""
    result: Value | None = None
    for value in values:
        if value is not None:
            result = value if result is None else result + value
    return known("nothing", 0, "0: the sum of nothing") if result is None else result


def walk(figure: Value) -> Iterator[Figure]:
    """The figure and all figures that it was derived from, each once."""
    seen: set[int] = set()
    waiting = [figure] if isinstance(figure, Figure) else []
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += reversed(current.inputs)


def derived_from(figure: Value) -> list[Figure]:
    """The inputs that a figure was derived from in the end, each once, in the order of their use."""
    found = {part.name: part for part in walk(figure) if part.source}
    return list(found.values())
