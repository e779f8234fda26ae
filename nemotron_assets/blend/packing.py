"""Packs documents, as token ids, into sequences of at most a given length, with as little unused room as possible.

The algorithm is best-fit decreasing ("Fewer Truncations Improve Language Modeling", Ding et al. 2024). A document that
is longer than a sequence is cut into full pieces and a rest; every other document is one piece. The pieces are placed
from the longest to the shortest, each into the sequence with the least room in which it fits.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Document:
    """The token ids of one document (int32, the EOS at its end included), its id, and its source table."""

    id: str
    source: str
    tokens: np.ndarray


@dataclass(frozen=True)
class Packed:
    """One packed sequence: its tokens, and of each piece the length, the offset in its document, document, source."""

    tokens: np.ndarray
    piece_lengths: list[int]
    piece_offsets: list[int]
    parents: list[str]
    sources: list[str]


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Distribute pieces to bins: lists of indices into `lengths` with a sum of lengths of at most `capacity`.

    Deterministic: pieces of equal length are placed in the given order. There is one list of bins per free room r, and
    bit r of the integer `rooms` is set if this list is not empty. The lowest set bit at or above the length of a piece
    is the tightest bin in which it fits: a few operations on a large integer per piece. Raises `ValueError` for a
    length outside 1..capacity.
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
    """Sequences of at most `length` tokens that contain every token of every document exactly once, without padding.

    Their order is shuffled with `seed`, because best-fit places all long documents first.
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
