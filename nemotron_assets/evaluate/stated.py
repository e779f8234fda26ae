r"""Finds what a written answer states: the letter of a choice, or a short text, as in "Answer: Westphalia"."""

from __future__ import annotations

import re
import unicodedata

_BOX = r"\\boxed\s*\{\s*(?:\\text(?:bf)?\s*\{)?\s*"
_LETTER_IN_BOX = re.compile(_BOX + r"\(?([A-Z])\)?(?![A-Za-z])")
#: The letter is a capital one: "the answer is a number" states no choice. Neither does "the answer is I don't know".
_LETTER = re.compile(r"(?i:answer\s+is):?\s*\**\(?([A-Z])\)?(?![A-Za-z'’])(?!(?<=I) [a-z])")
_LINE = re.compile(
    r"^\W*(?:(?:exact|final|correct)\s+)?answer\s*\**\s*:\s*\**[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE
)
_TEXT_IN_BOX = re.compile(_BOX + r"([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_ALONE = re.compile(r"\(?([A-Z])\)?(?:[).:,\s].*)?", re.DOTALL)
_AROUND = " \t\n$*`\"'“”.()"


def letter(answer: str) -> str | None:
    """The letter of the choice that an answer states: the last one in a box, else the last one after "answer is"."""
    found = _LETTER_IN_BOX.findall(answer) or _LETTER.findall(answer)
    return found[-1] if found else None


def short(answer: str) -> str | None:
    """The short text that an answer states: after the last "Answer:" at the beginning of a line, else in the last
    box. None if it states none."""
    found = _LINE.findall(answer) or _TEXT_IN_BOX.findall(answer)
    return found[-1].strip() if found else None


def same(said: str, right: str) -> bool:
    """Whether a short text is the right one, but for upper case, white space and signs around it. Of a right letter,
    "B", "(B)" and "B. The second" are the same."""
    if len(right) == 1 and right.isupper():
        found = _ALONE.fullmatch(said.strip(" \t$*`"))
        return bool(found) and found[1] == right
    return bool(_plain(said)) and _plain(said) == _plain(right)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().strip(_AROUND).split())
