"""Protects the pieces of a line that must not be translated: placeholders stand for them while a model translates.

Code, formulas, addresses, tags, format strings and numbers are replaced by {A}, {B}, ... {Z}, {AA}: "It weighs 2 kg."
becomes "It weighs {A}.". Language models copy such names into a translation. The names have letters, so a protected
line has no digits, and every digit in an answer was invented by the model. `restore` puts the pieces back byte for
byte. It refuses a text in which a placeholder is missing, doubled or invented.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# All repetitions are bounded. Otherwise each opening mark without a closing one would be searched to the end of the
# text.
_LETTERED_UNITS = (
    r"[kKMGTPE]i?[Bb](?:/s|ps)?|[kMGT]?Hz|[nµμmck]m|km/h|m/s|[µμmk]g|[mcd][lL]|[nµμm]s|[kMG]?Wh|[kMG]W|[kM]V|mA|[kM]?Pa|px|"
    r"dpi|dB|fps|rpm"
)
_PIECES = {
    "fence": r"```[\s\S]{0,8000}?```|~~~[\s\S]{0,8000}?~~~",
    "display": r"\$\$[^$]{1,4000}\$\$|\\\[[\s\S]{1,4000}?\\\]",
    "environment": r"\\begin\{(?P<env>[A-Za-z]{1,20}\*?)\}[\s\S]{0,8000}?\\end\{(?P=env)\}",
    "code": r"``[^\n]{1,400}?``|`[^`\n]{1,400}`",
    # Pandoc's rule: no blank next to the dollars inside, no digit after them. "$5 and $6" is money, not a formula.
    "formula": r"\$(?=[^\s$])[^$\n]{0,1000}?(?<=[^\s\\])\$(?!\d)|\\\([^\n]{1,1000}?\\\)",
    "command": r"\\[A-Za-z]{1,40}(?:\{[^{}\n]{0,200}\})*",
    "address": r"(?:[a-z][a-z0-9+.-]{1,20}://|mailto:|www\.)[^\s<>\"'`{}|\\^]{0,2000}[^\s<>\"'`{}|\\^.,;:!?)\]]",
    "mail": r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}",
    "tag": r"<!--[\s\S]{0,2000}?-->|</?[A-Za-z][^<>\n]{0,500}>|&(?:[A-Za-z]{2,32}|\#\d{1,7}|\#x[0-9a-fA-F]{1,6});",
    "placeholder": r"\$?\{\{?[^{}\n]{0,80}\}\}?|%\([A-Za-z_]\w{0,40}\)[a-z]|(?<![\w%])%[sdif](?!\w)",
    "path": r"(?<![\w/.~])~?/(?:[\w.+-]{1,100}/){0,20}[\w.+-]{0,99}[\w+-]",
    "option": r"(?<![\w-])--[A-Za-z][\w-]{1,40}",
    "name": r"(?<![\w.])[A-Za-z_]\w{0,100}(?:\.[A-Za-z_]\w{1,100}){0,8}\(\)"  # call()
    r"|(?<![\w.])\w{1,100}_\w{1,100}|(?<![\w.])[A-Za-z_]\w{1,100}(?:\.[A-Za-z_]\w{1,100}){1,8}",  # snake_case, a.name
    "number": r"(?:(?<!\w)[-+−±])?(?:[$€£¥₩₹][ ]?)?\d+(?:[.,:/×'’٫٬–-]\d+)*"
    rf"(?:[ ]?(?:%|‰|°[CF]?)|[ ]?(?:{_LETTERED_UNITS})(?!\w)|(?!(?:st|nd|rd|th|s)(?!\w))[A-Za-z]\w*)?(?:[ ]?[€₽₫])?",
    "numbered": r"(?<!\w)[A-Za-z_][A-Za-z_]{0,100}\d\w*(?:\.\d+)*",  # H2O, x86, v1.2.3
    "mark": r"[{}<>]",  # protected even alone, because placeholders and <t></t> use them
}
_PIECE = re.compile("(?:" + "|".join(f"(?:{pattern})" for pattern in _PIECES.values()) + ")+")
_PLACEHOLDER = re.compile(r"\{([A-Z]{1,4})\}")
_BRACES = re.compile(r"[{}]")

#: English words for numbers, which a translation may write in digits: "two" as "2".
_SPELLED = {
    word: str(number)
    for number, words in enumerate(
        (
            "zero",
            "one first once",
            "two second twice both",
            "three third",
            "four fourth",
            "five fifth",
            "six sixth",
            "seven seventh",
            "eight eighth",
            "nine ninth",
            "ten tenth",
            "eleven eleventh",
            "twelve twelfth dozen",
        )
    )
    for word in words.split()
} | {
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
    "thousand": "1000",
}


class ProtectionError(ValueError):
    """A text in which protected pieces are missing, doubled or invented; the message names them."""


@dataclass(frozen=True)
class Protected:
    """A line with placeholders: `placeholder(n)` stands for `pieces[n]`."""

    text: str
    pieces: tuple[str, ...]


def placeholder(number: int) -> str:
    """The placeholder of a piece by its number from 0: {A}, ... {Z}, {AA}, ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{{{letters}}}"


