"""Components compared with networkx, and the direct linkage compared with brute force."""

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup.clusters import components, direct


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 30))
    item = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(item, item, st.sampled_from([0.8, 0.85, 0.9, 1.0])), max_size=60))
    left, right, similarity = zip(*edges, strict=True) if edges else ((), (), ())
    return count, np.array(left, np.int64), np.array(right, np.int64), np.array(similarity, np.float64)


@settings(deadline=None)
@given(graphs())
def test_components_are_networkxs(graph):
    count, left, right, _ = graph
    truth = networkx.Graph()
    truth.add_nodes_from(range(count))
    truth.add_edges_from(zip(left.tolist(), right.tolist(), strict=True))
    expected = np.empty(count, np.int64)
    for component in networkx.connected_components(truth):
        expected[list(component)] = min(component)
    assert components(count, left, right).tolist() == expected.tolist()
    assert components(count, right[::-1], left[::-1]).tolist() == expected.tolist()


@settings(deadline=None)
@given(graphs())
def test_direct_names_the_earliest_kept_neighbour(graph):
    count, left, right, similarity = graph
    neighbours = [{} for _ in range(count)]
    for one, other, value in zip(left.tolist(), right.tolist(), similarity.tolist(), strict=True):
        for a, b in ((one, other), (other, one)):
            neighbours[a][b] = max(value, neighbours[a].get(b, 0))
    kept: list[int] = []
    expected = []
    for item in range(count):
        earliest = min((other for other in neighbours[item] if other in kept and other < item), default=-1)
        expected.append(earliest)
        if earliest < 0:
            kept.append(item)
    of, found = direct(count, left, right, similarity)
    assert of.tolist() == expected
    for item, other in enumerate(expected):
        assert np.isnan(found[item]) if other < 0 else found[item] == neighbours[item][other]
    shuffled = np.random.default_rng(0).permutation(len(left))
    again, _ = direct(count, right[shuffled], left[shuffled], similarity[shuffled])
    assert again.tolist() == expected


def test_no_chains():
    """1 is similar to 0, and 2 is similar to 1 but not to 0. 2 is kept, because 1 is dropped."""
    of, similarity = direct(3, [0, 1], [1, 2], [0.9, 0.8])
    assert of.tolist() == [-1, 0, -1]
    assert similarity[1] == 0.9 and np.isnan(similarity[[0, 2]]).all()
    assert components(3, [0, 1], [1, 2]).tolist() == [0, 0, 0]


def test_pairs_with_unknown_items_are_refused():
    with pytest.raises(IndexError, match="pairs name items 3 to 3, but there are 3"):
        components(3, [0], [3])
    with pytest.raises(ValueError, match="2 items on the left cannot be paired with 1"):
        components(3, [0, 1], [1])
    with pytest.raises(ValueError, match="1 pairs, but 2 similarities"):
        direct(3, [0], [1], [0.8, 0.9])
