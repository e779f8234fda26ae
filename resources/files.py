"""Replaces a file in one step (`replaced`), and shows a range of bytes as a file of its own (`Slice`)."""

from __future__ import annotations

import contextlib
import io
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """The path of a new file beside `path`. The file takes the place of `path` when the block ends, and is deleted when
    the block fails. So a crash leaves the old file or the new one, and no reader sees half of a file."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Slice(io.RawIOBase):
    """The bytes from the offset `first` up to `end` as a file for reading. `read_at` gives the bytes at an offset: so
    many as it is asked for, or those before the end of what it reads."""

    def __init__(self, read_at: Callable[[int, int], bytes], first: int, end: int) -> None:
        self._read_at, self._first, self._size, self._at = read_at, first, end - first, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        data = self._read_at(self._first + self._at, left if size is None or size < 0 else min(left, size))
        self._at += len(data)
        return data

    def readinto(self, target) -> int:
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)
