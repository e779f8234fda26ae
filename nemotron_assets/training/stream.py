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

#: Sequences of different lengths are padded to a multiple of so many tokens. The kernels for FP8 need one of 16.
PADDED_TO = 16


@dataclass(frozen=True)
class PackedSequence:
    """One packed sequence: its tokens (int32) and the lengths of the documents in it, in order.

    `trained` says of each token whether the model learns to predict it, as an answer in a conversation; None: of all.
    """

    tokens: np.ndarray
    lengths: tuple[int, ...]
    trained: np.ndarray | None = None


@dataclass(frozen=True)
class Batch:
    """Sequences as tensors. `tokens` and `targets` are [batch, length] int64; a target is NO_TARGET where no token is
    predicted. With `parallel`, they are the parts of this rank; `packing` describes the whole sequences.

    `places` are the positions with a target in the flattened batch, if many positions have none; else None. The logits
    of the others need not be computed.
    """

    tokens: torch.Tensor
    targets: torch.Tensor
    packing: Packing
    parallel: ContextParallel | None = None
    places: torch.Tensor | None = None

    def part(self, parallel: ContextParallel) -> Batch:
        """The part of the batch that this rank takes. Raises ValueError if the sequences do not split evenly."""
        targets = parallel.part(self.targets)
        places = None if self.places is None else places_of(targets)
        return Batch(parallel.part(self.tokens), targets, self.packing, parallel, places)


def places_of(targets: torch.Tensor) -> torch.Tensor:
    """The positions of targets in the flattened batch."""
    return (targets.flatten() != NO_TARGET).nonzero().squeeze(1)


def predictions(rows: Sequence[PackedSequence]) -> int:
    """The number of tokens that are predicted in these sequences: all tokens that the model learns to predict, except
    the first of every document."""
    return sum(_predicted(row) for row in rows)


def _predicted(row: PackedSequence) -> int:
    if row.trained is None:
        return sum(row.lengths) - len(row.lengths)
    firsts = np.cumsum((0, *row.lengths[:-1]))
    return int(np.count_nonzero(row.trained)) - int(np.count_nonzero(row.trained[firsts]))


def fitting_length(longest: int, length: int, multiple: int = PADDED_TO) -> int:
    """How long to pad sequences of which the longest has so many tokens: to a few lengths, so that few shapes occur,
    and at most to `length`. Less than a fifth of the longest sequence is padding, or `multiple` tokens."""
    while longest > 8 * multiple:
        multiple *= 2
    return min(length, -(-longest // multiple) * multiple)


def as_batch(rows: Sequence[PackedSequence], length: int, device: torch.device | str = "cpu") -> Batch:
    """Pad sequences to `length` and align the targets. The padding is token 0; no document sees it and it is never a
    target. Raises ValueError for a sequence that is too long, or whose document lengths or mask do not fit it."""
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
        following = row.tokens[1:]
        if row.trained is not None:
            if len(row.trained) != len(row.tokens):
                raise ValueError(f"a sequence has {len(row.tokens)} tokens, but its mask has {len(row.trained)} values")
            following = np.where(row.trained[1:], following, NO_TARGET)
        targets[index, : len(row.tokens) - 1] = following
        ends = np.cumsum(row.lengths) - 1
        targets[index, ends] = NO_TARGET
    packing = Packing.of([row.lengths for row in rows], length, device)
    aligned = torch.from_numpy(targets)
    places = None if all(row.trained is None for row in rows) else places_of(aligned).to(device)
    return Batch(torch.from_numpy(tokens).to(device), aligned.to(device), packing, places=places)


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

    def micro_batches(self, rows: Sequence[PackedSequence], size: int) -> list[list[int]]:
        """How the sequences of a step are divided into forward passes of `size` sequences, as numbers of `rows`."""
        return [list(range(first, first + size)) for first in range(0, len(rows), size)]

    def padded(self, rows: Sequence[PackedSequence], length: int, context: int) -> int:
        """The length that these sequences of at most `length` tokens are padded to. `context` must divide it."""
        return length

    def batch(self, rows: Sequence[PackedSequence], length: int, device: torch.device) -> Batch:
        """What the loss gets for these sequences, padded to `length` tokens."""
        return as_batch(rows, length, device)

    def targets(self, rows: Sequence[PackedSequence]) -> int:
        """How many terms the loss of these sequences sums up. The loop divides the loss of a step by this number."""
        return predictions(rows)


class ByLength(Shards):
    """Shards whose sequences are padded to the longest one of a forward pass, where sequences of like lengths meet.
    The loss of a step is a sum over targets, so this changes how long a step takes, but not what it teaches."""

    def micro_batches(self, rows: Sequence[PackedSequence], size: int) -> list[list[int]]:
        order = sorted(range(len(rows)), key=lambda row: (-len(rows[row].tokens), row))
        return [order[first : first + size] for first in range(0, len(rows), size)]

    def padded(self, rows: Sequence[PackedSequence], length: int, context: int) -> int:
        return fitting_length(max(len(row.tokens) for row in rows), length, PADDED_TO * context)


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
