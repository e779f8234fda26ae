"""Lets a model answer held-out prompts, greedily, and scores the answers with the verifiers of the prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.conversation import from_json, tools_from_json
from nemotron_assets.chat.template import prompt_ids, render
from nemotron_assets.rollouts.policy import Ask

if TYPE_CHECKING:
    import polars as pl
    from tokenizers import Tokenizer

    from nemotron_assets.grading.rewards import Rewards
    from nemotron_assets.recipe.align.rollouts import Rollouts
    from resources.generations import Ledger
    from resources.gpu import Gpu

#: Score of an answer to the prompt with this id; None where a verifier failed.
Scores = dict[str, float | None]


def held_out(prompts: pl.LazyFrame, kinds: Iterable[str], most: int | None) -> dict[str, list[dict[str, Any]]]:
    """The held-out prompts of these kinds that have a verifier, by suite ("verifiable/suite": kind and domain): at most
    `most` of each. Ids are hashes, so the first ones are a random choice."""
    import polars as pl

    rows = prompts.filter((pl.col("split") == "held_out") & pl.col("kind").is_in(list(kinds)))
    rows = rows.filter(pl.col("verifiers") != "[]").sort("id").collect()
    suites: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        own = suites.setdefault(f"{row['kind']}/{row['domain']}", [])
        if most is None or len(own) < most:
            own.append(row)
    return dict(sorted(suites.items()))


@dataclass(frozen=True)
class Examiner:
    """What it takes to let models answer: how they are sampled, the ledger, the verifiers, the tokens of an answer.
    Hold `gpu.lock()` meanwhile."""

    rollouts: Rollouts
    gpu: Gpu
    ledger: Ledger
    rewards: Rewards
    max_output_tokens: int

    def scores(self, folder: Path, name: str, sha256: str, prompts: list[dict[str, Any]]) -> Scores:
        """The scores of the model in `folder` by prompt id. `sha256` tells its weights apart: answers of
        weights that were asked before come from the ledger."""
        from nemotron_assets.rollouts.opening import open_policy
        from nemotron_assets.text import tokenizer

        greedy = self.rollouts.model_copy(update={"temperature": 0.0})
        policy = open_policy(greedy, folder, name, sha256, self.gpu, self.ledger, self.max_output_tokens)
        vocabulary = tokenizer.load(folder)
        answers = policy.rollouts(_ask(vocabulary, prompt) for prompt in prompts)
        pairs = (
            (prompt | {"finished": answer.finished}, answer.text)
            for prompt, answer in zip(prompts, answers, strict=True)
        )
        return {row["id"]: reward.value for row, reward in zip(prompts, self.rewards.grade(pairs), strict=True)}


def _ask(vocabulary: Tokenizer, prompt: dict[str, Any]) -> Ask:
    messages, tools = from_json(prompt["messages"]), tools_from_json(prompt["tools"])
    return Ask(tuple(prompt_ids(vocabulary, messages, tools)), render(messages, tools), 0, "held-out", (prompt["id"],))
