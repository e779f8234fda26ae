"""Reads a compressed WARC file member by member: gzip members, or Zstandard frames as in a .warc.zst file.

A member usually holds one record, so that the bytes of the member are the bytes to fetch for the record. Members are
decompressed as they are read, and the file is never decompressed as a whole. A .warc.zst file may begin with a
dictionary that all its frames need (IIPC, "Use of Zstandard in WARC files").
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Generator
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader

from resources import gunzip
from resources.files import Slice

GZIP = b"\x1f\x8b\x08"
ZSTD = b"\x28\xb5\x2f\xfd"
#: The first four bytes of a skippable frame that holds the dictionary, and what all skippable frames have in common.
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_SKIPPABLE = b"\x2a\x4d\x18"

#: Bytes. A member with more content is not read to its end: a header in it, or the member itself, must be wrong.
MAX_CONTENT = 1 << 30
_MAX_DICTIONARY = 32 << 20
_BLOCK = 1 << 16


def dictionary_size(start: bytes) -> int:
    """The size of the frame with the dictionary, from the first eight bytes of a file; 0 for a file without one."""
    return 8 + int.from_bytes(start[4:8], "little") if start.startswith(_DICTIONARY) else 0


class Damaged(OSError):
    """A member cannot be read to its end."""


class Member(io.RawIOBase):
    """The content of one member as a stream. `size` is the number of bytes that came out so far, and `end` the offset
    in the file behind the member, None until its content was read to the end. Reading raises `Damaged`."""

    def __init__(self, pieces: Generator[bytes, None, int]) -> None:
        self._pieces, self._piece, self._at = pieces, b"", 0
        self.size, self.end = 0, None
        self._error: Damaged | None = None

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size - len(self._piece) + self._at

    def read(self, size: int = -1) -> bytes:
        if self._at == len(self._piece) and self.end is None:
            self._fill()
        begin, self._at = self._at, len(self._piece) if size < 0 else min(self._at + size, len(self._piece))
        return self._piece[begin : self._at]

    def _fill(self) -> None:
        """Take the next piece, or learn where the member ends."""
        if self._error is None:
            try:
                self._piece, self._at = next(self._pieces), 0
                self.size += len(self._piece)
            except StopIteration as stop:
                self._piece, self._at, self.end = b"", 0, stop.value
            except (zlib.error, EOFError, OSError, ValueError) as problem:
                self._error = Damaged(str(problem))
        if self.size > MAX_CONTENT:
            self._error = Damaged(f"the member holds more than {MAX_CONTENT} bytes")
        if self._error is not None:
            raise self._error

    def drain(self) -> int:
        """Read to the end, where checksums are verified; returns the offset behind the member."""
        while self.read():
            pass
        return self.end


class Members:
    """The members of a file that is compressed with gzip or Zstandard. Raises `Damaged` for an unusable dictionary."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.window, self.size = gunzip.Window(stream), size
        start = self.window.read(0, 4)
        self.mark = ZSTD if start.startswith(ZSTD) or start[1:] == _SKIPPABLE else GZIP
        try:
            self._dictionary = self._read_dictionary() if start == _DICTIONARY else None
        except (EOFError, OSError, ValueError) as problem:
            raise Damaged(f"its Zstandard dictionary cannot be read: {problem}") from problem

    @staticmethod
    def are_in(start: bytes) -> bool:
        """Whether a file that begins with these four bytes is compressed with gzip or Zstandard."""
        return start.startswith((GZIP, ZSTD)) or (start[1:] == _SKIPPABLE and 0x50 <= start[0] <= 0x5F)

    def at(self, offset: int) -> Member | None:
        """The member that begins at an offset; None if no member does."""
        start = self.window.read(offset, 4)
        if self.mark == GZIP:
            return Member(gunzip.member(self.window, offset)) if start.startswith(GZIP) else None
        if start[1:] == _SKIPPABLE:
            return Member(self._skipped(offset))
        return Member(self._frame(offset)) if start == ZSTD else None

    def end(self, offset: int) -> int | None:
        """The offset behind the member that begins at an offset; None if the member is damaged."""
        member = self.at(offset)
        try:
            return member and member.drain()
        except Damaged:
            return None

    def begins_record(self, offset: int) -> bool:
        """Whether the member at an offset begins with a WARC record."""
        member = self.at(offset)
        try:
            return member is not None and member.read(5) == b"WARC/"
        except Damaged:
            return False

    # -- Zstandard -------------------------------------------------------------------------------------------------

    def _frame(self, offset: int) -> Generator[bytes, None, int]:
        """The content of a frame in pieces; returns the offset behind it."""
        end = self._frame_end(offset)
        reader = ZstdReader(Slice(self.window.read, offset, end), dictionary=self._dictionary)
        while piece := reader.read(_BLOCK):
            yield piece
        return end

    def _frame_end(self, offset: int) -> int:
        """The offset behind a frame, from the sizes of its blocks (RFC 8878, 3.1.1)."""
        descriptor = self._number(offset + 4, 1)
        single, checksum, dictionary = descriptor >> 5 & 1, descriptor >> 2 & 1, (0, 1, 2, 4)[descriptor & 3]
        content = (single, 2, 4, 8)[descriptor >> 6]
        at, last = offset + 5 + (1 - single) + dictionary + content, 0
        while not last:
            block = self._number(at, 3)
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            at += 3 + (1 if kind == 1 else size)  # kind 1 is one byte, repeated
        at += 4 * checksum
        if at > self.size:
            raise EOFError("the frame ends early")
        return at

    def _skipped(self, offset: int) -> Generator[bytes, None, int]:
        """A skippable frame, which has no content; returns the offset behind it."""
        end = offset + 8 + self._number(offset + 4, 4)
        if end > self.size:
            raise EOFError("the frame ends early")
        yield from ()
        return end

    def _read_dictionary(self) -> bytes:
        size = self._number(4, 4)
        if size > _MAX_DICTIONARY:
            raise ValueError(f"{size} bytes; at most {_MAX_DICTIONARY} are read")
        data = self.window.read(8, size)
        if not data.startswith(ZSTD):
            return data
        reader, parts, size = ZstdReader(io.BytesIO(data)), [], 0
        while (part := reader.read(_BLOCK)) and size <= _MAX_DICTIONARY:
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _number(self, at: int, size: int) -> int:
        """A little-endian number in the file."""
        data = self.window.read(at, size)
        if len(data) < size:
            raise EOFError("the frame ends early")
        return int.from_bytes(data, "little")
