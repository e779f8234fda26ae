"""Token shards as files that are mapped into memory: reading a sequence copies its tokens, and nothing else.

A file holds the tokens of one shard's documents, which of them are trained, and the index of its sequences. The
operating system keeps in memory what is read, and forgets it when memory is short, so the files may be larger than
memory. They are copies of what is in the lake, and are written when a shard is first read. When they need more disk
space than allowed, those that were not read for longest are deleted, and written again if they are needed again.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nemotron_assets.training.stream import PackedSequence

_FORM = 2  # raised when the layout of the files changes
_HEADER = 5  # numbers at the beginning of a file


@dataclass(frozen=True)
class Shard:
    """The documents of a shard as one array of tokens (int32), and its sequences as an index.

    Sequence s has the pieces `bounds[s]` to `bounds[s + 1]` - 1. A piece is `lengths` tokens from `starts` on.
    `trained` says of each token whether the model learns to predict it (bool); it is empty if all are trained.
    """

    tokens: np.ndarray
    bounds: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    trained: np.ndarray = field(default_factory=lambda: np.empty(0, bool))

    def read(self, row: int) -> PackedSequence:
        """One sequence, as a copy."""
        first, last = self.bounds[row : row + 2].tolist()
        starts, lengths = self.starts[first:last].tolist(), self.lengths[first:last].tolist()
        places = [slice(at, at + size) for at, size in zip(starts, lengths, strict=True)]
        trained = np.concatenate([self.trained[place] for place in places]) if self.trained.size else None
        return PackedSequence(np.concatenate([self.tokens[place] for place in places]), tuple(lengths), trained)

    @property
    def file_bytes(self) -> int:
        """The size of the shard's file."""
        return 8 * (_HEADER + self.bounds.size + 2 * self.starts.size) + 4 * self.tokens.size + self.trained.size

    def save(self, path: Path) -> None:
        """Write the shard to a file. A reader never sees a part of it: the file appears when it is complete."""
        header = np.array([_FORM, *map(len, (self.bounds, self.starts, self.tokens, self.trained))], np.int64)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix="writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for array in (header, self.bounds, self.starts, self.lengths):
                    file.write(np.ascontiguousarray(array, np.int64).data)
                file.write(np.ascontiguousarray(self.tokens, np.int32).data)
                file.write(np.ascontiguousarray(self.trained, np.uint8).data)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def map(cls, path: Path) -> Shard:
        """The shard in a file, without reading it. Raises `ValueError` for a file of another form."""
        size, least = path.stat().st_size, 8 * _HEADER
        data = np.memmap(path, np.uint8, "r", shape=size) if size >= least else np.zeros(least, np.uint8)
        form, bounds, pieces, tokens, trained = np.array(data[:least]).view(np.int64).tolist()
        if form != _FORM or size != 8 * (_HEADER + bounds + 2 * pieces) + 4 * tokens + trained:
            raise ValueError(f"{path} is not a token shard of this program: delete the file, and it is written again")
        ends = np.cumsum([least, 8 * bounds, 8 * pieces, 8 * pieces, 4 * tokens, trained])
        index = [data[at:end] for at, end in itertools.pairwise(ends.tolist())]
        *places, of_tokens, of_mask = index
        return cls(of_tokens.view(np.int32), *(part.view(np.int64) for part in places), of_mask.view(bool))


class ShardFiles:
    """The files of the shards in a folder. `make(number)` reads a shard from the lake. A file is kept under the number
    of the shard, so that its name may hold anything.

    The files take at most `most_bytes`, but never less than the newest one. Several processes may share the folder. A
    file may be deleted while it is mapped: the system keeps its content until nobody has it mapped any more.
    """

    def __init__(self, folder: Path, make: Callable[[int], Shard], most_bytes: float = math.inf) -> None:
        self._folder, self._make, self._most = folder, make, most_bytes
        self._mapped: dict[int, Shard] = {}  # the one that was read last is at the end

    def __getitem__(self, number: int) -> Shard:
        shard = self._mapped.pop(number, None)
        self._mapped[number] = shard = self._map(number) if shard is None else shard
        return shard

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.tokens"

    def _map(self, number: int) -> Shard:
        path = self._path(number)
        while True:
            if not path.exists():
                made = self._make(number)
                self._make_room(made.file_bytes)
                made.save(path)
            with contextlib.suppress(FileNotFoundError):  # another process has just deleted it
                return Shard.map(path)

    def _make_room(self, needed: int) -> None:
        """Delete files until `needed` bytes fit: first those that this process does not read, then those that it has
        not read for longest."""
        sizes = {}
        for path in self._folder.glob("*.tokens"):
            with contextlib.suppress(FileNotFoundError):
                sizes[path] = path.stat().st_size
        own = {self._path(number): number for number in self._mapped}
        for path in [*(path for path in sorted(sizes) if path not in own), *own]:
            if sum(sizes.values()) + needed <= self._most:
                return
            self._mapped.pop(own.get(path, -1), None)
            path.unlink(missing_ok=True)
            sizes.pop(path, None)
