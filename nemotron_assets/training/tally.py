"""Counts the loss and the tokens of each category of the data while a model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from nemotron_assets.training.stream import PackedSequence, Shards

_LOSS, _TARGETS, _TOKENS = range(3)


class Tally:
    """Sums over the sequences of each category: loss and targets since the last row of metrics, and tokens since the
    beginning of the training. `state` is kept up to date. It goes into the checkpoint, so a resumed training
    counts on."""

    def __init__(self, categories: Sequence[str], state: dict[str, Any], device: torch.device) -> None:
        self.categories, self.state, self._device = list(categories), state, device
        if state.get("categories") != self.categories:
            state |= {"categories": self.categories, "sums": [[0.0] * 3 for _ in self.categories]}
        self._step = np.zeros((len(self.categories), 3))
        self._losses: list[tuple[np.ndarray, torch.Tensor]] = []

    def add(
        self, categories: np.ndarray, rows: Sequence[PackedSequence], losses: torch.Tensor | None, shards: Shards
    ) -> None:
        """Count sequences of these categories. `losses` has the loss of each; None if the loss does not tell."""
        for category, row in zip(categories.tolist(), rows, strict=True):
            self._step[category, _TOKENS] += len(row.tokens)
            if losses is not None:
                self._step[category, _TARGETS] += shards.targets([row])
        if losses is not None:
            self._losses.append((categories, losses))

    def end_step(self, world: int) -> None:
        """Sum what was counted in this step over all ranks. Every rank must call this."""
        for categories, losses in self._losses:  # only now, so that a device is not waited for between micro-batches
            np.add.at(self._step[:, _LOSS], categories, losses.double().cpu().numpy())
        sums = torch.from_numpy(self._step)
        if world > 1:
            there = sums.to(self._device)
            dist.all_reduce(there)
            sums = there.cpu()
        self.state["sums"] = (torch.tensor(self.state["sums"], dtype=torch.float64) + sums).tolist()
        self._step, self._losses = np.zeros_like(self._step), []

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
