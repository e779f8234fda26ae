"""Replacing personal data in a text as the recipe says: by a token such as [email], or by a made-up value."""

from __future__ import annotations

import hashlib
import ipaddress
from collections import Counter
from dataclasses import dataclass

from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.personal_data.finding import find, with_plain_signs
from nemotron_assets.text.personal_data.payment import EXAMPLE_IBANS, TEST_CARDS

_MAX_PASSES = 20


class UnstableText(ValueError):
    """Each round of replacing personal data in a text made new personal data."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text after the rules. `counts` has the number of matches per rule; `dropped` says whether a rule wants the
    whole document dropped."""

    text: str
    counts: dict[str, int]
    dropped: bool


def scrub(text: str, recipe: Privacy) -> Scrubbed:
    """The text with its personal data replaced as the recipe says. Scrubbing the result again changes nothing.

    Raises `UnstableText` if new personal data appears in 20 rounds of replacing.
    """
    rules, counts = recipe.rules(), Counter()
    kept = {name for name, rule in rules.items() if rule.action == "keep"}
    counts.update(match.rule for match in find(text, recipe, kept))
    # What overlapped a replaced match may be a match by itself afterwards, so one round is not always enough.
    for _ in range(_MAX_PASSES):
        matches = find(text, recipe, rules.keys() - kept)
        if not matches:
            return Scrubbed(text, dict(counts), False)
        counts.update(match.rule for match in matches)
        if any(rules[match.rule].action == "drop" for match in matches):
            return Scrubbed(text, dict(counts), True)
        pieces, end = [], 0
        for match in matches:
            pieces += [text[end : match.start], _replacement(text[match.start : match.end], match.rule, recipe)]
            end = match.end
        text = "".join([*pieces, text[end:]])
    raise UnstableText(
        f"{len(matches)} matches are left after {_MAX_PASSES} rounds of replacing personal data: replacements and the "
        "text around them combine into new personal data"
    )


def _replacement(value: str, rule: str, recipe: Privacy) -> str:
    """What stands in the text instead of a value: the recipe's token, or a made-up value of the same kind.

    Made-up values come from the ranges reserved for examples. A value gets the same one wherever it occurs, also when
    it is written differently: "+49 30 123456" and "+49 (30) 123456" are the same number.
    """
    settings = recipe.rules()[rule]
    if settings.replacement == "token":
        return settings.token
    plain = with_plain_signs(value).lower()
    normalised = plain if rule in ("email", "ip") else "".join(filter(str.isalnum, plain))
    digest = hashlib.blake2b(f"{rule}:{normalised}".encode(), key=recipe.fake_key.encode()[:64], digest_size=8).digest()
    number = int.from_bytes(digest)
    match rule:
        case "email":
            return f"user{number % 10**9:09d}@example.com"
        case "phone":
            return f"+1 {_AREA_CODES[number % len(_AREA_CODES)]}-555-01{number // 1000 % 100:02d}"
        case "ip" if ":" in value:
            return str(ipaddress.IPv6Address((0x20010DB8 << 96) + number))
        case "ip":
            return f"{('192.0.2', '198.51.100', '203.0.113')[number % 3]}.{number // 3 % 254 + 1}"
        case "payment_card":
            return TEST_CARDS[number % len(TEST_CARDS)]
        case _:
            return EXAMPLE_IBANS[number % len(EXAMPLE_IBANS)]


#: Area codes of North America; numbers 555-0100 to 555-0199 are reserved for fiction in all of them.
_AREA_CODES = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 301, 302, 303)
