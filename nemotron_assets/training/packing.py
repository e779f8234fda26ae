"""Packs documents into sequences of at most a given number of tokens, with as little unused room as possible.

The algorithm is best-fit decreasing ("Fewer Truncations Improve Language Modeling", Ding et al. 2024). A document that
is longer than a sequence is cut into full pieces and a rest; every other document is one piece. The pieces are placed
from the longest to the shortest, each into the sequence with the least room in which it fits.

Packing reads and writes numbers alone: a piece is (document, offset, length), and no token is copied. So documents that
are packed for another length need not be tokenised again. Ten million documents take a few seconds: pieces are sorted
by counting, and the tightest room is found in a tree of bits, in as many steps as the tree has levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Packed:
    """Packed sequences as an index. Sequence s consists of the pieces `bounds[s]` to `bounds[s + 1]` - 1; each piece is
    `lengths` tokens of the document with the number `documents`, from token `offsets` on."""

    bounds: np.ndarray
    documents: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    @property
    def count(self) -> int:
        """The number of sequences."""
        return len(self.bounds) - 1

    def tokens(self) -> np.ndarray:
        """The number of tokens of each sequence."""
        sums = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        return sums[self.bounds[1:]] - sums[self.bounds[:-1]]


def best_fit(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Distribute pieces to bins: the number of the bin of each piece, and the pieces in the order they were placed in.

    The sum of the lengths in a bin is at most `capacity`. Deterministic: pieces of equal length are placed in the given
    order. Raises `ValueError` for a length outside 1..capacity.
    """
    lengths = np.asarray(lengths, np.int64)
    if len(lengths) and not 1 <= int(lengths.min()) <= int(lengths.max()) <= capacity:
        raise ValueError(f"every length must be within 1 and {capacity}, got {lengths.min()}..{lengths.max()}")
    order = _longest_first(lengths, capacity)
    return _place(lengths, order, capacity), order


def pack(tokens: np.ndarray, length: int, seed: int) -> Packed:
    """Sequences of at most `length` tokens with every token of every document exactly once, without padding.

    `tokens` are the lengths of the documents. The order of the sequences is shuffled with `seed`, because best-fit
    places all long documents first. Raises `ValueError` for a document without tokens.
    """
    tokens = np.asarray(tokens, np.int64)
    if len(tokens) and tokens.min() < 1:
        raise ValueError(f"every document must have at least 1 token, got one with {tokens.min()}")
    pieces = -(-tokens // length)
    documents = np.repeat(np.arange(len(tokens)), pieces)
    first = np.cumsum(pieces) - pieces
    offsets = (np.arange(len(documents)) - np.repeat(first, pieces)) * length
    lengths = np.minimum(tokens[documents] - offsets, length)
    bins, order = best_fit(lengths, length)
    count = int(bins.max()) + 1 if len(bins) else 0
    bins = np.random.default_rng(seed).permutation(count)[bins]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(bins, minlength=count))]).astype(np.int64)
    members = _by_bin(bins, order, bounds[:-1].copy())
    return Packed(bounds, documents[members], offsets[members], lengths[members])


@njit(cache=True)
def _longest_first(lengths, capacity):
    """The pieces from the longest to the shortest, in the given order where they are equal (a counting sort)."""
    at = np.zeros(capacity + 2, np.int64)
    for length in lengths:
        at[capacity - length + 1] += 1
    for k in range(1, capacity + 2):
        at[k] += at[k - 1]
    order = np.empty(len(lengths), np.int64)
    for piece in range(len(lengths)):
        bucket = capacity - lengths[piece]
        order[at[bucket]] = piece
        at[bucket] += 1
    return order


@njit(cache=True)
def _by_bin(bins, order, at):
    """The pieces of bin 0, then those of bin 1, ..., each in the order they were placed in. `at` says where a bin's
    pieces begin, and is used up."""
    members = np.empty(len(order), np.int64)
    for piece in order:
        members[at[bins[piece]]] = piece
        at[bins[piece]] += 1
    return members


@njit(cache=True)
def _lowest(word):
    """The number of the lowest bit that is set."""
    number = 0
    for width in (32, 16, 8, 4, 2, 1):
        if word & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)) == 0:
            word >>= np.uint64(width)
            number += width
    return number


@njit(cache=True)
def _place(lengths, order, capacity):
    """The bin of each piece. `heads[r]` is the newest of the bins with the free room r, and `older` links it to the
    others. Bit r of level 0 of the tree says whether there is such a bin; a bit of a higher level, whether any of the
    64 bits below it is set."""
    levels, size = 1, (capacity >> 6) + 1
    while size > 1:
        size = (size + 63) >> 6
        levels += 1
    tree = np.zeros((levels, (capacity >> 6) + 1), np.uint64)
    heads, older = np.full(capacity + 1, -1, np.int64), np.empty(len(lengths), np.int64)
    bins, count, full = np.empty(len(lengths), np.int64), 0, np.uint64(0xFFFFFFFFFFFFFFFF)
    for piece in order:
        room, level, at = -1, 0, lengths[piece]
        while level < levels:  # up, until a word has a bit at or after the place
            word = tree[level, at >> 6] & (full << np.uint64(at & 63))
            if word:
                at = ((at >> 6) << 6) + _lowest(word)
                while level:  # down to the lowest room below that bit
                    level -= 1
                    at = (at << 6) + _lowest(tree[level, at])
                room = at
                break
            at = (at >> 6) + 1
            level += 1
            if level < levels and (at >> 6) >= tree.shape[1]:
                break
        if room < 0:
            target, room = count, capacity
            count += 1
        else:
            target = heads[room]
            heads[room] = older[target]
            if heads[room] < 0:
                at = room
                for level in range(levels):
                    tree[level, at >> 6] &= ~(np.uint64(1) << np.uint64(at & 63))
                    if tree[level, at >> 6]:
                        break
                    at >>= 6
        bins[piece] = target
        left = room - lengths[piece]
        if left:
            older[target] = heads[left]
            heads[left] = target
            at = left
            for level in range(levels):
                tree[level, at >> 6] |= np.uint64(1) << np.uint64(at & 63)
                at >>= 6
    return bins
