"""The training data as the loop sees it: packed sequences of some sources, and batches of them as tensors.

Which sequence is read when is decided by the mixture (see `mixture`), not here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nemotron_assets.model.fused import NO_TARGET
from nemotron_assets.model.packing import Packing
from nemotron_assets.model.parallel import ContextParallel
from nemotron_assets.training.mixture import Entry, Rows, Source


@dataclass(frozen=True)
class PackedSequence:
    """One packed sequence: its tokens (int32) and the lengths of the documents in it, in order."""

    tokens: np.ndarray
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Sequences as tensors. `tokens` and `targets` are [batch, length] int64; a target is NO_TARGET where no token is
    predicted. With `parallel`, they are the parts of this rank; `packing` describes the whole sequences."""

    tokens: torch.Tensor
    targets: torch.Tensor
    packing: Packing
    parallel: ContextParallel | None = None

    def part(self, parallel: ContextParallel) -> Batch:
        """The part of the batch that this rank takes. Raises ValueError if the sequences do not split evenly."""
        return Batch(parallel.part(self.tokens), parallel.part(self.targets), self.packing, parallel)


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
    """The training data: sources with numbered shards, of which every sequence can be read alone.

    A subclass whose sequences hold more than tokens, such as a mask of the answer or a pair of answers, also replaces
    `batch` and `targets`. The loop passes the batch to the loss as it is.
    """

    @property
    @abstractmethod
    def sources(self) -> Sequence[Source]:
        """The sources, always in the same order, with the number of sequences of each of their shards."""

    @abstractmethod
    def read(self, source: int, shard: int, row: int) -> PackedSequence:
        """One sequence: of the source and shard with these numbers."""

    def shard_name(self, source: int, shard: int) -> str:
        """The name of a shard, for people: a subclass whose shards have names of their own replaces it."""
        return f"{self.sources[source].name}/{shard:06d}"

    def batch(self, rows: Sequence[PackedSequence], length: int, device: torch.device) -> Batch:
        """What the loss gets for these sequences of at most `length` tokens."""
        return as_batch(rows, length, device)

    def targets(self, rows: Sequence[PackedSequence]) -> int:
        """How many terms the loss of these sequences sums up. The loop divides the loss of a step by this number."""
        return predictions(rows)


def read_rows(shards: Shards, rows: Rows) -> list[PackedSequence]:
    """The sequences that a mixture has named."""
    places = zip(rows.sources.tolist(), rows.shards.tolist(), rows.rows.tolist(), strict=True)
    return [shards.read(*place) for place in places]


def all_alike(sources: Sequence[Source]) -> list[Entry]:
    """The entries of a mixture that reads every source equally often."""
    sizes: dict[str, int] = {}
    for source in sources:
        sizes[source.category] = sizes.get(source.category, 0) + sum(source.sizes)
    return [Entry("all", 1, sizes)]
