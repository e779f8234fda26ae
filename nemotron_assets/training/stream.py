"""The order of the training data: an endless, shuffled stream of packed sequences that can start at any position.

An epoch goes through the shards in an order drawn from (seed, epoch). It takes a few shards at a time and shuffles
their sequences together, in an order drawn from (seed, epoch, index of the first of these shards). A shard may hold one
kind of text only, such as source code; mixing shards keeps that text from filling whole batches.

Only these few shards are in memory. The sequence at a position follows from the seed alone, so a resumed training reads
exactly what the killed one would have read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nemotron_assets.model.packing import Packing

#: The target of a position whose next token belongs to another document or is padding (ignore_index of cross_entropy).
NO_TARGET = -100


@dataclass(frozen=True)
class PackedSequence:
    """One packed sequence: its tokens (int32) and the lengths of the documents in it, in order."""

    tokens: np.ndarray
    lengths: tuple[int, ...]


def sequences(shards: Shards, seed: int, start: int = 0, mixed: int = 1) -> Iterator[PackedSequence]:
    """The packed sequences from position `start` of the endless stream, with `mixed` shards shuffled together. Raises
    ValueError when the shards are empty."""
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
    """Sequences as tensors. `tokens` and `targets` are [batch, length] int64; a target is NO_TARGET where no token is
    predicted."""

    tokens: torch.Tensor
    targets: torch.Tensor
    packing: Packing


def predictions(rows: Sequence[PackedSequence]) -> int:
    """The number of tokens that are predicted in these sequences: all tokens except the first of every document."""
    return sum(sum(row.lengths) - len(row.lengths) for row in rows)


def as_batch(rows: Sequence[PackedSequence], length: int, device: torch.device | str = "cpu") -> Batch:
    """Pad sequences to `length` and align the targets. The padding is token 0; no document sees it and it is never a
    target. Raises ValueError for a sequence that is too long, or whose document lengths do not add up."""
    tokens = np.zeros((len(rows), length), np.int64)
    targets = np.full((len(rows), length), NO_TARGET, np.int64)
    for index, row in enumerate(rows):
        if len(row.tokens) != sum(row.lengths):
            raise ValueError(
                f"a packed sequence has {len(row.tokens)} tokens, but its documents have {list(row.lengths)} tokens"
            )
        if len(row.tokens) > length:
            raise ValueError(f"a packed sequence has {len(row.tokens)} tokens, more than the {length} of the recipe")
        tokens[index, : len(row.tokens)] = row.tokens
        targets[index, : len(row.tokens) - 1] = row.tokens[1:]
        ends = np.cumsum(row.lengths) - 1
        targets[index, ends] = NO_TARGET
    packing = Packing.of([row.lengths for row in rows], length, device)
    return Batch(torch.from_numpy(tokens).to(device), torch.from_numpy(targets).to(device), packing)


class Shards(ABC):
    """The source of the training data: named shards of known length, each small enough for memory.

    A subclass whose sequences hold more than tokens, such as a mask of the answer or a pair of answers, also replaces
    `batch` and `targets`. The loop passes the batch to the loss as it is.
    """

    @abstractmethod
    def counts(self) -> Sequence[tuple[str, int]]:
        """The name of every shard with the number of its sequences, always in the same order."""

    @abstractmethod
    def read(self, shard: str) -> list[PackedSequence]:
        """The sequences of a shard, always in the same order."""

    def batch(self, rows: Sequence[PackedSequence], length: int, device: torch.device) -> Batch:
        """What the loss gets for these sequences of at most `length` tokens."""
        return as_batch(rows, length, device)

    def targets(self, rows: Sequence[PackedSequence]) -> int:
        """How many terms the loss of these sequences sums up. The loop divides the loss of a step by this number."""
        return predictions(rows)
