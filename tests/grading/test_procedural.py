"""reasoning-gym behind its strict wrapper: only a full score counts, and bad scorers disqualify their tasks."""

from __future__ import annotations

import sys

import pytest

from nemotron_assets.grading.procedural import Item, MadeItem, NoItem, ProceduralGrader, generator_name
from nemotron_assets.recipe.grading import Grading

LIMITS = Grading(answer_s=5)


@pytest.fixture(scope="module")
def grader():
    with ProceduralGrader(LIMITS) as grader:
        yield grader


def made(grader: ProceduralGrader, *items: Item) -> list[MadeItem]:
    found = list(grader.make(items))
    assert all(isinstance(one, MadeItem) for one in found), found
    return found


def test_items_are_made_again_from_where_they_come_from(grader):
    items = [Item(task, "{}", 7, index) for task in ("gcd", "spell_backward", "coin_flip") for index in (0, 5, 90_000)]
    first, again = made(grader, *items), made(grader, *reversed(items))
    assert first == again[::-1]
    assert len({one.question for one in first}) > 6
    assert "reasoning_gym" not in sys.modules and generator_name() == "reasoning-gym 0.1.25"


def test_only_a_full_score_is_right(grader):
    (one,) = made(grader, Item("spell_backward", "{}", 7, 3))
    almost = one.answer[:-1] + ("x" if one.answer[-1] != "x" else "y")
    answers = [one.answer, almost, "", f"The word is {one.answer}", "x" * 20_001]
    verdicts = list(grader.grade((answer, one.item) for answer in answers))
    assert [verdict.outcome for verdict in verdicts] == ["right", "wrong", "wrong", "wrong", "error"]
    assert all(verdict.by == "spell_backward" for verdict in verdicts)
    assert verdicts[1].detail.startswith("score 0.")
    assert "20,001 characters" in verdicts[4].detail
    # Nine ninths of a score add up to a little more than 1.
    (nine,) = made(grader, Item("spell_backward", '{"max_word_len": 9, "min_word_len": 9}', 7, 0))
    assert [v.outcome for v in grader.grade([(nine.answer, nine.item), (f"{nine.answer} x", nine.item)])] == [
        "right",
        "wrong",
    ]


def test_tasks_are_disqualified_for_their_scorers(grader):
    assert grader.disqualified("gcd") == ""
    assert "the scorer finds 'I do not know.' error (value_error" in grader.disqualified("prime_factorization")
    assert "no question or no answer" in grader.disqualified("graph_color")
    assert "needs the package bfi" in grader.disqualified("bf")
    assert "'nonesuch' not registered" in grader.disqualified("nonesuch")
    assert "the scorer finds 'nan' right" in grader.disqualified("complex_arithmetic")
    dates = '{"max_date_difference_days": 20, "task_types": ["date"]}'
    assert "days or nothing of the kind' right" in grader.disqualified("time_intervals", dates)
    assert "it cannot make an item" in grader.disqualified("gcd", '{"min_value": -5}')
    (verdict,) = grader.grade([("1", Item("bf", "{}", 7, 0))])
    assert verdict.outcome == "error" and "the task bf is disqualified" in verdict.detail


def test_a_task_whose_items_depend_on_the_process_is_disqualified(grader):
    """isomorphic_strings goes through a set of letters, whose order differs between processes."""
    assert grader.varies("gcd") == ""
    assert grader.varies("isomorphic_strings").startswith("another process makes other items: [")
    (verdict,) = grader.grade([("1", Item("isomorphic_strings", "{}", 7, 0))])
    assert verdict.outcome == "error"


def test_an_item_that_cannot_be_made_costs_only_itself(grader):
    found = list(grader.make([Item("gcd", "{}", 7, 0), Item("rubiks_cube", "{}", 7, 0), Item("gcd", "{}", 7, 1)]))
    assert [type(one) for one in found] == [MadeItem, NoItem, MadeItem]
    assert "needs the package magiccube" in found[1].reason
