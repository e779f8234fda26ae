"""Telephone numbers: with a country code (+49 30 123456), after a cue such as "phone:", or grouped as 212-456-1414.

A candidate is a run of digits, spaces and punctuation. It is a telephone number if it is valid in its country's
numbering plan (library phonenumbers).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.personal_data.spans import Span, continues

_INTERNATIONAL = re.compile(r"\+\(?[1-9][0-9()./\- ]{6,24}")
_NATIONAL = re.compile(r"[0-9(][0-9()./\- ]{6,24}")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?\(?[2-9][0-9]{2}(?:\) ?|[ .-])[2-9][0-9]{2}[ .-][0-9]{4}")
_CUE = re.compile(
    r"(?:\b(?:tel|telephone|phone|ph|fax|mobile|mob|cell|cellphone|hotline|whatsapp|telefon|telefax|telefonnummer|handy|"
    r"mobil|telefono|teléfono|tél|téléphone|telephon|telefone|celular|móvil|movil|cellulare|telefoon|tlf|komórka|тел|"
    r"телефон|факс|моб)|电话|電話|手机|手機|传真|傳真|携帯|전화|팩스|휴대폰|โทร|โทรศัพท์|แฟกซ์|هاتف|جوال|فاكس|تليفون)"
    r"(?:[ .]{0,2}(?:no|nr|number|num|nummer|n°|№|番号|번호|หมายเลข))?[\s:.\-=#/\"'：]{0,6}\Z",
    re.IGNORECASE,
)
_CUE_WINDOW = 36
_MAX_GROUPS, _MAX_PARSES = 4, 5_000
#: Numbers that regulators reserve for fiction and examples: (country code, start of the national number).
_FICTITIOUS = ((44, "1632960"), (44, "7700900"), (44, "2079460"), (33, "199001"), (33, "639980"), (61, "491570"))


def phones(text: str, recipe: Privacy) -> Iterator[Span]:
    """The telephone numbers in a text: first those with a country code, then national ones of the recipe's regions."""
    taken, parses = -1, iter(range(_MAX_PARSES))
    for found in _INTERNATIONAL.finditer(text) if "+" in text else ():
        start = found.start()
        if start and (text[start - 1].isalnum() or text[start - 1] in "+_"):
            continue
        if end := _phone_end(text, start, found.end(), None, recipe, parses):
            opened = text.startswith("(", start - 1, start) and ")" in text[start:end].partition("(")[0]
            yield start - opened, end
            taken = end
    for found in _NATIONAL.finditer(text):
        start, end = found.span()
        before = text[max(0, start - _CUE_WINDOW) : start]
        if start < taken or before[-1:].isalnum() or before[-1:] in ("+", "_"):
            continue
        if _CUE.search(before):
            for region in recipe.phone.regions:
                if stop := _phone_end(text, start, end, region, recipe, parses):
                    yield start, stop
                    break
        elif "US" in recipe.phone.regions and before[-1:] not in tuple(".-/"):
            shaped = _NORTH_AMERICAN.match(text, start)
            if (
                shaped
                and not continues(text, shaped.end())
                and (_phone_end(text, start, shaped.end(), "US", recipe, parses) == shaped.end())
            ):
                yield shaped.span()


def _phone_end(
    text: str, start: int, end: int, region: str | None, recipe: Privacy, parses: Iterator[int]
) -> int | None:
    """Where the longest valid number that begins at `start` ends, or None if no valid number begins there.

    The number is shortened group by group from `end`: of "030 123456 2024" the groups "030 123456" are tried next.
    `region` is the country of a national number, None where the number has a country code. `parses` limits how many
    candidates of one text are parsed. Beyond the limit any candidate of up to 15 digits counts as a number: only a
    directory, or a page made to waste time, has so many candidates.
    """
    for _ in range(_MAX_GROUPS):
        while end > start and not text[end - 1].isdigit():
            end -= 1
        digits = sum(map(str.isdigit, text[start:end]))
        if digits < 7:
            return None
        if digits <= 17 and not (end < len(text) and (text[end].isalnum() or text[end] == "_")):
            if next(parses, None) is None:
                return end if digits <= 15 else None
            number = _valid_number(text[start:end], region)
            if number is not None:
                return None if recipe.keep_examples and _is_fictitious(*number) else end
        while end > start and text[end - 1].isdigit():  # drop the last group of digits
            end -= 1
    return None


@functools.lru_cache(maxsize=4096)
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


def _is_fictitious(country: int, national: str) -> bool:
    """Whether the number is reserved for fiction and examples, such as +1 212-555-0100."""
    if country == 1:
        return national[3:8] == "55501"
    return any(country == code and national.startswith(start) for code, start in _FICTITIOUS)
