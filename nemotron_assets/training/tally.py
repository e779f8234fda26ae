"""Counts the loss and the tokens of each category of the data while a model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from nemotron_assets.training.ranks import Ranks
    from nemotron_assets.training.stream import PackedSequence, Shards

_LOSS, _TARGETS, _TOKENS = range(3)


class Tally:
    """Sums over the sequences of each category: loss and targets since the last row of metrics, and tokens since the
    beginning of the training. `state` is kept up to date. It goes into the checkpoint, so a resumed training
    counts on."""

    def __init__(self, categories: Sequence[str], state: dict[str, Any], ranks: Ranks) -> None:
        self.categories, self.state, self._ranks = list(categories), state, ranks
        if state.get("categories") != self.categories:
            state |= {"categories": self.categories, "sums": [[0.0] * 3 for _ in self.categories]}

    def add(
        self, categories: np.ndarray, rows: Sequence[PackedSequence], losses: torch.Tensor | None, shards: Shards
    ) -> None:
        """Count the sequences of this rank in a step, which are of these categories, over all ranks. `losses` has the
        loss of each; None if the loss does not tell, or the step was left out. Every rank must call this."""
        step = np.zeros((len(self.categories), 3))
        if self._ranks.slice == 0:  # the other ranks of a group have read the same sequences
            np.add.at(step[:, _TOKENS], categories, [float(len(row.tokens)) for row in rows])
            if losses is not None:
                np.add.at(step[:, _TARGETS], categories, [float(shards.targets([row])) for row in rows])
        if losses is not None:
            np.add.at(step[:, _LOSS], categories, losses.double().cpu().numpy())
        sums = self._ranks.summed(torch.from_numpy(step).to(self._ranks.device)).cpu()
        self.state["sums"] = (torch.tensor(self.state["sums"], dtype=torch.float64) + sums).tolist()

    def row(self) -> dict[str, Any]:
        """Fields of a row of metrics: `categories`, `category_losses` (the mean per predicted token since the last row;
        None for a category without sequences since then) and `category_tokens` (since the beginning, no padding)."""
        sums = self.state["sums"]
        losses = [loss / targets if targets else None for loss, targets, _ in sums]
        self.state["sums"] = [[0.0, 0.0, tokens] for *_, tokens in sums]
        return {
            "categories": self.categories,
            "category_losses": losses,
            "category_tokens": [int(tokens) for *_, tokens in sums],
        }
