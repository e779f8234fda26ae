"""Texts as words: folded, hashed, and with the place where each stands.

Words are runs of letters or of digits, folded, super- and subscripts as digits, so that notation does not hide an item:
x^2, x² and $x^{2}$ are the same two words.
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
#: Most characters of a text that are shown as evidence.
SHOWN = 600


@dataclass(frozen=True)
class Words:
    """The words of a text: folded, as hashes, and where they stand."""

    folded: list[str]
    hashes: np.ndarray
    spans: list[tuple[int, int]]
    text: str

    def __len__(self) -> int:
        return len(self.folded)

    def shown(self, first: int, last: int) -> str:
        """The text from word `first` to before word `last`, cut at what the table takes."""
        if first >= last:
            return ""
        start, end = self.spans[first][0], self.spans[last - 1][1]
        return self.text[start : min(end, start + SHOWN)]


def words(text: str) -> Words:
    """The words of a text."""
    found = list(_WORD.finditer(text.translate(_SCRIPTS)))
    folded = [
        word.lower() if (word := match[0]).isascii() else unicodedata.normalize("NFKC", word).casefold()
        for match in found
    ]
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(word.encode()) for word in folded), np.uint64, len(folded))
    return Words(folded, hashes, [match.span() for match in found], text)


def runs(hashes: np.ndarray, length: int) -> np.ndarray:
    """A hash of every run of `length` words (uint64; none if there are fewer)."""
    count = len(hashes) - length + 1
    total = np.zeros(max(count, 0), np.uint64)
    if count > 0:
        for place in range(length):
            total = total * _MULTIPLIER + hashes[place : place + count]
    return total
