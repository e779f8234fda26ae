"""What an answer states: one letter or one short text, and nothing that only looks like one."""

from __future__ import annotations

import pytest

from nemotron_assets.evaluate import stated


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("The answer is $B$.", "B"),
        ("the answer is (b)", "B"),
        ("The answer is **(C)**", "C"),
        ("The answer is A.", "A"),
        ("The answer is A hydrogen atom", None),
        ("The answer is a number", None),
        ("The answer is I do not know", None),
    ],
)
def test_letter(answer, letter):
    assert stated.letter(answer) == letter


@pytest.mark.parametrize("said", ["A", "(A)", "$A$", "**A**", "A.", "A. The first", "(A) a text", "A: the first"])
def test_a_right_letter(said):
    assert stated.same(said, "A") and not stated.same(said, "B")


@pytest.mark.parametrize("said", ["A triangle", "A or B", "A, B and C", "A and C", "A. or B.", "(A) and (C)"])
def test_more_than_a_letter_is_wrong(said):
    assert not stated.same(said, "A")


def test_a_sentence_is_not_a_letter():
    assert not stated.same("I do not know", "I")


def test_text_after_signs():
    assert stated.short("**Final answer:** Westphalia") == "Westphalia" and stated.short("- Answer: x") == "x"


def test_no_text_after_many_lines_of_signs():
    assert stated.short("---\n" * 100_000) is None
