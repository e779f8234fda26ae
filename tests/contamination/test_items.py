"""Benchmark items in pages: which items are found, by which rule, and which pages must be kept."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.contamination import items as c
from nemotron_assets.contamination.words import runs, words
from nemotron_assets.evaluate.items import benchmarks
from nemotron_assets.recipe import load_recipe
from nemotron_assets.scorers import embeddings
from resources.crawl import SAMPLE

RECIPE = load_recipe("laptop").math.corpus.contamination
QUESTION = (
    "A baker makes 24 rolls in the morning and twice as many in the afternoon; she sells a third of all of them "
    "before noon and gives the rest to a school. How many rolls does the school get?"
)
ITEM = {"id": "i0", "benchmark": "gsm8k", "item": "gsm8k-0", "question": QUESTION, "choices": [], "entry_point": None,
        "tests": [], "answer": "In the afternoon she makes 24 * 2 = <<24*2=48>>48 rolls. Together these are 72 rolls, "
        "a third of them is 24, so the school gets 72 - 24 = 48 rolls. #### 48"}  # fmt: skip
SHORT = ITEM | {
    "id": "i1",
    "benchmark": "mmlu",
    "item": "mmlu-0",
    "question": "Find the order of the factor group Z_6/<3>.",
    "choices": ["2", "3", "6", "12"],
    "answer": "3",
}
CODE = ITEM | {
    "id": "i2",
    "benchmark": "humaneval",
    "item": "HumanEval/0",
    "entry_point": "f",
    "question": "def f(x):\n    return",
    "answer": "    for i in range(len(x)):\n        if x[i] > 0:\n            return True\n    return False\n",
    "tests": ["assert f([1])"],
}


def items(*rows, embed=None, **changes) -> c.Items:
    return c.Items(rows, RECIPE.model_copy(update=changes), embed)


def test_a_question_is_found_with_its_text_whatever_stands_around_it():
    page = f"Exercises for the week\n\n1. {QUESTION}\n\n2. Draw a circle."
    (match,) = items(ITEM, SHORT, CODE).find(page)
    assert (match.item, match.removed, match.rule, match.field, match.share) == (0, True, "overlap", "question", 1.0)
    assert match.page_text == QUESTION[:-1] and match.item_text == QUESTION


def test_a_worked_answer_is_found_without_the_notes_for_a_calculator():
    page = (
        "Solution. In the afternoon she makes 24 * 2 = 48 rolls. Together these are 72 rolls, a third of them is 24, so"
    )
    (match,) = items(ITEM).find(page)
    assert match.removed and match.field == "answer"


def test_the_same_kind_of_problem_in_other_words_and_numbers_is_kept():
    page = (
        "A baker makes 30 buns before lunch and three times as many after it. She sells half of them and gives what is "
        "left to a hospital. How many buns does the hospital get?"
    )
    assert items(ITEM, SHORT, CODE).find(page) == []


def test_one_common_run_of_words_is_listed_but_not_removed():
    half = " ".join(QUESTION.split()[:14])
    (match,) = items(ITEM, min_share=0.5).find(f"As in the riddle: {half} ... and so on.")
    assert not match.removed and 0 < match.share < 0.5


@pytest.mark.parametrize(
    ("page", "removed"),
    [
        ("Find the order of the factor group Z_6/<3>. (A) 2 (B) 3 (C) 6 (D) 12", True),
        ("Find the order of the factor group $Z_{6}/\\langle 3 \\rangle$. A. 2 B. 3 C. 6 D. 12", False),  # other words
        ("Find the order of the factor group Z_6/<3>. We leave that to the reader.", False),
        ("The order of a factor group divides that of the group: 2, 3, 6, 12.", False),
    ],
)
def test_a_short_question_counts_with_its_choices_behind_it(page, removed):
    found = items(SHORT).find(page)
    assert [match.removed for match in found] == [True] * removed
    assert not removed or found[0].rule == "whole_question"


def test_common_code_is_not_an_item():
    assert items(CODE).find("for i in range(len(x)): if x[i] > 0: return True; return False # a loop over a list") == []


def test_notation_does_not_hide_an_item():
    row = ITEM | {"question": "Let x^2 + y_1 = 0 hold for every real number x and let k be the number of its solutions"}
    page = "Let $x^{2} + y_{1} = 0$ hold for every real number $x$, and let $k$ be the number of its solutions"
    assert items(row).find(page)[0].removed
    assert items(row).find(page.replace("$x^{2} + y_{1}", "x² + y₁"))[0].removed


class _Near:
    """An embedding in which all texts are equal."""

    def __call__(self, texts):
        return np.ones((len(texts), 1), np.float32)


def test_a_similar_passage_without_support_is_only_a_near_miss():
    page = "A farmer has hens and sells their eggs at the market every day of the week."
    (match,) = items(ITEM, embed=_Near(), support=6).find(page)
    assert (match.removed, match.rule, match.cosine) == (False, "cosine", 1.0)
    (match,) = items(ITEM, embed=_Near(), support=0).find(page)
    assert match.removed  # as published
    supported = page + " A baker makes 24 rolls in the morning, too."
    (match,) = items(ITEM, embed=_Near(), support=6).find(supported)
    assert match.removed and match.matched == 6


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_page_around_an_item_is_found_and_any_page_without_it_is_not(before, after):
    ready = items(ITEM)
    assert [m.item for m in ready.find(f"{before} \n {QUESTION} \n {after}")] == [0]
    assert ready.find(before + after) == []


def test_hashes_of_runs_depend_on_the_order_of_words():
    first, second = words("one two three four"), words("one three two four")
    assert len(runs(first.hashes, 2)) == 3 and not set(runs(first.hashes, 2)) & set(runs(second.hashes, 2))
    assert len(runs(first.hashes, 5)) == 0


def test_planted_items_of_the_sample_are_found_and_a_similar_page_is_kept(tmp_path):
    """The items planted in the embedded sample, in texts like its pages."""
    rows = pl.concat(list(benchmarks.read(benchmarks.folder("sample"), pytest.fail))).select(c.ITEMS).to_dicts()
    folder = embeddings.fetch_embedding("wordllama", tmp_path / "embedding")
    ready = c.Items(rows, RECIPE, embeddings.embedding(folder, RECIPE.embedding_tokens))
    by_name = {row["item"]: row for row in rows}
    truth = [json.loads(line) for line in (SAMPLE / "truth" / "contamination.jsonl").read_text().splitlines()]
    for planted in truth:
        row = by_name[planted["item"]]
        if planted["planted"]:
            page = f"Practice sheet\n\n{row['question']}\n" + "".join(f"\n- {choice}" for choice in row["choices"])
            assert planted["item"] in {rows[m.item]["item"] for m in ready.find(page) if m.removed}
    alike = (
        "A farm shop sells eggs by the tray. If a flock gives about thirty eggs a day and the family keeps a handful "
        "for the kitchen, how much does the shop take in a week? Questions of this shape need only multiplication and "
        "subtraction, yet they train the habit of naming every quantity before computing with it."
    )
    assert not any(match.removed for match in ready.find(alike))
