"""How samples decide: most must agree, unusable ones count against every answer, a known answer outweighs them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.sft.voting import Outcome, against, majority

KEYS = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=9)


def test_three_of_four_samples_are_a_majority():
    vote = majority(["b", "a", "b", "b"], 0.5)
    assert (vote.winner, vote.members, vote.outcome) == ("b", (0, 2, 3), Outcome("majority", "3 of 4 samples"))


def test_half_of_the_samples_or_one_alone_are_not():
    assert majority(["a", "a", "b", None], 0.5).outcome.status == "failed"
    assert majority(["a"], 0.5).outcome.status == "failed"
    assert "none of 3 samples" in majority([None] * 3, 0.5).outcome.detail
    assert "a (1), b (1)" in majority(["a", "b"], 0.5).outcome.detail


def test_a_known_answer_verifies_or_fails():
    assert against("a", ["a", "a", "b"], 0.5, "seed answer").outcome == Outcome("verified", "seed answer")
    wrong = against("b", ["a", "a", "b"], 0.5, "seed answer")
    assert wrong.outcome.status == "failed" and "2 of 3 samples say a, the seed answer is b" in wrong.outcome.detail
    assert against("a", ["a", None, None], 0.5, "seed answer").outcome.status == "failed"


@given(KEYS, st.sampled_from([0.0, 0.5, 0.7]))
def test_the_winner_has_more_than_the_share(keys, share):
    vote = majority(keys, share)
    assert vote.outcome.status in ("majority", "failed")
    if vote.winner is not None:
        assert len(vote.members) > share * len(keys) and len(vote.members) >= 2
        assert {keys[number] for number in vote.members} == {vote.winner}
