"""Decompresses gzip and zlib data piece by piece, in time that grows with the data and not with its square.

Compressed data from outside may consist of millions of gzip members without content. `zlib` copies everything that
follows a member when the member ends, so that it must never be given much more than the member itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

#: The first two bytes of a gzip member.
MAGIC = b"\x1f\x8b"
#: `zlib`'s numbers for the three forms: gzip, zlib, and deflate data without any header.
GZIP, ZLIB, BARE = 31, 15, -15

#: Bytes that are read at a time, that a new member is given first, and that come out at a time.
_BLOCK, _FIRST, _MOST = 1 << 16, 512, 1 << 20
#: Members without content that are accepted in one stream. Real writers put one of them at the end of a file.
_MAX_EMPTY = 1_000


def inflated(stream: BinaryIO, form: int = GZIP) -> Iterator[bytes]:
    """The decompressed content of a stream in pieces of at most 1 MiB: of one member, or of all members of a gzip
    stream. What follows the last member is ignored.

    Raises EOFError if the data end early, zlib.error if they are damaged, and ValueError for too many empty members.
    """
    block, at, empty = stream.read(_BLOCK), 0, 0
    while True:
        member, fed, size = zlib.decompressobj(form), _FIRST, 0
        while not member.eof:
            packed = member.unconsumed_tail
            if not packed:
                if at == len(block):
                    block, at = stream.read(_BLOCK), 0
                    if not block:
                        raise EOFError("the compressed data end early")
                packed = block[at : at + fed]
                at, fed = at + len(packed), min(2 * fed, _BLOCK)
            if piece := member.decompress(packed, _MOST):
                size += len(piece)
                yield piece
        at -= len(member.unused_data)
        empty += size == 0
        if empty > _MAX_EMPTY:
            raise ValueError(f"the compressed data have more than {_MAX_EMPTY:,} gzip members without content")
        if len(block) - at < len(MAGIC):
            block, at = block[at:] + stream.read(_BLOCK), 0
        if form != GZIP or not block.startswith(MAGIC, at):
            return
