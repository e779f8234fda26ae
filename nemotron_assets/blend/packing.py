"""Packing: documents, as token ids, into sequences of at most a given length with as little waste as possible.

Best-fit decreasing over pieces ("Fewer Truncations Improve Language Modeling", Ding et al. 2024): a document longer
than a sequence is cut into full pieces and a rest, every other document stays whole, and each piece goes, longest
first, into the sequence whose free room it fits best.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Document:
    """One document's token ids (int32, its closing EOS included), with the id it is traced by and its source table."""

    id: str
    source: str
    tokens: np.ndarray


@dataclass(frozen=True)
class Packed:
    """One packed sequence: the tokens, and for each piece its length, document, offset in the document and source."""

    tokens: np.ndarray
    piece_lengths: list[int]
    piece_offsets: list[int]
    parents: list[str]
    sources: list[str]


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of indices into `lengths`, none over `capacity`; deterministic (equal lengths in the order given).

    The bins with r tokens of room stand on one list per r, and bit r of an integer says whether that list is empty, so
    the tightest bin that still fits is the lowest set bit at or above a piece's length: a few big-integer operations
    per piece. Raises ValueError on a length outside 1..capacity.
    """
    if any(not 1 <= length <= capacity for length in lengths):
        raise ValueError(f"every length must be within 1 and {capacity}, got {min(lengths)}..{max(lengths)}")
    bins: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms = 0
    for index in sorted(range(len(lengths)), key=lambda k: -lengths[k]):
        length = lengths[index]
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            target = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            room, target = capacity, len(bins)
            bins.append([])
        bins[target].append(index)
        left = room - length
        if left:
            by_room.setdefault(left, []).append(target)
            rooms |= 1 << left
    return bins


def pack(documents: Sequence[Document], length: int, seed: int) -> list[Packed]:
    """Sequences of at most `length` tokens holding every token of every document exactly once.

    Sequences are not padded. Their order is shuffled with `seed`, because best-fit puts all long documents first.
    """
    pieces = [
        (document, start, min(length, len(document.tokens) - start))
        for document in documents
        for start in range(0, len(document.tokens), length)
    ]
    bins = best_fit([size for _, _, size in pieces], length) if pieces else []
    random.Random(seed).shuffle(bins)
    return [_sequence([pieces[k] for k in members]) for members in bins]


def _sequence(pieces: list[tuple[Document, int, int]]) -> Packed:
    return Packed(
        tokens=np.concatenate([document.tokens[start : start + size] for document, start, size in pieces]),
        piece_lengths=[size for _, _, size in pieces],
        piece_offsets=[start for _, start, _ in pieces],
        parents=[document.id for document, _, _ in pieces],
        sources=[document.source for document, _, _ in pieces],
    )
