"""Pairs of answers: an answer is preferred only if it is right and ends its turn."""

import pytest

from nemotron_assets.chat.template import END_OF_TURN_ID
from nemotron_assets.grading.rewards import Rewards
from nemotron_assets.recipe import load_recipe
from nemotron_assets.rollouts.policy import Rollout
from nemotron_assets.text import tokenizer as text_tokenizer
from nemotron_assets.training.preference.pairs import Pairing
from tests.align.stored import prompt


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    text_tokenizer.save(text_tokenizer.train([["say yes or no"] * 3], 300, 32, 2), folder, 512)
    return text_tokenizer.load(folder)


class Canned:
    """A policy that gives these (text, whether it ends the turn)."""

    def __init__(self, tokenizer, answers):
        self.tokenizer, self.answers = tokenizer, answers

    def rollouts(self, asks):
        for ask, (text, ends) in zip(asks, self.answers, strict=True):
            tokens = text_tokenizer.encode(self.tokenizer, text) + [END_OF_TURN_ID] * ends
            reason = "stop" if ends else "length"
            yield Rollout(
                ask, tokens, [0.0] * len(tokens), [False] * len(tokens), text, reason, "x", f"g{ask.sample}", True
            )


@pytest.mark.parametrize(
    ("answers", "references", "source", "counted"),
    [
        ([("yes", True), ("no", True)], True, "sample", "pair"),
        ([("yes", False), ("yes", True), ("no", False)], False, "sample", "pair"),
        ([("yes", False), ("no", True)], True, "reference", "pair_with_reference"),
        ([("yes", False), ("no", True)], False, None, "unfinished"),
        ([("yes", False), ("no", False)], True, "reference", "pair_with_reference"),
        ([("yes", False), ("no", False)], False, None, "unfinished"),
        ([("no", False), ("no", True)], False, None, "all_wrong"),
        ([("no", False), ("no", False)], False, None, "all_wrong"),
    ],
)
def test_a_better_answer_ends_its_turn(tokenizer, answers, references, source, counted):
    recipe = load_recipe("laptop")
    sampling = recipe.align.preference.tools.model_copy(
        update={"samples": len(answers), "reference_positives": references, "min_margin": 0.5}
    )
    with Rewards(recipe.grading) as rewards:
        policy = Canned(tokenizer, answers)
        pairing = Pairing(sampling, policy, rewards, tokenizer, 2_000, "align.preferences", "part", "tools", 1, "model")
        rows = list(pairing.rows([prompt(1, "tools", "train", "say yes", "yes")]))
    assert [row["chosen_from"] for row in rows] == [source] * (source is not None) and pairing.counts[counted] == 1
    for row in rows:
        assert (row["chosen"].strip(), row["rejected"], row["chosen_tokens"][-1]) == ("yes", "no", END_OF_TURN_ID)
        assert (row["right_samples"] > 0) == (source == "sample")
