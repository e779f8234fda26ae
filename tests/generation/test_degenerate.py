"""Echoes of a prompt's form and loops are found; good answers, lists and refrains are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.generation.degenerate import echo, loop
from nemotron_assets.web.synthetic.prompts import DIVERSE_QA, WIKIPEDIA


@pytest.mark.parametrize(
    "text",
    ["The question:", "The question: what is it?", "the answer: 7", "Answer: The answer", "- Question 2: the question",
     "The answer", "the question", "The answer is the answer to the question.", "What is the answer to this question?",
     "“Question: the question”", "Passage: the text"],
)  # fmt: skip
def test_echoes_of_a_form(text):
    assert echo(text)


@pytest.mark.parametrize(
    "text",
    ["Yes.", "No", "42", "What is water?", "The answer is a document.", "It is.",
     "What does the passage say about ice?", "Which question did Turing ask?", "The: a study", "", "水是什么？"],
)  # fmt: skip
def test_answers_that_are_no_echo(text):
    assert not echo(text, DIVERSE_QA.task)


def test_words_of_the_prompt_are_an_echo_and_few_of_them_are_not():
    assert echo("Use only what the passage says. Be concise, clear and complete!", DIVERSE_QA.task)
    assert echo("REWRITE the passage below in clear, polished English, in short", WIKIPEDIA.task)
    assert not echo("Only what the passage says about it is used.", DIVERSE_QA.task)


@pytest.mark.parametrize(
    "text",
    [
        "The code is very clean. The code is very clean. The code is very clean. The code is very cle",
        "It grows on the northern slopes of the hills. It grows on the northern slopes of the hills. Then it ends.",
        "very very very very very very very very very very clean",
        "It is red. And it is a very good day. So. And it is a very good day. No. And it is a very good day.",
        "the scalar product of the scalar product of the scalar product of the scalar product",
        "这个湖很大。这个湖很大。这个湖很大。这个湖很大。",
        "a line about the universal algebra of things\na line about the universal algebra of things",
    ],
)
def test_loops(text):
    assert loop(text)
    assert not loop(text, source=f"A text that says again: {text}")


@pytest.mark.parametrize(
    "text",
    [
        "No, no, no!",
        "Row, row, row your boat gently down the stream.",
        "1 + 1 = 2 and 1 + 2 = 3 and 1 + 3 = 4",
        "The lake is deep. The lake is cold. The lake is old.",
        "- a red apple\n- a green apple\n- a red pear",
        "",
    ],
)
def test_texts_that_repeat_words_and_are_no_loops(text):
    assert not loop(text)


@given(st.lists(st.sampled_from(["ab", "cd", "。", "\n", "the", "question", ":"]), max_size=60).map(" ".join))
def test_any_text_is_judged(text):
    assert isinstance(echo(text, DIVERSE_QA.task), str) and isinstance(loop(text), str)
    assert loop(" ".join(["and the lake is so deep that nobody knows"] * 2 + [text]))
