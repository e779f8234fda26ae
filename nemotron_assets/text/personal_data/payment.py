"""Payment card numbers and bank account numbers (IBAN), recognised by their ranges, lengths and check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.personal_data import phone_cues
from nemotron_assets.text.personal_data.spans import Span, continues, in_word

_CARD = re.compile(
    r"[2-6][0-9]{3}(?:[0-9]{9,15}|([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3})?|([ -])[0-9]{6}\2[0-9]{4,5})"
)
#: Four more digits before a number: it is the end of a longer one.
_LONGER = re.compile(r"(?<![0-9])[0-9]{4}[ -]\Z")
#: (first and last prefix of an issuer's range, lengths of its card numbers).
_ISSUERS = (
    ((4, 4), (13, 16, 19)), ((51, 55), (16,)), ((2221, 2720), (16,)), ((34, 34), (15,)), ((37, 37), (15,)),
    ((6011, 6011), (16, 17, 18, 19)), ((644, 659), (16, 17, 18, 19)), ((300, 305), (14, 16)), ((36, 36), (14, 16)),
    ((38, 39), (14, 16)), ((3528, 3589), (16, 17, 18, 19)), ((62, 62), (16, 17, 18, 19)), ((2200, 2204), (16,)),
    ((5018, 5018), (16, 19)), ((5020, 5020), (16, 19)), ((5038, 5038), (16, 19)), ((6304, 6304), (16, 19)),
    ((6759, 6759), (16, 19)), ((6761, 6763), (16, 19)),
)  # fmt: skip
#: Numbers that card networks and payment services publish for testing.
TEST_CARDS = (
    "4111111111111111", "4242424242424242", "4012888888881881", "4000056655665556", "4222222222222", "5555555555554444",
    "5105105105105100", "5200828282828210", "2223003122003222", "378282246310005", "371449635398431", "378734493671000",
    "6011111111111117", "6011000990139424", "30569309025904", "38520000023237", "3530111333300000", "3566002020360505",
    "6200000000000005",
)  # fmt: skip


def cards(text: str, recipe: Privacy) -> Iterator[Span]:
    """The payment card numbers in a text, written together or in groups: 4539 9458 0730 2151."""
    for found in _CARD.finditer(text):
        start, end = found.span()
        if start and (in_word(text[start - 1]) or text[start - 1] in ".-+/#&"):
            continue
        if _LONGER.search(text, max(0, start - 6), start):
            continue  # 9400 1112 0255 5838 1234 56
        if continues(text, end) or phone_cues.names_other_number(text[max(0, start - phone_cues.WINDOW) : start]):
            continue
        digits = found[0].replace(" ", "").replace("-", "")
        if is_card_number(digits) and not (recipe.keep_examples and digits in TEST_CARDS):
            yield start, end


def is_card_number(digits: str) -> bool:
    """Whether a card network issues numbers with this prefix and length, and the check digit (Luhn) is correct."""
    issued = any(
        len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last
        for (first, last), lengths in _ISSUERS
    )
    if not issued:
        return False
    doubled = (2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


_IBAN = re.compile(r"[A-Z][A-Z][0-9]{2} ?[A-Z0-9]{4}")
#: Length of an IBAN in characters, per country (from the IBAN registry).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
#: IBANs that documentation of banks uses as examples.
EXAMPLE_IBANS = (
    "DE89370400440532013000",
    "GB82WEST12345698765432",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "CH9300762011623852957",
    "ES9121000418450200051332",
)


def ibans(text: str, recipe: Privacy) -> Iterator[Span]:
    """The IBANs in a text, written together or in groups: DE44 5001 0517 5407 3249 31."""
    for found in _IBAN.finditer(text):
        start, length = found.start(), _IBAN_LENGTHS.get(found[0][:2])
        if length is None or (start and in_word(text[start - 1])):
            continue
        number, place = [], start
        for place in range(start, min(len(text), start + length + length // 4 + 1)):
            character = text[place]
            if "0" <= character <= "9" or "A" <= character <= "Z":
                number.append(character)
            elif character != " " or text[place - 1] == " ":
                break
            if len(number) == length:
                break
        end, iban = place + 1, "".join(number)
        if len(iban) != length or continues(text, end) or not is_iban(iban):
            continue
        if not (recipe.keep_examples and iban in EXAMPLE_IBANS):
            yield start, end


def is_iban(iban: str) -> bool:
    """Whether the check digits of an IBAN without spaces are correct (ISO 7064, mod 97)."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1
