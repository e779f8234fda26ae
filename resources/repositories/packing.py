"""Reads compressed files as streams that stop at limits: of bytes, of the compression ratio, of time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from resources.repositories.budget import MB, Budget
from resources.repositories.source import RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

#: Memory for decompressing xz. Its highest preset needs 65 MB.
_XZ_MEMORY = 100 * MB
_CHUNK = 1 << 16
#: The ratio of a small archive is taken as if it had this many bytes: a tar file is padded with zeros.
_SMALL_ARCHIVE = 10_240


def max_unpacked_bytes(packed_bytes: int, limits: CodeSources) -> int:
    """How much an archive of a size may decompress to before it counts as a decompression bomb.

    Besides the content of its files an archive holds folders and headers, hence twice the limit of a repository.
    """
    by_ratio = int(limits.max_ratio * max(packed_bytes, _SMALL_ARCHIVE))
    return min(by_ratio, int(2 * limits.max_repository_mb * MB) + (16 << 20))


class Unpacked(io.RawIOBase):
    """The decompressed content of a file. Raises `RepositoryError` at the limit of its size and at the deadline."""

    def __init__(self, stream: BinaryIO, limits: CodeSources, budget: Budget) -> None:
        head = stream.read(6)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._stream, self._budget = decompressed(_Timed(stream, budget), head), budget
        self._ratio, self._left = limits.max_ratio, max_unpacked_bytes(size, limits)

    def readable(self) -> bool:
        return True

    def drain(self) -> None:
        """Read to the end of the file, where checksums are verified. An archive may end before its file does."""
        while self.read(_CHUNK):
            pass

    def read(self, size: int = -1) -> bytes:
        self._budget.check_time()
        if size is None or size < 0 or size > 64 * MB:
            raise RepositoryError("damaged", f"the archive asks for a block of {size} bytes")
        # One step of the decompressor: where the file is cut off, what was read before the cut is returned first.
        data = self._stream.read1(size) if hasattr(self._stream, "read1") else self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise RepositoryError("bomb", f"it unpacks to more than {self._ratio:g} times its size, or than the limit")
        return data


def decompressed(stream: BinaryIO, head: bytes) -> BinaryIO:
    """The decompressed content of a file that begins with `head`; the file itself if it is not compressed."""
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


class _Timed(io.RawIOBase):
    """A compressed file that checks the deadline at every read, and stays open when its reader is closed.

    A compressed stream can be endless and decompress to nothing, which no limit on the output would notice.
    """

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._budget.check_time()
        return self._stream.read(size)


class _Xz(io.RawIOBase):
    """An xz file, decompressed in bounded memory. `lzma.LZMAFile` sets no bound, and a header may ask for 4 GB."""

    def __init__(self, stream: BinaryIO, decompressor: Callable[..., Any]) -> None:
        self._stream, self._new = stream, lambda: decompressor(memlimit=_XZ_MEMORY)
        self._decompressor = self._new()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            packed = b""
            if self._decompressor.eof:
                # Another xz stream may follow after padding with zeros. The file ends where no more bytes follow.
                packed = self._decompressor.unused_data.lstrip(b"\0") or self._stream.read(_CHUNK).lstrip(b"\0")
                if not packed:
                    return b""
                self._decompressor = self._new()
            elif self._decompressor.needs_input:
                packed = self._stream.read(_CHUNK)
                if not packed:
                    raise EOFError("the xz file is cut off")
            if data := self._decompressor.decompress(packed, size):
                return data
