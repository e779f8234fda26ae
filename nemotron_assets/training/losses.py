"""Losses: what a training minimises.

A loss wraps the model in training as `self.student`, because FSDP2 shards one module with one forward().
`Loss(student)(batch)` returns the loss summed over all targets of the batch. It may hold other models, such as a
teacher, with their weights loaded and frozen.
"""

from __future__ import annotations

import torch

from nemotron_assets.model.nemotron_h import packed_hidden
from nemotron_assets.training.stream import Batch, places_of
from nemotron_assets.training.teacher import Teacher


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
        targets, places = batch.targets.flatten(), batch.places
        # The attached head computes the loss in slices, so that the logits are never in memory together.
        if places is None:
            loss, losses = self.student.lm_head(hidden, targets)
        else:
            loss, known = self.student.lm_head(hidden[places], targets[places])
            losses = known.new_zeros(len(targets)).index_copy_(0, places, known)
        self.by_row = losses.view(batch.targets.shape).sum(1)
        return loss


class FromTeacher(torch.nn.Module):
    """The forward KL divergence from a frozen teacher at temperature 1, over the whole vocabulary, and nothing else
    (Nemotron Nano 2 report §4.3). Only positions that have a target count, so of a conversation the answers alone.

    `by_row` is that of `NextToken`. Raises ValueError for a teacher with another vocabulary.
    """

    by_row: torch.Tensor | None = None

    def __init__(self, student: torch.nn.Module, teacher: Teacher):
        super().__init__()
        sizes = student.config.vocab_size, teacher.model.config.vocab_size
        if sizes[0] != sizes[1]:
            raise ValueError(f"the student has {sizes[0]} tokens and the teacher {sizes[1]}: they need one tokenizer")
        self.student, self.teacher = student, teacher

    def forward(self, batch: Batch) -> torch.Tensor:
        """The divergence in nats, summed over the positions that have a target."""
        places = places_of(batch.targets) if batch.places is None else batch.places
        known = self.teacher(batch, places)
        hidden = packed_hidden(self.student, batch.tokens, batch.packing, batch.parallel).flatten(0, 1)
        loss, of_places = self.student.lm_head(hidden[places], teacher=(known, self.teacher.model.lm_head.weight))
        losses = of_places.new_zeros(batch.targets.numel()).index_copy_(0, places, of_places)
        self.by_row = losses.view(batch.targets.shape).sum(1)
        return loss
