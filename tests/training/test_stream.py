"""Batches: targets stay inside documents, and lengths must fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.training.stream import NO_TARGET, PackedSequence, as_batch, predictions


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
