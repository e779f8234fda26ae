"""Places are dealt by shares: no prefix is a place off, and any place is found without the places before it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.training import apportion
from nemotron_assets.training.apportion import Apportionment

WEIGHT = st.one_of(st.just(0.0), st.integers(1, 60), st.floats(0.004, 1), st.sampled_from([0.05, 1 / 3, 12.5]))
WEIGHTS = st.dictionaries(st.sampled_from("abcdefghi"), WEIGHT, min_size=1).filter(lambda w: any(w.values()))


def furthest(dealt: Apportionment, first: int, last: int) -> float:
    """The largest distance of a count from its share, in places, over all prefixes that end between two places."""
    names, counts, worst = dealt.dealt(first, last).tolist(), [int(count) for count in dealt.counts(first)], 0
    shares = list(dealt.shares.values())
    for place, name in enumerate(names, first + 1):
        counts[name] += 1
        worst = max(worst, *(abs(count - share * place) for count, share in zip(counts, shares, strict=True)))
    assert counts == dealt.counts(last).tolist() and sum(counts) == last
    return worst


@pytest.mark.parametrize("block", [16, 4_096])
@given(weights=WEIGHTS, first=st.one_of(st.just(0), st.integers(0, 300), st.integers(0, 10**12)), data=st.data())
@settings(max_examples=150)
def test_no_prefix_is_a_place_off(block, weights, first, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apportion, "_SHORTEST_BLOCK", block)
        dealt = Apportionment(weights)
        assert furthest(dealt, first, first + data.draw(st.integers(1, 400))) < 1


@given(weights=WEIGHTS, first=st.integers(0, 10**6), lengths=st.lists(st.integers(0, 900), max_size=4))
@settings(max_examples=60)
def test_any_stretch_is_the_same_alone(weights, first, lengths):
    whole = Apportionment(weights).dealt(first, first + sum(lengths))
    pieces, at = [], first
    for length in lengths:
        pieces.append(Apportionment(weights).dealt(at, at + length))
        at += length
    assert np.concatenate([whole[:0], *pieces]).tolist() == whole.tolist()


def test_shares_are_exact_and_the_published_weights_come_out_whole():
    weights = {"crawl": 45.0, "math": 6.4, "code": 15.3, "rest": 33.3}
    dealt = Apportionment(weights)
    assert dict(zip(weights, dealt.counts(1_000), strict=True)) == {"crawl": 450, "math": 64, "code": 153, "rest": 333}
    assert Apportionment({"a": 1, "b": 1, "c": 1}).counts(3 * 10**15).tolist() == [10**15] * 3
    assert Apportionment({"only": 0.3, "never": 0}).dealt(5, 9).tolist() == [0] * 4


def test_a_far_place_costs_no_more_than_a_near_one():
    """The bound is generous: the same work is done, and only its place in the list differs."""

    def seconds(place: int) -> float:
        dealt = Apportionment({str(k): k + 1 for k in range(13)})
        begun = time.process_time()
        dealt.dealt(place, place + 1_000)
        return time.process_time() - begun

    seconds(0)
    assert min(seconds(10**14) for _ in range(5)) < 20 * min(seconds(10**5) for _ in range(5)) + 0.05


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": -1.0}, "the weight of a is -1.0"),
        ({"a": float("nan")}, "the weight of a is nan"),
        ({"a": 0.0, "b": 0}, "weights of a, b are all 0"),
        ({}, "no names"),
        ({"a": 1.0, "b": 1e-8}, "the weight of b is a share of 1e-08, but the smallest share is 1e-06"),
    ],
)
def test_weights_that_cannot_be_dealt(weights, message):
    with pytest.raises(ValueError, match=message):
        Apportionment(weights)
