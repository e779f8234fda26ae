"""Describes where documents lie in packed sequences, so that the tokens of one document never see another document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch


@dataclass(frozen=True)
class Packing:
    """Where documents lie in a batch of packed sequences.

    lengths: for every sequence the lengths of its documents in order; padding at the end counts as one more document.
    index: [batch, length] int32, the number of the document that each token belongs to, from 0 in every sequence.
    """

    lengths: tuple[tuple[int, ...], ...]
    index: torch.Tensor

    @classmethod
    def of(cls, lengths: Sequence[Sequence[int]], length: int, device: torch.device | str = "cpu") -> Packing:
        """The packing of sequences whose documents have these lengths. Each sequence is padded to `length` tokens.
        Raises ValueError when documents do not fit, or when one has no tokens."""
        rows, index = [], torch.empty(len(lengths), length, dtype=torch.int32)
        for row, pieces in enumerate(lengths):
            if sum(pieces) > length or min(pieces, default=1) < 1:
                raise ValueError(
                    f"documents of {list(pieces)} tokens do not fit a sequence of {length}: they need at least 1 token "
                    "each and no more in all"
                )
            pieces = tuple(pieces) + ((length - sum(pieces),) if sum(pieces) < length else ())
            index[row] = torch.repeat_interleave(torch.arange(len(pieces)), torch.tensor(pieces)).int()
            rows.append(pieces)
        return cls(tuple(rows), index.to(device))

    @classmethod
    def of_changes(cls, changes: torch.Tensor) -> Packing:
        """The packing of sequences in which a document begins where `changes` [batch, length - 1] is true, which tells
        of every token but the first of a sequence."""
        length = changes.shape[1] + 1
        lengths = []
        for row in changes.cpu():
            starts = [0, *(row.nonzero().flatten() + 1).tolist(), length]
            lengths.append([end - start for start, end in pairwise(starts)])
        return cls.of(lengths, length, changes.device)
