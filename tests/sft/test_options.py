"""Options of a question: different from each other, in an order that says nothing, and chosen by one letter."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.sft.options import LETTERS, arranged, chosen, distinct, key, turned, with_options


def test_equal_options_are_one():
    assert distinct(["Blue whale", " blue  Whale. ", "", "1,000", "1000.0", "-0"]) == ["Blue whale", "1,000", "-0"]
    assert key("0.50") == key("0.5") != key("5")
    assert key("−5") == key("-5") and key("1,234,567.50") == key("1234567.5")


@pytest.mark.parametrize(
    ("one", "other"), [("1,2", "12"), ("1,5", "15"), ("12,34", "1234"), ("10²", "102"), ("5", "-5")]
)
def test_different_values_are_not_one(one, other):
    assert key(one) != key(other)


def test_options_are_arranged_by_a_hash_and_all_different():
    wrong = ["1", "2", "3", "4", "7"]
    first = arranged("7", wrong, 4, "seed")
    assert first == arranged("7", wrong, 4, "seed") and len({*map(key, first)}) == 4 and "7" in first
    assert arranged("7", wrong, 6, "seed") is None
    places = Counter(arranged("7", wrong, 4, str(number)).index("7") for number in range(2_000))
    assert set(places) == {0, 1, 2, 3} and min(places.values()) > 400


@given(st.lists(st.text(max_size=4), max_size=14), st.text(min_size=1, max_size=4), st.sampled_from([4, 10]))
def test_an_arrangement_is_whole_or_missing(wrong, right, count):
    options = arranged(right, wrong, count, "s")
    if options is not None:
        assert len(options) == len({*map(key, options)}) == count
        assert key(right) not in {key(option) for option in options if key(option) != key(right)}


def test_turns_put_every_option_first_once():
    assert [turned("abc", turn)[0] for turn in range(3)] == ["a", "b", "c"]
    assert turned(["a", "b"], 5) == ["b", "a"]


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("Answer: B", 1),
        ("answer: c", 2),
        ("The answer is (D).", 3),
        ("The correct answer is A", 0),
        ("Answer: E", None),
        ("B", None),
        ("Answer: B or C", None),
        ("Answer: BC", None),
        ("Answer: B\nStatus: fine", None),
        ("", None),
    ],
)
def test_one_letter_chooses_an_option(answer, number):
    assert chosen(answer, 4) == number


def test_options_are_lettered_lines():
    assert with_options("Which?", ["x", "y"]) == "Which?\nA. x\nB. y"
    assert len(LETTERS) == 10
