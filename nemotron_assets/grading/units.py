"""Compares the units of two answers: 42 km are 42,000 m, and not 42 m. math-verify skips units.

sympy knows the units of physics, their usual names and how they convert. It does not know apples and dollars: such
words can be the same or not, but nothing says whether 8 coins are 8 gold coins.
"""

from __future__ import annotations

import re
from typing import Any

from nemotron_assets.grading import trailing

_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textrm)\s*\{([^{}]*)\}")
_WORD = r"[A-Za-zµμ/][A-Za-zµμ/·²³{}-]*(?:\^\{?-?\d\}?)?"
#: A number or a formula without letters of its own, and words after it: "42 km/h", "\frac{1}{2} square metres".
_WITH_UNIT = re.compile(rf"((?:\\[A-Za-z]+|[^A-Za-zµμ\\])*(?:[\d}})\]]|\\[A-Za-z]+))(\s*)({_WORD}(?:\s+{_WORD})*)")
#: Up to five words after a value.
_FOLLOWING = re.compile(rf"(?:\s*{_WORD}(?:\s+{_WORD}){{0,4}})?")
_WORDS = {"²": "^2", "³": "^3", "·": " ", "*": " ", "μ": "u", "µ": "u", "{": "", "}": ""}
_NAMES = {
    "hr": "hour", "hrs": "hour", "sec": "second", "secs": "second", "min": "minute", "mins": "minute",
    "week": "7 day", "weeks": "7 day", "mph": "mile/hour", "kmh": "km/hour",
    "kph": "km/hour", "lb": "pound", "lbs": "pound", "ton": "tonne", "tons": "tonne",
}  # fmt: skip
_FACTOR = re.compile(r"([A-Za-z]+)(?:\^(-?\d))?")


def split(answer: str) -> tuple[str, str]:
    """(value, unit) of an answer. For an answer without a unit, the unit is "" and the value is the whole answer.
    Letters that are not a unit, such as x in 42x and ab in 2 ab, are part of the value."""
    found = _WITH_UNIT.fullmatch(_TEXT.sub(r" \1", answer).strip())
    if found is None:
        return answer, ""
    unit = " ".join(found[3].split())
    if found[2]:  # words, or what sympy knows
        is_unit = all(len(word) > 2 for word in unit.split()) or _unit(unit) is not None
    else:
        is_unit = len(unit) > 1 and _unit(unit) is not None
    return (found[1].strip(), unit) if is_unit else (answer, "")


def after(value: str, response: str) -> str:
    """The unit that stands after a value in a response, the longest one that sympy knows: "km per hour" in "It is 42 km
    per hour then." If sympy knows no part of the words, all of them are the unit; "" if no words follow."""
    places = [place.end() for place in re.finditer(rf"(?<![\w.]){re.escape(value)}(?![\w.])", response)]
    words = _FOLLOWING.match(response, places[-1])[0].split() if places else []
    words = words[1:] if words and trailing.scale(words[0]) else words
    known = (" ".join(words[:number]) for number in range(len(words), 0, -1))
    return next((unit for unit in known if _unit(unit) is not None), " ".join(words))


def times(one: str, other: str) -> Any | None:
    """How many times the unit `other` goes into the unit `one`: 1000 for km and m, 0 if they measure different things.
    None if the two cannot be compared. Two units that sympy does not know are the same if all words of one are in the
    other: gold coins are coins."""
    from sympy import pi
    from sympy.physics import units

    if (mine := _bare(one)) == (others := _bare(other)):
        return 1
    first, second = _unit(one), _unit(other)
    if first is None or second is None:
        return 1 if first is second is None and (mine >= others or others >= mine) else None
    base = [units.meter, units.kilogram, units.second, units.ampere, units.kelvin, units.mole, units.candela, units.bit]
    ratio = units.convert_to((first / second).subs(units.degree, pi * units.radian / 180), base)
    return 0 if ratio.atoms(units.Quantity) else ratio


def _bare(unit: str) -> frozenset[str]:
    """The words of a unit without plural s and capital letters. In words of up to three letters both stay: mm is not
    Mm."""
    words = _plain(unit).split()
    return frozenset(word.casefold().removesuffix("s") if len(word) > 3 else word for word in words)


def _plain(unit: str) -> str:
    """A unit as factors and divisions: "square metres per second" is "meters^2 / second"."""
    for sign, instead in _WORDS.items():
        unit = unit.replace(sign, instead)
    unit = re.sub(r"\bper\b|/", " / ", re.sub(r"(?<=t)re(?=s?\b)", "er", unit))
    unit = re.sub(r"\bsquared?\s+([a-zA-Z]+)|\b([a-zA-Z]+)\s+squared\b", r"\1\2^2", unit)
    unit = re.sub(r"\bcubic\s+([a-zA-Z]+)|\b([a-zA-Z]+)\s+cubed\b", r"\1\2^3", unit)
    return " ".join(unit.split())


def _unit(text: str) -> Any | None:
    """A unit as an expression of sympy; None if sympy does not know a part of the unit."""
    from sympy import Integer

    found, sign = Integer(1), 1
    for word in _plain(text).split():
        if word == "/":
            sign = -1
            continue
        factor = _FACTOR.fullmatch(word)
        known = _named(factor[1]) if factor else None
        if known is None:
            return None
        found *= known ** (sign * int(factor[2] or 1))
    return found


def _named(name: str) -> Any | None:
    from sympy import Integer
    from sympy.physics import units

    name = name if hasattr(units, name) else name.casefold()
    if name in _NAMES:
        name = _NAMES[name]
        number, _, rest = name.rpartition(" ")
        return Integer(number or 1) * _unit(rest)
    found = getattr(units, name, None)
    return found if isinstance(found, units.Quantity) else None
