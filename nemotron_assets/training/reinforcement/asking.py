"""Chooses the prompts of every step, and turns them into tokens.

Which prompts a step has follows from the recipe's seed and the number of the step alone, so a training that goes on
after a kill asks the same prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nemotron_assets.chat.conversation import from_json, tools_from_json
from nemotron_assets.chat.template import prompt_ids
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.rollouts.policy import Ask
from nemotron_assets.training.plan import TrainingError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from resources.lakehouse import Reader

COLUMNS = ("id", "kind", "domain", "split", "messages", "tools", "verifiers", "reference")


@dataclass(frozen=True)
class Prompt:
    """A row of align.prompts, as tokens and as text. The verifiers read `row`."""

    row: Mapping[str, Any]
    ids: tuple[int, ...]
    text: str

    def ask(self, sample: int, stage: str, run: Grpo, equal_luck: bool = False) -> Ask:
        """The request for a rollout of this prompt; `Ask` explains `equal_luck`."""
        budget = (run.budget.tokens, run.budget.grace, run.budget.answer_room) if run.budget else None
        return Ask(self.ids, self.text, sample, stage, (self.row["id"],), budget, equal_luck)


def prompt(row: Mapping[str, Any], thinking: bool, tokenizer: PreTrainedTokenizerBase) -> Prompt:
    """A row of align.prompts in the chat template. `thinking` counts where its text does not say."""
    ids = prompt_ids(tokenizer, from_json(row["messages"]), tools_from_json(row["tools"]), thinking)
    return Prompt(row, tuple(ids), tokenizer.decode(ids, skip_special_tokens=False))


def read_prompts(prompts: Reader, run: Grpo) -> dict[str, list[dict[str, Any]]]:
    """The rows of align.prompts that the training reads, by split, in the order of their ids."""
    import polars as pl

    kinds = {name.partition("/")[0] for name, share in run.prompts.items() if share}
    # All prompts of these kinds: the recipe bounds how many are made of each, and training draws from them at random.
    rows = prompts.scan().filter(pl.col("kind").is_in(kinds)).select(COLUMNS).collect().sort("id").to_dicts()
    return {
        split: [row for row in rows if row["split"] == split and run.prompts.get(named(row, run))]
        for split in ("train", "held_out")
    }


def named(row: Mapping[str, Any], run: Grpo) -> str:
    """The name under which the recipe counts a prompt: its kind and domain where they are named, else its kind."""
    both = f"{row['kind']}/{row['domain']}"
    return both if both in run.prompts else row["kind"]


def pool(rows: Sequence[Mapping[str, Any]], run: Grpo) -> list[int]:
    """Numbers of the rows that are asked before the first step (`run.pass_rates`), each once, in a random order."""
    few = run.model_copy(update={"steps": 1, "prompts_per_step": run.pass_rates.prompts, "both_ways": False})
    return list(dict.fromkeys(number for number, _ in schedule(rows, few)))


def schedule(rows: Sequence[Mapping[str, Any]], run: Grpo) -> list[tuple[int, bool]]:
    """(number of the row, whether it is asked to think) of every prompt of all steps, one step after the other.

    Kinds come in their shares. A kind is read in a shuffled order, again and again. Raises `TrainingError` when there
    is no prompt of a kind that the recipe names.
    """
    random, total = np.random.default_rng(run.seed), run.steps * run.prompts_per_step
    weights = {kind: share for kind, share in run.prompts.items() if share}
    ends = [round(total * end / sum(weights.values())) for end in accumulate(weights.values(), initial=0)]
    counts = {kind: last - first for kind, (first, last) in zip(weights, pairwise(ends), strict=True)}
    chosen: list[int] = []
    for kind, count in counts.items():
        own = [number for number, row in enumerate(rows) if named(row, run) == kind]
        if count and not own:
            raise TrainingError(
                f"align.prompts has no {kind} prompts to train on that are short enough, but "
                "align.reinforcement asks for them: take the kind out of `prompts`, or raise max_prompt_tokens"
            )
        if count:
            chosen += [number for _ in range(-(-count // len(own))) for number in random.permutation(own)][:count]
    order = random.permutation(len(chosen))
    thinking = random.permutation(total) % 2 == 0 if run.both_ways else np.ones(total, dtype=bool)
    return [(int(chosen[at]), bool(thinks)) for at, thinks in zip(order, thinking, strict=True)]


def measured(rows: Sequence[Mapping[str, Any]], run: Grpo, tokenizer: PreTrainedTokenizerBase) -> list[Prompt]:
    """The held-out prompts that measure the training: at most `run.held_out_prompts`, in the shares of the recipe, of
    each kind the first ones by their ids, which are hashes."""
    found: list[Prompt] = []
    for name, share in run.prompts.items():
        most = round(run.held_out_prompts * share / sum(run.prompts.values()))
        found += short_enough([row for row in rows if named(row, run) == name], run, tokenizer, most)
    return found


def short_enough(
    rows: Sequence[Mapping[str, Any]], run: Grpo, tokenizer: PreTrainedTokenizerBase, most: int | None = None
) -> Iterator[Prompt]:
    """The first `most` rows whose prompt is not too long, in the order of their ids, as prompts that think unless their
    text says otherwise."""
    for row in rows:
        if most is not None and most <= 0:
            return
        found = prompt(row, True, tokenizer)
        if len(found.ids) <= run.max_prompt_tokens:
            most = None if most is None else most - 1
            yield found
