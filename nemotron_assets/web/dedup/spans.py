"""Finds the spans of texts that repeat an earlier part byte for byte, with a suffix array over all texts.

Of every run of `min_bytes` bytes that occurs more than once, the first occurrence is kept, by the order of the texts.
The other occurrences are marked, and marked runs that touch or overlap form one span (Lee et al. 2022, "Deduplicating
training data makes language models better"). A span never reaches from one text into the next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

Boundary = Literal["character", "word", "line"]


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of text number `text` repeat earlier bytes. The first occurrence of their first `min_bytes`
    bytes is in text number `first`."""

    text: int
    start: int
    end: int
    first: int


def repeated_spans(texts: Sequence[bytes], min_bytes: int) -> list[Span]:
    """The spans of at least `min_bytes` bytes that repeat earlier bytes, ordered by text and start.

    Takes about ten bytes of memory per byte of text, and 18 for 2 GiB of text or more.
    """
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    if offsets[-1] <= min_bytes:
        return []
    data = np.empty(offsets[-1], np.uint8)  # the suffix sorter does not accept read-only memory
    for text, start in zip(texts, offsets.tolist(), strict=False):
        data[start : start + len(text)] = np.frombuffer(text, np.uint8)
    source = np.full(data.size, -1, np.int32 if data.size < 2**31 else np.int64)
    _mark(data, suffix_array(data), offsets, min_bytes, source)
    starts, ends = _gather(source, offsets, min_bytes)
    owners = np.searchsorted(offsets, starts, side="right") - 1
    firsts = np.searchsorted(offsets, source[starts], side="right") - 1
    begins = offsets[owners]
    columns = (owners, starts - begins, ends - begins, firsts)
    return [Span(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def suffix_array(data: np.ndarray) -> np.ndarray:
    """The starts of the suffixes of uint8 data in lexicographic order, by libdivsufsort; int64 for 2 GiB or more, else
    int32."""
    from pydivsufsort import divsufsort

    return divsufsort(data)


def shortened(text: bytes, start: int, end: int, boundary: Boundary) -> tuple[int, int]:
    """(start, end) of the span without the incomplete characters, words or lines at its ends.

    "ve idea he" in "naïve idea here" becomes " idea " with the boundary "word". The span is empty (start >= end) if it
    holds nothing complete.
    """
    while start < end and text[start] & 0xC0 == 0x80:
        start += 1
    while start < end < len(text) and text[end] & 0xC0 == 0x80:
        end -= 1
    if boundary == "line":
        if start and text[start - 1] != 0x0A:
            start = text.find(b"\n", start, end) + 1 or end
        if end < len(text) and text[end - 1 : end] != b"\n":
            end = max(start, text.rfind(b"\n", start, end) + 1)
    elif boundary == "word":
        inside = text[start:end].decode()
        if start and _in_word(text[max(0, start - 4) : start].decode(errors="ignore")[-1:]):
            while inside and _in_word(inside[0]):
                start += len(inside[0].encode())
                inside = inside[1:]
        if end < len(text) and _in_word(text[end : end + 4].decode(errors="ignore")[:1]):
            while inside and _in_word(inside[-1]):
                end -= len(inside[-1].encode())
                inside = inside[:-1]
    return start, end


def without_spans(text: str, spans: Sequence[tuple[int, int]], boundary: Boundary) -> str:
    """The text without the byte ranges `spans`.

    With the boundary "word", a space separates the pieces before and after a cut. Three or more line breaks in a row
    become two.
    """
    data, left, place = text.encode(), "", 0
    for start, end in [*sorted(spans), (len(data), len(data))]:
        piece = data[place : max(place, start)].decode()
        if boundary == "word" and left and piece and not left[-1].isspace() and not piece[0].isspace():
            left += " "
        left += piece
        place = max(place, end)
    return re.sub(r"\n{3,}", "\n\n", left).strip()


def _in_word(character: str) -> bool:
    """Whether the character is part of a word: a letter, a number, or a mark on one."""
    return bool(character) and unicodedata.category(character)[0] in "LNM"


@njit(cache=True, nogil=True)
def _mark(data, suffixes, offsets, min_bytes, source):
    """Set source[p] to the first occurrence of the run of `min_bytes` bytes at p, if that is not p itself.

    Neighbours in the suffix array that share their first `min_bytes` bytes form a group. A position whose run would
    reach into the next text does not belong to its group, although it may stand between members.
    """
    fits = np.zeros(data.size, np.bool_)
    for text in range(offsets.size - 1):
        for place in range(offsets[text], offsets[text + 1] - min_bytes + 1):
            fits[place] = True
    begin = 0
    while begin < suffixes.size:
        first = suffixes[begin] if fits[suffixes[begin]] else -1
        end = begin + 1
        while end < suffixes.size and _same_run(data, suffixes[end - 1], suffixes[end], min_bytes):
            place = suffixes[end]
            if fits[place] and (first < 0 or place < first):
                first = place
            end += 1
        if end - begin > 1:
            for k in range(begin, end):
                if fits[suffixes[k]] and suffixes[k] != first:
                    source[suffixes[k]] = first
        begin = end


@njit(cache=True, nogil=True)
def _same_run(data, left, right, length):
    """Whether the `length` bytes at both positions exist and are equal."""
    if left + length > data.size or right + length > data.size:
        return False
    shared = 0
    while shared < length and data[left + shared] == data[right + shared]:
        shared += 1
    return shared == length


@njit(cache=True, nogil=True)
def _gather(source, offsets, min_bytes):
    """The starts and ends of the spans: marked runs that touch or overlap, joined, text by text."""
    starts, ends = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    for text in range(offsets.size - 1):
        end = np.int64(-1)
        for place in range(offsets[text], offsets[text + 1]):
            if source[place] < 0:
                continue
            if place > end:
                starts.append(np.int64(place))
                ends.append(np.int64(place + min_bytes))
            else:
                ends[-1] = np.int64(place + min_bytes)
            end = np.int64(place + min_bytes)
    return np.array(starts, np.int64), np.array(ends, np.int64)
