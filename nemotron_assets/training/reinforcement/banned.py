"""Which tokens a thinking budget made impossible in the place of each sampled token.

The sampler chooses among the others, so a token's probability is that under this choice. The trainer has to score it in
the same way: otherwise the two disagree, and the update follows the gradient of another distribution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nemotron_assets.chat.budget.automaton import Budget, banned_tokens
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.rollouts.policy import Rollout

#: Number of the set without tokens.
_NOTHING = 0


class BannedTokens:
    """The sets of tokens that budgets have banned in a training, by number."""

    def __init__(self, tags: Tags, vocabulary: int, total: int, device: torch.device) -> None:
        self._tags, self._total = tags, total
        self._numbers: dict[tuple[int, ...], int] = {(): _NOTHING}
        self.sets = torch.zeros(1, vocabulary, dtype=torch.bool, device=device)

    def of(self, rollouts: Sequence[Rollout]) -> torch.Tensor | None:
        """The number of the set for every token, [rollouts, tokens of the longest]. None: no rollout has a budget."""
        if not any(rollout.ask.budget for rollout in rollouts):
            return None
        rows = [torch.tensor(self._of(rollout), device=self.sets.device) for rollout in rollouts]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=_NOTHING)

    def _of(self, rollout: Rollout) -> list[int]:
        if rollout.ask.budget is None:
            return [_NOTHING] * len(rollout.tokens)
        budget = Budget(*rollout.ask.budget)
        found = banned_tokens(self._tags, budget, rollout.ask.prompt_ids, rollout.tokens, self._total)
        return [self._number(tuple(tokens)) for tokens in found]

    def _number(self, tokens: tuple[int, ...]) -> int:
        if tokens not in self._numbers:
            self._numbers[tokens] = len(self.sets)
            row = torch.zeros_like(self.sets[:1])
            row[0, list(tokens)] = True
            self.sets = torch.cat([self.sets, row])
        return self._numbers[tokens]
