"""Questions that repeat earlier ones are found, exactly or nearly; different questions stay."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe.sft.stem import NearQuestions
from nemotron_assets.sft.near import repeats

KNOWN = ["How many moons does the planet Mars have, and what are they called by astronomers?", "What is 2 + 2?"]


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (["what is  2 + 2"], {0: (KNOWN[1], 1.0)}),
        (["What is 2 + 3?"], {}),
        (["Why is the sky blue at noon?", "Why is the sky blue at noon?"], {1: ("Why is the sky blue at noon?", 1.0)}),
        (["Who discovered the moons of Mars?", "Why do stars twinkle?"], {}),
        ([], {}),
    ],
)
def test_equal_questions_repeat(new, found):
    assert repeats(KNOWN, new, NearQuestions()) == found


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["", "Explain your answer. ", "Think it over twice, and then once more. "]), st.booleans())
def test_a_new_question_never_displaces_the_one_that_it_was_made_from(more, exact):
    """However much longer it is: the known question is not judged, and the new one names it or is kept beside it."""
    made = KNOWN[0] if exact else KNOWN[0].replace("called", "named")
    found = repeats(KNOWN, [more + made, "Why is grass green?"], NearQuestions())
    assert set(found) <= {0} and all(other == KNOWN[0] for other, _ in found.values())
    assert found or more


def test_nearly_equal_questions_repeat_what_came_first():
    near = KNOWN[0].replace("called", "named")
    found = repeats(KNOWN, ["Why is grass green?", near], NearQuestions())
    assert set(found) == {1} and found[1][0] == KNOWN[0] and 0.7 <= found[1][1] < 1
