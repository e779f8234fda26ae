"""The thinking budget in `generate` of transformers: `model.generate(..., logits_processor=[BudgetProcessor(...)])`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from nemotron_assets.chat.budget.automaton import Budget, Thought
from nemotron_assets.chat.budget.masking import mask
from nemotron_assets.chat.budget.tags import Tags


class BudgetProcessor(LogitsProcessor):
    """Keeps every row of one call of `generate` within its budget.

    `budgets` is one budget, or one per prompt; `total` is `max_new_tokens` of the call. Prompts of different length are
    padded on the left. Several samples per prompt are fine. Beam search is not, because it exchanges rows.
    """

    def __init__(self, tags: Tags, budgets: Budget | Sequence[Budget], total: int) -> None:
        self._tags, self._total = tags, total
        self._budgets = [budgets] if isinstance(budgets, Budget) else list(budgets)
        self._thoughts: list[Thought] = []
        self._seen: torch.Tensor | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """`input_ids`: (rows, length), `scores`: (rows, vocabulary). Raises ValueError in a second call of `generate`,
        and in beam search."""
        if self._seen is None:
            self._start(input_ids)
        elif not torch.equal(input_ids[:, :-1], self._seen):
            raise ValueError(
                "the rows of generate changed between two tokens: make a BudgetProcessor for every call of generate, "
                "and do not use beam search with it"
            )
        else:
            for thought, token in zip(self._thoughts, input_ids[:, -1].tolist(), strict=True):
                thought.feed(token)
        self._seen = input_ids
        scores = scores.clone()
        for row, thought in zip(scores, self._thoughts, strict=True):
            mask(row, thought)
        return scores

    def _start(self, prompts: torch.LongTensor) -> None:
        samples, rest = divmod(len(prompts), len(self._budgets))
        if rest:
            raise ValueError(f"{len(self._budgets)} budgets do not fit {len(prompts)} rows: give one per prompt")
        for row, prompt in enumerate(prompts.tolist()):
            self._thoughts.append(Thought(self._tags, self._budgets[row // samples], prompt, self._total))
