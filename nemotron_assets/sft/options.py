"""Questions with options: which options are the same, in which order they stand, and which one an answer chooses.

The place of the right option follows from a hash, so it is the same in every run and says nothing about the answer.
Samples of one question see the options in different orders: a model that always says "A" then never agrees with itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from nemotron_assets.table.ids import content_hash

LETTERS = "ABCDEFGHIJ"

#: A number, with commas between groups of three digits: "1,5" may be 1.5 or two numbers, and is not 15.
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
#: Signs that NFKC would make equal to others (10² to 102), or would leave different from them (a minus sign).
_SIGNS = str.maketrans({"−": "-", "﹣": "-", "－": "-"} | {sign: f"^{n}" for n, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_CHOICE = re.compile(r"(?:the )?(?:correct |right |final )?answer(?: is)? ?:? ?\(?([A-J])\)?[.)]?", re.I)


def key(option: str) -> str:
    """What makes two options the same: "  Blue whale. " and "blue Whale" are, and so are "1,000" and "1000.0"."""
    text = unicodedata.normalize("NFKC", option.translate(_SIGNS)).strip().strip(".;:!?").strip().casefold()
    if _NUMBER.fullmatch(text):
        digits = text.replace(",", "").lstrip("+")
        digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
        return "0" if digits in ("-0", "-", "") else digits
    return " ".join(text.split())


def distinct(options: Sequence[str]) -> list[str]:
    """The options without those that equal an earlier one, and without empty ones."""
    found: dict[str, str] = {}
    for option in options:
        if key(option):
            found.setdefault(key(option), option.strip())
    return list(found.values())


def arranged(right: str, wrong: Sequence[str], count: int, seed: str) -> list[str] | None:
    """`count` different options with the right one among them, in an order that `seed` decides; None if there are too
    few. The first wrong options are taken."""
    options = distinct([right, *wrong])[:count]
    if len(options) < count:
        return None
    others = sorted(options[1:], key=lambda option: content_hash(f"{seed}\x1f{option}"))
    place = int(content_hash(seed)[:8], 16) % count
    return [*others[:place], options[0], *others[place:]]


def turned(options: Sequence[str], turn: int) -> list[str]:
    """The options moved on by `turn` places. Each of `len(options)` turns puts another option first."""
    at = turn % len(options)
    return [*options[at:], *options[:at]]


def with_options(question: str, options: Sequence[str]) -> str:
    """A question with its options, one per line: "A. 7"."""
    return "\n".join([question, *(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))])


def chosen(answer: str, count: int) -> int | None:
    """The number of the option that an answer chooses: 1 for "Answer: B". None if the answer says anything else, or
    names an option that does not exist."""
    found = _CHOICE.fullmatch(answer.strip())
    number = LETTERS.index(found[1].upper()) if found else count
    return number if number < count else None
