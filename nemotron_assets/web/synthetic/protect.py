"""What must not be translated: it is taken out of a line before and put back after, byte for byte.

Code, formulas, addresses, tags, placeholders and numbers are replaced by short names in braces, {A}, {B}, ... {AA}:
language models carry those through a translation, and letters leave no digit in the line, so that every digit a model
writes is its own. `restore` refuses a text in which a name is missing, doubled or invented.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# Spans have an upper bound, so that an opening mark without its closing one costs no second look at the whole text.
_LETTERED_UNITS = (
    r"[kKMGTPE]i?[Bb](?:/s|ps)?|[kMGT]?Hz|[nµμmck]m|km/h|m/s|[µμmk]g|[mcd][lL]|[nµμm]s|[kMG]?Wh|[kMG]W|[kM]V|mA|[kM]?Pa|px|"
    r"dpi|dB|fps|rpm"
)
_PIECES = {
    "fence": r"```[\s\S]{0,8000}?```|~~~[\s\S]{0,8000}?~~~",
    "display": r"\$\$[^$]{1,4000}\$\$|\\\[[\s\S]{1,4000}?\\\]",
    "environment": r"\\begin\{(?P<env>[A-Za-z]{1,20}\*?)\}[\s\S]{0,8000}?\\end\{(?P=env)\}",
    "code": r"``[^\n]{1,400}?``|`[^`\n]{1,400}`",
    # Pandoc's rule: no blank inside the dollars, no digit after them; "$5 and $6" is money.
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
    "mark": r"[{}<>]",  # no piece begins or ends here, but placeholders and the answer's wrapping use them
}
_PIECE = re.compile("(?:" + "|".join(f"(?:{pattern})" for pattern in _PIECES.values()) + ")+")
_PLACEHOLDER = re.compile(r"\{([A-Z]{1,4})\}")
_BRACES = re.compile(r"[{}]")

#: English words that a translation may write in digits.
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
    """A text in which protected pieces are missing, doubled or invented; the message says which."""


@dataclass(frozen=True)
class Protected:
    """A line with names in braces where its protected `pieces` stood; piece n is named `name(n)`."""

    text: str
    pieces: tuple[str, ...]


def name(number: int) -> str:
    """The placeholder of a piece: {A}, ... {Z}, {AA}, ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{{{letters}}}"


def lines(text: str) -> list[str]:
    """The lines of a text. A line break inside a protected piece (fenced code, a displayed formula) ends none."""
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
    """Replace what must not be translated by names. `restore` of the result is the line."""
    pieces: list[str] = []

    def take(match: re.Match[str]) -> str:
        pieces.append(match[0])
        return name(len(pieces) - 1)

    return Protected(_PIECE.sub(take, line), tuple(pieces))


def restore(text: str, pieces: Sequence[str]) -> str:
    """Put the pieces back. Raises `ProtectionError` unless the names in `text` stand for exactly these pieces, each as
    often as it was there, and no other brace is left."""
    numbers = {name(number): number for number in range(len(pieces))}
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


def bare(text: str) -> str:
    """A text with names in braces, without them: what a model wrote itself."""
    return _PLACEHOLDER.sub("", text)


def numbers(text: str) -> Counter[str]:
    """How often each run of digits occurs, in any script's digits."""
    return Counter("".join(str(unicodedata.decimal(digit)) for digit in digits) for digits in re.findall(r"\d+", text))


def numbers_kept(source: str, translation: str) -> bool:
    """Whether a translation has the numbers of its English source and no other, except in digits what the source
    says in words ("two")."""
    before, after = numbers(source), numbers(translation)
    words = Counter(_SPELLED[word] for word in re.findall(r"[a-z]+", source.lower()) if word in _SPELLED)
    return not before - after and not (after - before) - words
