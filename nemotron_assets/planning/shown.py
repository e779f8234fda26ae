"""Figures of a plan as text: with their range, in units that a person reads."""

from __future__ import annotations

from collections.abc import Callable

from nemotron_assets.planning.figures import Unknown, Value

_SIZES = ((1e15, " PB"), (1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB"))
_COUNTS = ((1e24, "e24"), (1e21, "e21"), (1e18, "e18"), (1e15, "e15"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def with_range(value: Value | None, form: Callable[[float, int], str]) -> str:
    """A figure with its range, as 1.25M (0.8M-2M); without it where the range is narrow. "?" if it is not known, "" if
    it does not apply."""
    if value is None:
        return ""
    if isinstance(value, Unknown):
        return "?"
    expected, low, high = form(value.expected, 3), form(value.low, 2), form(value.high, 2)
    return expected if low == high or value.high <= 1.05 * value.low else f"{expected} ({low}-{high})"


def amount(number: float, digits: int = 3) -> str:
    """A count: 1.45e24, 3.36T, 12.3k, 88; only a count below 10 may be a fraction."""
    return f"{number:.0f}" if 10 <= number < 999.5 else _scaled(number, _COUNTS, digits)


def size(number: float, digits: int = 3) -> str:
    """Bytes in a unit that fits: 5.8 PB."""
    return _scaled(number, _SIZES, digits, " B")


def duration(seconds: float, digits: int = 3) -> str:
    """Seconds in a unit that fits: 1.3 s, 12 min, 3.1 h, 1.06M h."""
    if seconds >= 2 * 3_600:
        return f"{_scaled(seconds / 3_600, _COUNTS, digits)} h"
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def money(dollars: float, digits: int = 3) -> str:
    """US dollars: 1.2M, 3.5, less than a cent as 0."""
    return _scaled(dollars, _COUNTS, digits) if dollars >= 0.005 else "0"


def _scaled(number: float, units: tuple[tuple[float, str], ...], digits: int, smallest: str = "") -> str:
    for unit, name in units:
        if float(f"{number:.{digits}g}") >= unit:
            return f"{_rounded(number / unit, digits)}{name}"
    return f"{_rounded(number, digits)}{smallest}"


def _rounded(number: float, digits: int) -> str:
    return f"{number:.0f}" if number >= 10**digits else f"{number:.{digits}g}"
