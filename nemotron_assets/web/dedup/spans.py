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

from resources.kernels import kernel

Boundary = Literal["character", "word", "line"]

# What is known of the run of `min_bytes` bytes at a position; one byte per byte of text.
_FITS = 1  # it does not reach into the next text
_MEMBER = 2  # it occurs more than once
_HEAD = 4  # it is the first of its group in the suffix array
_REPEATS = 8  # an equal run stands before it
_START = 16  # a span starts with it


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of text number `text` repeat earlier bytes. The first occurrence of their first `min_bytes`
    bytes is in text number `first`."""

    text: int
    start: int
    end: int
    first: int


def repeated_spans(texts: Sequence[bytes], min_bytes: int) -> list[Span]:
    """The spans of at least `min_bytes` bytes that repeat earlier bytes, ordered by text and start."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    columns = spans_between(np.frombuffer(bytearray(b"".join(texts)), np.uint8), offsets, min_bytes)
    return [Span(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def spans_between(
    data: np.ndarray, offsets: np.ndarray, min_bytes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The spans of `Span` as int64 arrays: text, start, end, first. Text number k is data[offsets[k]:offsets[k + 1]].

    `data` is uint8 and writable, because the suffix sorter accepts no other memory. Takes six bytes of memory per byte
    of text, `data` included, and ten for 2 GiB of text or more.
    """
    nothing = np.zeros(0, np.int64)
    if data.size <= min_bytes:
        return nothing, nothing, nothing, nothing
    suffixes, flags = suffix_array(data), np.zeros(data.size, np.uint8)
    _mark(data, suffixes, offsets, min_bytes, flags)
    starts, ends = _gather(flags, offsets, min_bytes)
    places, firsts = _first_occurrences(suffixes, flags, starts)
    owners = np.searchsorted(offsets, starts, side="right") - 1
    begins = offsets[owners]
    return owners, starts - begins, ends - begins, np.searchsorted(offsets, firsts[places.argsort()], side="right") - 1


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


@kernel
def _mark(data, suffixes, offsets, min_bytes, flags):
    """Set the flags of every position but `_START`.

    Neighbours in the suffix array that share their first `min_bytes` bytes form a group. A position whose run would
    reach into the next text does not repeat anything, although it may stand between members.
    """
    for text in range(offsets.size - 1):
        for place in range(offsets[text], offsets[text + 1] - min_bytes + 1):
            flags[place] = _FITS
    begin = 0
    while begin < suffixes.size:
        first = suffixes[begin] if flags[suffixes[begin]] & _FITS else -1
        end = begin + 1
        while end < suffixes.size and _same_run(data, suffixes[end - 1], suffixes[end], min_bytes):
            place = suffixes[end]
            if flags[place] & _FITS and (first < 0 or place < first):
                first = place
            end += 1
        if end - begin > 1:
            flags[suffixes[begin]] |= _HEAD
            for k in range(begin, end):
                place = suffixes[k]
                flags[place] |= _MEMBER
                if flags[place] & _FITS and place != first:
                    flags[place] |= _REPEATS
        begin = end


@kernel
def _same_run(data, left, right, length):
    """Whether the `length` bytes at both positions exist and are equal."""
    if left + length > data.size or right + length > data.size:
        return False
    shared = 0
    while shared < length and data[left + shared] == data[right + shared]:
        shared += 1
    return shared == length


@kernel
def _gather(flags, offsets, min_bytes):
    """The starts and ends of the spans: runs that repeat others and touch or overlap, joined, text by text."""
    starts, ends = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    for text in range(offsets.size - 1):
        end = np.int64(-1)
        for place in range(offsets[text], offsets[text + 1]):
            if not flags[place] & _REPEATS:
                continue
            if place > end:
                starts.append(np.int64(place))
                ends.append(np.int64(place + min_bytes))
            else:
                ends[-1] = np.int64(place + min_bytes)
            end = np.int64(place + min_bytes)
    return np.array(starts, np.int64), np.array(ends, np.int64)


@kernel
def _first_occurrences(suffixes, flags, starts):
    """The starts in the order of the suffix array, each with the first occurrence of its run."""
    for place in starts:
        flags[place] |= _START
    places, firsts, count = np.empty(starts.size, np.int64), np.empty(starts.size, np.int64), 0
    begin = 0
    while begin < suffixes.size:
        first, end, known = np.int64(-1), begin, count
        while end < suffixes.size and flags[suffixes[end]] & _MEMBER:
            place = np.int64(suffixes[end])
            if end > begin and flags[place] & _HEAD:
                break
            if flags[place] & _FITS and (first < 0 or place < first):
                first = place
            if flags[place] & _START:
                places[count] = place
                count += 1
            end += 1
        firsts[known:count] = first
        begin = max(end, begin + 1)
    return places, firsts
