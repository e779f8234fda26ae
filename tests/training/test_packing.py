"""Packing is compared with a naive version; every token is packed once, and no sequence is too long."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.training.packing import best_fit, pack

CAPACITY = 16


def naive_rooms(lengths: list[int], capacity: int) -> list[int]:
    """Best-fit decreasing by looking at every bin: the room left in each."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
        rooms.append((min(fitting) if fitting else capacity) - length)
    return sorted(rooms)


@given(st.sampled_from([1, 16, 63, 64, 65, 4_096, 4_097, 300_000]), st.data())
@settings(max_examples=300)
def test_best_fit_equals_the_naive_one(capacity, data):
    """The capacities need one, two, three and four levels of the tree of rooms."""
    size = st.one_of(
        st.integers(1, capacity), st.integers(max(1, capacity - 70), capacity), st.integers(1, min(capacity, 70))
    )
    lengths = data.draw(st.lists(size, max_size=60))
    bins, order = best_fit(np.array(lengths, np.int64), capacity)
    assert [lengths[k] for k in order] == sorted(lengths, reverse=True)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    used = np.bincount(bins, weights=lengths).astype(int) if lengths else np.empty(0, int)
    assert sorted((capacity - used).tolist()) == naive_rooms(lengths, capacity)


@pytest.mark.parametrize("bad", [[0], [CAPACITY + 1], [3, -1]])
def test_lengths_that_cannot_be_packed(bad):
    with pytest.raises(ValueError, match="within 1 and 16"):
        best_fit(np.array(bad), CAPACITY)


@pytest.mark.parametrize("bad", [[0], [5, 0], [-1]])
def test_a_document_without_tokens_is_refused(bad):
    with pytest.raises(ValueError, match="at least 1 token"):
        pack(np.array(bad), CAPACITY, 0)


@given(st.lists(st.integers(1, 70), max_size=40), st.integers(0, 3))
def test_every_token_once(sizes, seed):
    packed = pack(np.array(sizes, np.int64), CAPACITY, seed)
    seen = []
    for sequence in range(packed.count):
        pieces = range(packed.bounds[sequence], packed.bounds[sequence + 1])
        assert 0 < sum(packed.lengths[k] for k in pieces) == packed.tokens()[sequence] <= CAPACITY
        for k in pieces:
            assert packed.offsets[k] % CAPACITY == 0  # only long documents are cut, into full pieces and a rest
            first = packed.offsets[k]
            seen += [(packed.documents[k], token) for token in range(first, first + packed.lengths[k])]
    assert sorted(seen) == [(document, token) for document, size in enumerate(sizes) for token in range(size)]
    again = pack(np.array(sizes, np.int64), CAPACITY, seed)
    assert again.documents.tolist() == packed.documents.tolist() and again.bounds.tolist() == packed.bounds.tolist()


def test_a_document_is_cut_only_if_it_is_longer_than_the_window():
    packed = pack(np.array([16, 17, 5, 40]), 16, seed=0)
    pieces = sorted(zip(packed.documents.tolist(), packed.offsets.tolist(), packed.lengths.tolist(), strict=True))
    assert pieces == [(0, 0, 16), (1, 0, 16), (1, 16, 1), (2, 0, 5), (3, 0, 16), (3, 16, 16), (3, 32, 8)]
    assert packed.count == 5, "the rests of 1, 5 and 8 tokens share a sequence"


def test_fill():
    sizes = np.random.default_rng(1).lognormal(5.5, 1.2, 20_000).astype(int) + 1
    assert sizes.sum() / (4_096 * pack(sizes, 4_096, seed=0).count) > 0.995


def test_long_documents_do_not_come_first():
    packed = pack(1 + np.arange(1_600) % 16, 16, seed=0)
    longest = np.maximum.reduceat(packed.lengths, packed.bounds[:-1])
    assert np.mean(longest[: len(longest) // 2]) == pytest.approx(np.mean(longest), rel=0.1)
