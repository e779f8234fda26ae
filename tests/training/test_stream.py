"""Batches: targets stay inside documents, and lengths must fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.training.stream import NO_TARGET, PackedSequence, as_batch, fitting_length, predictions


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


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_mask_leaves_the_trained_tokens_as_targets(data):
    """Property: a position has a target exactly where the next token is trained and of the same document."""
    rows = data.draw(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3))
    masks = [np.array(data.draw(st.lists(st.booleans(), min_size=sum(r), max_size=sum(r)))) for r in rows]
    packed = [
        PackedSequence(np.arange(1, sum(r) + 1, dtype=np.int32), tuple(r), mask)
        for r, mask in zip(rows, masks, strict=True)
    ]
    batch = as_batch(packed, 40)
    for index, (lengths, mask) in enumerate(zip(rows, masks, strict=True)):
        ends = set(np.cumsum(lengths) - 1)
        for place in range(40):
            wanted = place < sum(lengths) and place not in ends and mask[place + 1]
            assert batch.targets[index, place] == (place + 2 if wanted else NO_TARGET)
    with_target = (batch.targets.flatten() != NO_TARGET).nonzero().flatten()
    assert batch.places.tolist() == with_target.tolist()
    assert predictions(packed) == len(with_target)


@given(st.integers(1, 200_000), st.sampled_from([16, 64, 128]), st.integers(0, 7))
def test_sequences_are_padded_to_few_lengths_with_little_waste(longest, multiple, more):
    whole = max(longest, multiple) * (more + 1)
    padded = fitting_length(longest, whole, multiple)
    assert longest <= padded <= whole
    assert padded - longest < max(multiple, padded / 4)
    assert padded == whole or padded % multiple == 0
    assert len({fitting_length(k, 1 << 17, 16) for k in range(1, 1 << 17, 5)}) < 60


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="5 tokens, but its mask has 4"):
        as_batch([PackedSequence(np.arange(5, dtype=np.int32), (5,), np.ones(4, bool))], 8)
