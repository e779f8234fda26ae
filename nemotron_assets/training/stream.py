"""The order of the training data: packed sequences, shuffled, endless, and the same again from any position.

One epoch goes through the shards in an order drawn from (seed, epoch), some at a time, and through the sequences of
these in an order drawn from (seed, epoch, the place of the first). A shard may be of one kind of text, source code say;
mixed with others it does not fill whole batches. No more shards than these are in memory, and the sequence at any
position follows from the seed alone, so a resumed run reads on exactly where the killed one would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from nemotron_assets.model.packing import Packing

#: Target of a position whose next token is of another document or padding (cross_entropy's ignore_index).
NO_TARGET = -100


@dataclass(frozen=True)
class PackedSequence:
    """One packed sequence: its tokens (int32) and the lengths of the documents in it, in order."""

    tokens: np.ndarray
    lengths: tuple[int, ...]


class Shards(Protocol):
    """Where packed sequences come from: named shards of known length, each small enough for memory."""

    def counts(self) -> Sequence[tuple[str, int]]:
        """(shard, sequences in it), always in the same order."""

    def read(self, shard: str) -> list[PackedSequence]:
        """The sequences of a shard in the order of their position."""


def sequences(shards: Shards, seed: int, start: int = 0, mixed: int = 1) -> Iterator[PackedSequence]:
    """Packed sequences from position `start` of the endless order, `mixed` shards shuffled together. Raises ValueError
    when there are none."""
    counts = shards.counts()
    per_epoch = sum(rows for _, rows in counts)
    if not per_epoch:
        raise ValueError("there are no packed sequences to train on: the token shards are empty")
    epoch, skip = divmod(start, per_epoch)
    while True:
        drawn = np.random.default_rng([seed, epoch]).permutation(len(counts))
        for first in range(0, len(drawn), mixed):
            together = [counts[index] for index in drawn[first : first + mixed]]
            rows = sum(count for _, count in together)
            if skip >= rows:
                skip -= rows
                continue
            content = [sequence for shard, _ in together for sequence in shards.read(shard)]
            order = np.random.default_rng([seed, epoch, first]).permutation(rows)
            for row in order[skip:]:
                yield content[row]
            skip = 0
        epoch += 1


@dataclass(frozen=True)
class Batch:
    """Sequences as tensors: tokens and targets [batch, length] int64; NO_TARGET stands where nothing is predicted."""

    tokens: torch.Tensor
    targets: torch.Tensor
    packing: Packing


def predictions(rows: Sequence[PackedSequence]) -> int:
    """How many next tokens are predicted in these sequences: all but each document's first."""
    return sum(sum(row.lengths) - len(row.lengths) for row in rows)


def as_batch(rows: Sequence[PackedSequence], length: int, device: torch.device | str = "cpu") -> Batch:
    """Pad sequences to `length` (with token 0, which nothing sees and nothing predicts) and line up the targets."""
    tokens = np.zeros((len(rows), length), np.int64)
    targets = np.full((len(rows), length), NO_TARGET, np.int64)
    for index, row in enumerate(rows):
        if len(row.tokens) != sum(row.lengths):
            raise ValueError(f"a sequence of {len(row.tokens)} tokens says it has documents of {list(row.lengths)}")
        if len(row.tokens) > length:
            raise ValueError(f"a packed sequence has {len(row.tokens)} tokens, more than the {length} of the recipe")
        tokens[index, : len(row.tokens)] = row.tokens
        targets[index, : len(row.tokens) - 1] = row.tokens[1:]
        ends = np.cumsum(row.lengths) - 1
        targets[index, ends] = NO_TARGET
    packing = Packing.of([row.lengths for row in rows], length, device)
    return Batch(torch.from_numpy(tokens).to(device), torch.from_numpy(targets).to(device), packing)
