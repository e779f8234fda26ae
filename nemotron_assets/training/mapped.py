"""Token shards as files that are mapped into memory: reading a sequence copies its tokens, and nothing else.

A file holds the tokens of one shard's documents and the index of its sequences. The operating system keeps in memory
what is read, and forgets it when memory is short, so the files may be larger than memory. They are copies of what is in
the lake, and are written when a shard is first read.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nemotron_assets.training.stream import PackedSequence

_FORM = 1  # raised when the layout of the files changes


@dataclass(frozen=True)
class Shard:
    """The documents of a shard as one array of tokens (int32), and its sequences as an index.

    Sequence s has the pieces `bounds[s]` to `bounds[s + 1]` - 1. A piece is `lengths` tokens from `starts` on.
    """

    tokens: np.ndarray
    bounds: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def read(self, row: int) -> PackedSequence:
        """One sequence, as a copy."""
        first, last = self.bounds[row : row + 2].tolist()
        starts, lengths = self.starts[first:last].tolist(), self.lengths[first:last].tolist()
        pieces = [self.tokens[at : at + size] for at, size in zip(starts, lengths, strict=True)]
        return PackedSequence(np.concatenate(pieces), tuple(lengths))

    def save(self, path: Path) -> None:
        """Write the shard to a file. A reader never sees a part of it: the file appears when it is complete."""
        header = np.array([_FORM, len(self.bounds), len(self.starts), len(self.tokens)], np.int64)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix="writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for array in (header, self.bounds, self.starts, self.lengths):
                    file.write(np.ascontiguousarray(array, np.int64).data)
                file.write(np.ascontiguousarray(self.tokens, np.int32).data)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def map(cls, path: Path) -> Shard:
        """The shard in a file, without reading it. Raises `ValueError` for a file of another form."""
        size = path.stat().st_size // 4
        numbers = np.memmap(path, np.int32, "r", shape=size) if size >= 8 else np.zeros(8, np.int32)
        form, bounds, pieces, tokens = np.array(numbers[:8]).view(np.int64).tolist()
        if form != _FORM or size != 2 * (4 + bounds + 2 * pieces) + tokens:
            raise ValueError(f"{path} is not a token shard of this program: delete the file, and it is written again")
        ends = np.cumsum([8, 2 * bounds, 2 * pieces, 2 * pieces])
        index = [numbers[at:end].view(np.int64) for at, end in itertools.pairwise(ends.tolist())]
        return cls(numbers[ends[-1] :], *index)


class ShardFiles:
    """The files of the shards in a folder. `make(name)` reads a shard from the lake. A file is kept under the number of
    the shard, so that its name may hold anything."""

    def __init__(self, folder: Path, make: Callable[[int], Shard]) -> None:
        self._folder, self._make = folder, make
        self._mapped: dict[int, Shard] = {}

    def __getitem__(self, number: int) -> Shard:
        if number not in self._mapped:
            path = self._folder / f"{number:08d}.tokens"
            if not path.exists():
                self._make(number).save(path)
            self._mapped[number] = Shard.map(path)
        return self._mapped[number]
