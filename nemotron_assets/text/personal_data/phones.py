"""Telephone numbers: with a country code (+49 30 123456), after a cue such as "phone:", or grouped as 212-456-1414.

A candidate is a run of digits, spaces and punctuation. It is a telephone number if it is valid in its country's
numbering plan (library phonenumbers), and neither a date, years, a version nor a decimal. `phone_cues` knows the words
before a number.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.personal_data import phone_cues
from nemotron_assets.text.personal_data.spans import Span, continues, in_word

_INTERNATIONAL = re.compile(r"\+\(?[1-9][0-9()./\- ]{6,24}")
_NATIONAL = re.compile(r"[0-9(][0-9()./\- ]{6,24}")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?\(?[2-9][0-9]{2}(?:\) ?|[ .-])[2-9][0-9]{2}[ .-][0-9]{4}")
#: What is written like a telephone number, but is none.
_OTHER_FORMS = re.compile(
    r"(?:19|20)[0-9]{2}([-./ ])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])"  # 2023-11-17
    r"|(?:0?[1-9]|[12][0-9]|3[01])([-./])(?:0?[1-9]|[12][0-9]|3[01])\2(?:19|20)[0-9]{2}(?![0-9])"  # 17.11.2023
    r"|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"  # 20231117
    r"|(?:(?:19|20)[0-9]{2}[ /.()-]{1,3})+(?:19|20)[0-9]{2}(?![0-9])"  # 2015 2016 2017
    r"|97[89][- ]?[0-9][0-9 -]{8,13}[0-9](?![0-9])"  # ISBN-13
    r"|[0-9]{1,3}\.[0-9]{1,3} ?- ?[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])"  # 7.35-7.45
    r"|[0-9]{1,3}(?: 000){2,}"  # 12 000 000
    r"|[0-9]-[0-9]{1,7}-[0-9]{1,7}-[0-9Xx](?![0-9])"  # ISBN-10
    r"|(?!0)(?:[0-9]{4} ){2,}[0-9]{4}(?![0-9])"  # 1920 1080 1280
    r"|(?:[0-9][ .-]){5}"  # 0 1 2 3 4 5
    r"|[0-9]+\.[0-9]+(?![0-9. -])"  # 0.123456789
    r"|(?!(?:[0-9]{2}\.){3})[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])"  # 192.168.100.200
    r"|0?1234567|123[ .-]?456[ .-]?7890|([0-9])\3{6}"  # 1234567890, 1111111111
)
#: A group of one digit between dots or at the end after a dot: 10.0.15254, 7.0 7.4 6.8. "8.800.555.35.35" has none.
_VERSION = re.compile(r"\.[0-9](?![0-9])|^[0-9]{1,3}\.[0-9]{1,2}\.[0-9]{4,}$")
#: A number goes on after these: 10.0.15254|.603, 09|:30, 1|,5. After "/" and "-" an extension may stand.
_GOES_ON = re.compile(r"[.:,][0-9]")
_MAX_GROUPS, _MAX_PARSES = 4, 5_000
#: Numbers that regulators reserve for fiction and examples: {country code: starts of the national number}.
_FICTITIOUS = {
    33: ("199001", "199002", "26191", "35301", "46571", "53649", "639980"),
    44: ("1134960", "1144960", "1154960", "1164960", "1174960", "1184960", "1214960", "1314960", "1414960", "1514960",
         "1614960", "1632960", "1914980", "2079460", "2896496", "2920180", "3069990", "7700900", "8081570", "9098790"),
    49: ("3023125", "4066969", "6990009", "8999998", "1713920", "17604069", "15228817386"),
    61: ("25550", "27010", "35550", "37010", "75550", "77010", "85550", "87010", "491570", "1800160401", "180097570"),
}  # fmt: skip


def phones(text: str, recipe: Privacy) -> Iterator[Span]:
    """The telephone numbers in a text: first those with a country code, then national ones of the recipe's regions."""
    taken, parses = -1, iter(range(_MAX_PARSES))
    for found in _INTERNATIONAL.finditer(text) if "+" in text else ():
        start = found.start()
        if start and (in_word(text[start - 1]) or text[start - 1] == "+"):
            continue
        if end := _phone_end(text, start, found.end(), (None,), recipe, parses):
            opened = text.startswith("(", start - 1, start) and ")" in text[start:end].partition("(")[0]
            yield start - opened, end
            taken = end
    for found in _NATIONAL.finditer(text):
        start, end = found.span()
        if start < taken or (start and (in_word(text[start - 1]) or text[start - 1] in "+_")):
            continue
        if _digits(found[0]) < 7 or _OTHER_FORMS.match(found[0]):
            continue
        before = text[max(0, start - phone_cues.WINDOW) : start]
        if phone_cues.announces_phone(before, found[0]):
            if stop := _phone_end(text, start, end, recipe.phone.regions, recipe, parses):
                yield start + (text[start] == "(" and ")" not in text[start:stop]), stop
        elif "US" in recipe.phone.regions and before[-1:] not in tuple(".-/"):
            shaped = _NORTH_AMERICAN.match(text, start)
            if not shaped or continues(text, shaped.end()) or phone_cues.names_other_number(before):
                continue
            if _phone_end(text, start, shaped.end(), ("US",), recipe, parses) == shaped.end():
                yield shaped.span()


def _digits(candidate: str) -> int:
    return sum(map(str.isdigit, candidate))


def _phone_end(
    text: str, start: int, end: int, regions: tuple[str | None, ...], recipe: Privacy, parses: Iterator[int]
) -> int | None:
    """Where the longest valid number that begins at `start` ends, or None if no valid number begins there.

    The number is shortened group by group from `end`: of "030 123456 2024" the groups "030 123456" are tried next.
    `regions` are the countries of which it may be a national number, (None,) where the number has a country code.
    `parses` limits how many candidates of one text are parsed. Beyond the limit any candidate of up to 15 digits counts
    as a number: only a directory, or a page made to waste time, has so many candidates.
    """
    for _ in range(_MAX_GROUPS):
        while end > start and not text[end - 1].isdigit():
            end -= 1
        number = text[start:end]
        digits = _digits(number)
        if digits < 7:
            return None
        goes_on = in_word(text[end : end + 1]) or _GOES_ON.match(text, end)
        if digits <= 17 and not goes_on and (regions == (None,) or not _VERSION.search(number)):
            for region in regions:
                if next(parses, None) is None:
                    return end if digits <= 15 else None
                if _valid_number(number, region):
                    return None if recipe.keep_examples and _is_fictitious(number, region) else end

                    return None
        while end > start and text[end - 1].isdigit():  # drop the last group of digits
            end -= 1
    return None


@functools.lru_cache(maxsize=16384)
def _valid_number(number: str, region: str | None) -> tuple[int, str] | None:
    """(country code, national number) of a number that is valid in its country's numbering plan, else None."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return parsed.country_code, phonenumbers.national_significant_number(parsed)


def _is_fictitious(number: str, region: str | None) -> bool:
    """Whether the number is reserved for fiction and examples, such as +1 212-555-0100. A national number is too if it
    is reserved in one of the countries that reserve such numbers: "020 7946 0018" would be a number in Italy."""
    for country, national in filter(None, (_valid_number(number, r) for r in (region, "GB", "DE", "FR", "AU"))):
        if national[3:8] == "55501" if country == 1 else national.startswith(_FICTITIOUS.get(country, ("none",))):
            return True
    return False
