"""Compressed files as streams that end at a limit: of bytes, of their ratio, of time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from resources.repositories.common import MB, Budget, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

#: Memory of unpacking xz; its highest preset takes 65 MB.
_XZ_MEMORY = 100 * MB
_PACKED = 1 << 16


class Unpacked(io.RawIOBase):
    """What a compressed file unpacks to, up to the limits, and up to the deadline."""

    def __init__(self, stream: BinaryIO, limits: CodeSources, budget: Budget) -> None:
        head = stream.read(6)
        end = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._stream, self._budget = unpacker(Watched(stream, budget), head), budget
        # Archives are folders and headers besides their files, whose limits are `budget`'s.
        self._ratio = limits.max_ratio
        by_ratio = int(limits.max_ratio * max(end, 10_240))
        self._left = min(by_ratio, int(2 * limits.max_repository_mb * MB) + (16 << 20))

    def readable(self) -> bool:
        return True

    def drain(self) -> None:
        """Read to the end, which is where checksums stand; archives end before it."""
        while self.read(1 << 16):
            pass

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
    """What a file that begins with `head` unpacks to; itself if it is not packed."""
    import bz2
    import gzip
    import lzma

    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\0"):
        return _Xz(stream, lzma.LZMADecompressor)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
    return stream


class Watched(io.RawIOBase):
    """A packed file, which stays open when its reader is done. Packed streams can go on for ever and unpack to nothing,
    so that the time is looked at here."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._budget.check_time()
        return self._stream.read(size)


class _Xz(io.RawIOBase):
    """An xz file whose dictionary is bounded, which `lzma.LZMAFile` cannot be told: a header may ask for 4 GB."""

    def __init__(self, stream: BinaryIO, decompressor: Callable[..., Any]) -> None:
        self._stream, self._new = stream, lambda: decompressor(memlimit=_XZ_MEMORY)
        self._one = self._new()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            packed = b""
            if self._one.eof:
                # Another stream may follow, after zeros; it ends where nothing does.
                packed = self._one.unused_data.lstrip(b"\0") or self._stream.read(_PACKED).lstrip(b"\0")
                if not packed:
                    return b""
                self._one = self._new()
            elif self._one.needs_input:
                packed = self._stream.read(_PACKED)
                if not packed:
                    raise EOFError("it is cut off")
            if data := self._one.decompress(packed, size):
                return data
