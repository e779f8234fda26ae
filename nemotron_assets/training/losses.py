"""Losses: what a training minimises.

A loss wraps the model in training as `self.student`, because FSDP2 shards one module with one forward().
`Loss(student)(batch)` returns the loss summed over all targets of the batch. It may hold other models, such as a
teacher, with their weights loaded and frozen.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint as recompute

from nemotron_assets.model.nemotron_h import packed_hidden
from nemotron_assets.training.stream import NO_TARGET, Batch

#: Maximum number of logits in memory. A batch with more is processed in slices, whose logits are computed again in the
#: backward pass.
LOGITS_AT_ONCE = 1 << 27


class NextToken(torch.nn.Module):
    """Cross-entropy of the next token, the loss of pretraining.

    `by_row` has the loss of each sequence of the last batch, without gradients, for the metrics of single categories.
    """

    by_row: torch.Tensor | None = None

    def __init__(self, student: torch.nn.Module):
        super().__init__()
        self.student = student

    def forward(self, batch: Batch) -> torch.Tensor:
        """The cross-entropy in nats, summed over the positions that have a target."""
        hidden = packed_hidden(self.student, batch.tokens, batch.packing, batch.parallel).flatten(0, 1)
        rows = max(1, LOGITS_AT_ONCE // self.student.config.vocab_size)
        slices = list(zip(hidden.split(rows), batch.targets.flatten().split(rows), strict=True))
        if len(slices) == 1:
            losses = self._score(*slices[0])
        else:
            losses = torch.cat([recompute(self._score, *piece, use_reentrant=False) for piece in slices])
        self.by_row = losses.detach().view(batch.targets.shape).sum(1)
        return losses.sum()

    def _score(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = self.student.lm_head(hidden).float()
        return F.cross_entropy(logits, targets, ignore_index=NO_TARGET, reduction="none")
