r"""Finds what a written answer states: the letter of a choice, or a short text, as in "Answer: Westphalia"."""

from __future__ import annotations

import re
import unicodedata

_BOX = r"\\boxed\s*\{\s*(?:\\text(?:bf)?\s*\{)?\s*"
_LETTER_IN_BOX = re.compile(_BOX + r"\(?([A-Z])\)?(?![A-Za-z])")
#: The letter is a capital one, or in brackets: "the answer is a number" states no choice. Neither do "the answer is I
#: don't know" and "the answer is A hydrogen atom".
_LETTER = re.compile(r"(?i:answer\s+is):?\s*[*$]*(?:\(([A-Za-z])\)|\(?([A-Z])\)?(?![A-Za-z'’])(?!(?<=[AI]) [a-z]))")
_LINE = re.compile(
    r"^[^\w\n]{0,20}(?:(?:exact|final|correct)\s{1,9})?answer\s{0,9}\*{0,3}\s{0,9}:\s{0,9}\*{0,3}[ \t]{0,9}(\S.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_TEXT_IN_BOX = re.compile(_BOX + r"([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_ALONE = re.compile(r"\(?([A-Z])(?:[).:](?!.*\b(?!\1\b)[B-HJ-Z]\b).*)?", re.DOTALL)
_AROUND = " \t\n$*`\"'“”.()"


def letter(answer: str) -> str | None:
    """The letter of the choice that an answer states: the last one in a box, else the last one after "answer is"."""
    if found := _LETTER_IN_BOX.findall(answer):
        return found[-1]
    stated = ["".join(groups).upper() for groups in _LETTER.findall(answer)]
    return stated[-1] if stated else None


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
