r"""Words after the value of an answer: "42 million" is 42,000,000 and "42 apples" is 42, but "42 is wrong", "42 minus
one" and `\boxed{42}` or 43 do not state 42. math-verify reads none of them.
"""

from __future__ import annotations

import re

_POWERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = rf"(?:({'|'.join(_POWERS)})s?|per\s?cent)(?![A-Za-z])"
#: A word of scale after a value, perhaps as the first one of a text: 42\text{ million people}.
_SCALED = re.compile(
    rf"(?<=[\d}})\]])(?:\s|~|\\[,;: !])*(\\(?:text|mbox|mathrm|textrm)\s*\{{\s*)?{_SCALE}", re.IGNORECASE
)
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textrm)\s*\{([^{}]*)\}")
_DIRECTLY = (
    r"(?:not|nope?|never|wrong|incorrect|false|isn['’]?t|wasn['’]?t|minus|plus|divided|multiplied|squared|cubed"
    r"|(?:times|and|over|point)\s+(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|half))\b"
)
#: Inside an answer they may stand anywhere after the value; after its box, only at once: "42 is wrong".
_INSIDE = re.compile(rf"(?<=[\d}})\]])[^\d]*?(?<![\w\\])({_DIRECTLY})", re.IGNORECASE)
_AFTER = re.compile(
    rf"(?:(?:is|was|are)\s+)?({_DIRECTLY}|(?:or|nor)\b(?!\s+(?:equivalently|approximately|about|roughly|simply|so)\b))",
    re.IGNORECASE,
)
#: What may stand between a value and words that belong to it: the end of its box, of its mathematics, of bold type.
_END = re.compile(r"[}$*~ \t]*(?:\\[)\]])?[}$*~ \t]*")


def scaled(text: str) -> str:
    r"""A text with "million" after a value as \cdot 10^{6}, and "percent" as \%."""

    def factor(word: re.Match[str]) -> str:
        return (rf" \cdot 10^{{{_POWERS[word[2].lower()]}}} " if word[2] else r"\% ") + (word[1] or "")

    return re.sub(r"\\(?:text|mbox|mathrm|textrm)\s*\{\s*\}", "", _SCALED.sub(factor, text)).strip()


def scale(following: str) -> str:
    """The word of scale with which the words after a value begin; "" if there is none."""
    word = re.match(_SCALE, following, re.IGNORECASE)
    return word[0] if word else ""


def following(value: str, response: str) -> str:
    """What follows the last place of a value on its line, at most 100 characters; "" for a value in no place."""
    places = [place.end() for place in re.finditer(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)", response)]
    if not places:
        return ""
    rest = response[places[-1] : places[-1] + 100].split("\n")[0]
    return _TEXT.sub(r"\1", rest[_END.match(rest).end() :]).strip()


def taken_back(answer: str, following: str) -> str:
    """The word in an answer, or in what follows it, that makes another value of its value; "" if there is none."""
    found = _INSIDE.search(_TEXT.sub(r" \1 ", answer)) or _AFTER.match(following)
    return found[1] if found else ""