def split_lines(text: str) -> list[str]:
    """The lines of a text. A line break inside a protected piece (fenced code, a displayed formula) does not end a
    line."""
    found, start = [], 0
    inside = [match.span() for match in _PIECE.finditer(text) if "\n" in match[0]]
    for match in re.finditer("\n", text):
        while inside and inside[0][1] <= match.start():
            inside.pop(0)
        if inside and inside[0][0] <= match.start():
            continue
        found.append(text[start : match.start()])
        start = match.end()
    return [*found, text[start:]]


def protect(line: str) -> Protected:
    """Replace the pieces that must not be translated by placeholders. `restore` undoes it."""
    pieces: list[str] = []

    def take(match: re.Match[str]) -> str:
        pieces.append(match[0])
        return placeholder(len(pieces) - 1)

    return Protected(_PIECE.sub(take, line), tuple(pieces))


def restore(text: str, pieces: Sequence[str]) -> str:
    """Put the pieces back. Raises `ProtectionError` unless the placeholders in `text` stand for exactly these pieces,
    each as often as in `pieces`, and no other brace is left."""
    numbers = {placeholder(number): number for number in range(len(pieces))}
    used = Counter(_PLACEHOLDER.findall(text))
    invented = sorted(letters for letters in used if f"{{{letters}}}" not in numbers)
    found = Counter(pieces[numbers[f"{{{letters}}}"]] for letters in used.elements() if letters not in invented)
    wanted = Counter(pieces)
    problems = [
        f"{kind} {', '.join(map(repr, sorted(some)))[:200]}"
        for kind, some in (
            ("invented", invented),
            ("lost", wanted - found),
            ("repeated", found - wanted),
            ("left", _BRACES.findall(_PLACEHOLDER.sub("", text))),
        )
        if some
    ]
    if problems:
        raise ProtectionError("; ".join(problems))
    return _PLACEHOLDER.sub(lambda match: pieces[numbers[match[0]]], text)


def without_placeholders(text: str) -> str:
    """The text without its placeholders."""
    return _PLACEHOLDER.sub("", text)


def count_numbers(text: str) -> Counter[str]:
    """How often each number occurs. A number is a run of decimal digits of any script: "١٢" counts as "12"."""
    return Counter("".join(str(unicodedata.decimal(digit)) for digit in digits) for digits in re.findall(r"\d+", text))


def same_numbers(source: str, translation: str) -> bool:
    """Whether a translation has the numbers of its English source and no others. Numbers that the source writes as
    words ("two") may be digits in the translation."""
    before, after = count_numbers(source), count_numbers(translation)
    words = Counter(_SPELLED[word] for word in re.findall(r"[a-z]+", source.lower()) if word in _SPELLED)
    return not before - after and not (after - before) - words
