"""The option that a response picks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.grading.choices import grade, letter

PICKED = {
    "B": "B",
    "b": None,
    "B.": "B",
    "(B)": "B",
    "**B**": "B",
    " B\n": "B",
    "B) because the sky is blue": "B",
    "B. Paris": "B",
    "The answer is B.": "B",
    "The answer is (B).": "B",
    "the correct answer is: **B**": "B",
    "Answer: B": "B",
    "ANSWER: B": "B",
    "Answer:\n\nB": "B",
    "The correct option is B": "B",
    "Option B": "B",
    "The answer is option B.": "B",
    "\\boxed{B}": "B",
    "$\\boxed{\\text{B}}$": "B",
    "\\boxed{b}": "B",
    "\\boxed{(B)}": "B",
    "A looks right, but the answer is B.": "B",
    "The answer is A. No: the answer is B.": "B",
    "The answer is A? We check it. \\boxed{B}": "B",
    "The answer is B, as A is too small.": "B",
    "A dog chases a cat": None,
    "The answer is a dog": None,
    "The answer is A dog": None,
    "I think so": None,
    "The answer is Because": None,
    "A or B": None,
    "The answer is A or B": None,
    "The answer is (A) or (B).": None,
    "\\boxed{A} or \\boxed{B}": None,
    "\\boxed{A or B}": None,
    "Answer: A & B": None,
    "Answer: A+B": None,
    "Answer: (A)(B)": None,
    "Answer: A B": None,
    "The answer is A (B is too small)": "A",
    "The answer is B.\nA is wrong.": "B",
    "E": None,
    "The answer is E": None,
    "": None,
    "?": None,
    "ABCD": None,
    "I cannot answer this question.": None,
}


@pytest.mark.parametrize("response", PICKED)
def test_the_letter_that_a_response_picks(response):
    assert letter(response) == PICKED[response]


def test_more_options_allow_more_letters():
    assert letter("The answer is J.", 10) == "J"
    assert letter("The answer is K.", 10) is None


@given(st.text(max_size=2_000), st.sampled_from("ABCD"))
def test_any_text_has_a_letter_or_none(text, gold):
    assert letter(text) in (None, *"ABCD")
    assert grade(text, gold).outcome in ("right", "wrong")


def test_a_long_hostile_text_is_read_at_once():
    for text in (
        "answer is " * 10_000,
        "(" * 100_000,
        "\\boxed{" * 15_000,
        "A " * 50_000,
        "option " * 15_000,
        "answer" + " " * 100_000,
        "*" * 100_000,
    ):
        assert letter(text) is None


def test_grades():
    assert grade("The answer is B.", "B").right
    assert grade("The answer is A.", "B").detail == "it picks A"
    assert grade("Perhaps.", "B").detail == "it does not pick one option"
    assert grade("B", "Paris").outcome == "error"
