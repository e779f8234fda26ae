"""Texts as words: case-folded, hashed, and with their positions in the text.

A word is a run of letters or a run of digits. Words are case-folded, and super- and subscript digits count as digits,
so that notation does not hide an item: x^2, x² and $x^{2}$ are the same two words, "x" and "2".
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import xxhash

_SCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
#: The largest number of characters of a text that is stored as evidence.
MAX_EXCERPT = 600


@dataclass(frozen=True)
class Words:
    """The words of a text: case-folded (`folded`), as uint64 hashes (`hashes`), and their (start, end) in `text`
    (`spans`)."""

    folded: list[str]
    hashes: np.ndarray
    spans: list[tuple[int, int]]
    text: str

    def __len__(self) -> int:
        return len(self.folded)

    def excerpt(self, first: int, last: int) -> str:
        """The text from word `first` up to, but not including, word `last`; at most `MAX_EXCERPT` characters."""
        if first >= last:
            return ""
        start, end = self.spans[first][0], self.spans[last - 1][1]
        return self.text[start : min(end, start + MAX_EXCERPT)]


def words(text: str) -> Words:
    """The words of a text, in order."""
    found = list(_WORD.finditer(text.translate(_SCRIPTS)))
    folded = [
        word.lower() if (word := match[0]).isascii() else unicodedata.normalize("NFKC", word).casefold()
        for match in found
    ]
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(word.encode()) for word in folded), np.uint64, len(folded))
    return Words(folded, hashes, [match.span() for match in found], text)


def runs(hashes: np.ndarray, length: int) -> np.ndarray:
    """uint64 per run of `length` consecutive words: a hash of the run. Empty if there are fewer words."""
    count = len(hashes) - length + 1
    total = np.zeros(max(count, 0), np.uint64)
    if count > 0:
        for place in range(length):
            total = total * _MULTIPLIER + hashes[place : place + count]
    return total
