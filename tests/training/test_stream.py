"""The order of the data is random, complete, reproducible and resumable anywhere; targets stay inside documents."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.training.stream import NO_TARGET, PackedSequence, as_batch, predictions, sequences


class Numbered:
    """Shards in which every sequence holds one number."""

    def __init__(self, sizes):
        starts = np.cumsum([0, *sizes])
        self.shards = {f"{i:08d}": list(range(starts[i], starts[i + 1])) for i in range(len(sizes))}
        self.reads = 0

    def counts(self):
        return [(shard, len(rows)) for shard, rows in self.shards.items()]

    def read(self, shard):
        self.reads += 1
        return [PackedSequence(np.array([n], np.int32), (1,)) for n in self.shards[shard]]


def take(shards, seed, start, count, mixed=1):
    return [int(s.tokens[0]) for s in itertools.islice(sequences(shards, seed, start, mixed), count)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any),
    st.integers(0, 40),
    st.integers(0, 5),
    st.integers(1, 6),
)
def test_resuming_anywhere_continues_the_same_order(sizes, start, seed, mixed):
    shards, total = Numbered(sizes), sum(sizes)
    straight = take(shards, seed, 0, start + total, mixed)
    assert take(shards, seed, start, total, mixed) == straight[start:]
    assert sorted(straight[:total]) == list(range(total))  # an epoch has every sequence once


def test_epochs_and_seeds_differ():
    shards = Numbered([20, 20])
    first = take(shards, 1, 0, 80)
    assert first[:40] != first[40:]
    assert first != take(shards, 2, 0, 80)


def test_skipping_reads_only_the_shard_needed():
    shards = Numbered([100] * 50)
    take(shards, 0, 4321, 1)
    assert shards.reads == 1


def test_shards_are_mixed_a_few_at_a_time():
    shards = Numbered([100] * 8)
    first = take(shards, 0, 0, 400, mixed=4)
    assert shards.reads == 4 and len({n // 100 for n in first}) == 4
    assert all(len({n // 100 for n in first[at : at + 40]}) == 4 for at in range(0, 400, 40)), "in every 40 sequences"
    assert take(shards, 0, 450, 1, mixed=4) and shards.reads == 8


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3))
def test_targets_are_next_tokens_of_the_same_document(rows):
    packed = [PackedSequence(np.arange(1, sum(r) + 1, dtype=np.int32), tuple(r)) for r in rows]
    batch = as_batch(packed, 40)
    for index, lengths in enumerate(rows):
        ends = set(np.cumsum(lengths) - 1)
        for place in range(40):
            inside = place < sum(lengths) and place not in ends
            assert batch.targets[index, place] == (place + 2 if inside else NO_TARGET)
    assert int((batch.targets != NO_TARGET).sum()) == predictions(packed)


def test_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match="but its documents have"):
        as_batch([PackedSequence(np.arange(5, dtype=np.int32), (3,))], 8)
    with pytest.raises(ValueError, match="more than the 4"):
        as_batch([PackedSequence(np.arange(5, dtype=np.int32), (5,))], 4)
