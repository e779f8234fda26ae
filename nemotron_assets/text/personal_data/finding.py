"""Finding personal data of all kinds in a text, in order and without overlaps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.personal_data.emails import emails
from nemotron_assets.text.personal_data.ip_addresses import ip_addresses
from nemotron_assets.text.personal_data.payment import cards, ibans
from nemotron_assets.text.personal_data.phones import phones
from nemotron_assets.text.personal_data.spans import Span

#: Rule name -> function that yields the matches of the rule in a text.
_FINDERS: dict[str, Callable[[str, Privacy], Iterator[Span]]] = {
    "email": emails,
    "iban": ibans,
    "payment_card": cards,
    "ip": ip_addresses,
    "phone": phones,
}


@dataclass(frozen=True, slots=True)
class Match:
    """One piece of personal data: `text[start:end]`, found by the rule with that name."""

    start: int
    end: int
    rule: str


def find(text: str, recipe: Privacy, rules: set[str] | None = None) -> list[Match]:
    """Personal data in a text by the named rules (default: all), in order and without overlaps."""
    plain = with_plain_signs(text)
    found = [
        Match(start, end, name)
        for name in _FINDERS
        if rules is None or name in rules
        for start, end in _FINDERS[name](plain, recipe)
    ]
    if len(found) < 2:
        return found
    # Where matches overlap, the one that starts first wins, then the longest, then the one whose rule is listed first.
    found.sort(key=lambda match: (match.start, match.start - match.end))
    chosen = [found[0]]
    for match in found[1:]:
        if match.start >= chosen[-1].end:
            chosen.append(match)
    return chosen


# Digits of other scripts, special spaces and hyphens, marks of direction, and full-width signs: "＠", "：", "ｊａｎｅ".
# Each is replaced by one character, so that positions stay.
_PLAIN = {0xA0: " ", 0x2007: " ", 0x2009: " ", 0x200E: " ", 0x200F: " ", 0x202F: " ", 0x2010: "-", 0x2011: "-",
          0x2012: "-", 0x2013: "-", 0x2212: "-", 0x3000: " "}  # fmt: skip
_PLAIN |= {0xFF00 + place: chr(0x20 + place) for place in range(1, 0x5F)}
_PLAIN |= dict.fromkeys((0x202A, 0x202B, 0x202C, 0x2066, 0x2067, 0x2068, 0x2069), " ")
_ZEROS = (0x660, 0x6F0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0x1040, 0x17E0, 0xFF10)
_PLAIN |= {zero + digit: str(digit) for zero in _ZEROS for digit in range(10)}
_UNUSUAL = re.compile("[" + "".join(map(chr, _PLAIN)) + "]")


def with_plain_signs(text: str) -> str:
    """The text with ASCII digits, spaces, hyphens, + and @ in the place of their variants; its length is the same.

    "٣" becomes "3", a no-break space becomes a space.
    """
    return text if text.isascii() else _UNUSUAL.sub(lambda sign: _PLAIN[ord(sign[0])], text)
