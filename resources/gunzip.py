"""Decompresses gzip and zlib data piece by piece, in time that grows with the data and not with its square.

Compressed data from outside may consist of millions of gzip members without content. `zlib` copies everything that
follows a member when the member ends, so that it must never be given much more than the member itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO

#: The first two bytes of a gzip member.
MAGIC = b"\x1f\x8b"
#: `zlib`'s numbers for the three forms: gzip, zlib, and deflate data without any header.
GZIP, ZLIB, BARE = 31, 15, -15

#: Bytes that a new member is given first, that it is given at most, and that come out at a time.
_FIRST, _BLOCK, _MOST = 1 << 13, 1 << 16, 1 << 20
#: Members without content that are accepted in one stream. Real writers put one of them at the end of a file.
_MAX_EMPTY = 1_000


class Window:
    """A file read at any place. Bytes close to those that were read last come from memory."""

    _SIZE = 1 << 20

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._start, self._held = stream, 0, b""

    def read(self, at: int, size: int) -> bytes:
        """The `size` bytes at an offset, or as many as the file has."""
        begin = at - self._start
        if begin < 0 or begin + size > len(self._held):
            self._stream.seek(at)
            parts, left = [], max(size, self._SIZE)
            while left and (part := self._stream.read(left)):
                parts.append(part)
                left -= len(part)
            self._start, self._held, begin = at, b"".join(parts), 0
        return self._held[begin : begin + size]


def member(window: Window, at: int, form: int = GZIP) -> Generator[bytes, None, int]:
    """The content of one member in pieces of at most 1 MiB; returns the offset behind the member.

    Raises EOFError if the data end early, and zlib.error if they are damaged.
    """
    inflater, fed = zlib.decompressobj(form), _FIRST
    while not inflater.eof:
        packed = inflater.unconsumed_tail
        if not packed:
            packed = window.read(at, fed)
            if not packed:
                raise EOFError("the compressed data end early")
            at, fed = at + len(packed), min(2 * fed, _BLOCK)
        if piece := inflater.decompress(packed, _MOST):
            yield piece
    return at - len(inflater.unused_data)


def inflated(stream: BinaryIO, form: int = GZIP) -> Iterator[bytes]:
    """The content of a seekable stream in pieces of at most 1 MiB: of one member, or of all members of a gzip stream.
    What follows the last member is ignored.

    Raises EOFError if the data end early, zlib.error if they are damaged, and ValueError for too many empty members.
    """
    window, at, empty = Window(stream), 0, 0
    while True:
        has_content = False
        pieces = member(window, at, form)
        while True:
            try:
                yield next(pieces)
            except StopIteration as end:
                at = end.value
                break
            has_content = True
        empty += not has_content
        if empty > _MAX_EMPTY:
            raise ValueError(f"the compressed data have more than {_MAX_EMPTY:,} gzip members without content")
        if form != GZIP or window.read(at, len(MAGIC)) != MAGIC:
            return
