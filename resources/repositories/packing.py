"""Compressed files as streams that end at a limit: of bytes, of their ratio, of time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.common import MB, Budget, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code import CodeSources


class Unpacked(io.RawIOBase):
    """What a compressed file unpacks to, up to the limits, and up to the deadline."""

    def __init__(self, stream: BinaryIO, limits: CodeSources, budget: Budget) -> None:
        head = stream.read(6)
        end = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._stream, self._budget = unpacker(stream, head), budget
        # Archives are folders and headers besides their files, whose limits are `budget`'s.
        self._ratio = limits.max_ratio
        by_ratio = int(limits.max_ratio * max(end, 10_240))
        self._left = min(by_ratio, int(2 * limits.max_repository_mb * MB) + (16 << 20))

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._budget.check_time()
        if size is None or size < 0 or size > 64 * MB:
            raise RepositoryError("damaged", f"a block of {size} bytes")
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise RepositoryError("bomb", f"it unpacks to more than {self._ratio:g} times its size, or than the limit")
        return data


def unpacker(stream: BinaryIO, head: bytes) -> BinaryIO:
    import bz2
    import gzip
    import lzma

    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(_Unclosed(stream), mode="r"), "zstd")
    return stream


class _Unclosed(io.RawIOBase):
    """A file that stays open when its reader is done: it is read twice."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)
