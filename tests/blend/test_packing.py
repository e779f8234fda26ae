"""Packing is compared with a naive version; every token is packed once, and no sequence is too long."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.blend.packing import Document, best_fit, pack

CAPACITY = 16
LENGTHS = st.lists(st.integers(1, CAPACITY), max_size=60)


def naive_rooms(lengths: list[int]) -> list[int]:
    """Best-fit decreasing by looking at every bin: the room left in each."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
        rooms.append((min(fitting) if fitting else CAPACITY) - length)
    return sorted(rooms)


@settings(deadline=None)  # a busy machine is no failure
@given(LENGTHS)
def test_best_fit_equals_the_naive_one(lengths):
    bins = best_fit(lengths, CAPACITY)
    assert sorted(index for members in bins for index in members) == list(range(len(lengths)))
    rooms = [CAPACITY - sum(lengths[k] for k in members) for members in bins]
    assert min(rooms, default=0) >= 0
    assert sorted(rooms) == naive_rooms(lengths)


@pytest.mark.parametrize("bad", [[0], [CAPACITY + 1], [3, -1]])
def test_lengths_that_cannot_be_packed(bad):
    with pytest.raises(ValueError, match="within 1 and 16"):
        best_fit(bad, CAPACITY)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.integers(1, 70), max_size=40), st.integers(0, 3))
def test_every_token_once_and_traceable(sizes, seed):
    start = np.cumsum([0, *sizes])
    documents = [
        Document(f"d{k}", f"source{k % 2}", np.arange(start[k], start[k + 1], dtype=np.int32))
        for k in range(len(sizes))
    ]
    sequences = pack(documents, CAPACITY, seed)
    seen = []
    for sequence in sequences:
        assert len(sequence.tokens) == sum(sequence.piece_lengths) <= CAPACITY
        assert sequence.tokens.dtype == np.int32
        at = 0
        columns = (sequence.piece_lengths, sequence.piece_offsets, sequence.parents, sequence.sources)
        for length, offset, parent, source in zip(*columns, strict=True):
            number = int(parent[1:])
            assert source == f"source{number % 2}"
            piece = sequence.tokens[at : at + length]
            assert piece.tolist() == documents[number].tokens[offset : offset + length].tolist()
            assert offset % CAPACITY == 0  # only long documents are cut, into full pieces and a rest
            seen.extend(piece.tolist())
            at += length
    assert sorted(seen) == list(range(sum(sizes)))
    again = pack(documents, CAPACITY, seed)
    assert [s.parents for s in again] == [s.parents for s in sequences]


def test_fill():
    sizes = np.random.default_rng(1).lognormal(5.5, 1.2, 4_000).astype(int) + 1
    documents = [Document(str(k), "s", np.zeros(n, dtype=np.int32)) for k, n in enumerate(sizes)]
    sequences = pack(documents, 4_096, seed=0)
    assert sizes.sum() / (4_096 * len(sequences)) > 0.99


def test_long_documents_do_not_come_first():
    documents = [Document(str(k), "s", np.zeros(1 + k % 16, dtype=np.int32)) for k in range(1_600)]
    longest = [max(s.piece_lengths) for s in pack(documents, 16, seed=0)]
    assert np.mean(longest[: len(longest) // 2]) == pytest.approx(np.mean(longest), rel=0.1)
