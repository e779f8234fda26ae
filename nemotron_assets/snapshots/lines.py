"""Reads the lines of a text file that may be compressed with gzip or Zstandard, in bounded memory.

The compression is recognised by the first bytes and not by the name, because names are often wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from resources import gunzip

_ZSTD = b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 20


def is_compressed(start: bytes) -> bool:
    """Whether a file that begins with these four bytes is compressed."""
    return start.startswith(gunzip.MAGIC) or start == _ZSTD


def lines(path: Path, longest: int, section: tuple[int, int] | None = None) -> Iterator[bytes | None]:
    """The lines of a file without their ends; None in place of a line of more than `longest` bytes. Of a longer
    line of blanks alone only its beginning comes: it is an empty line. `section` are the offsets of the first byte and
    behind the last byte to read, of a file that is not compressed.

    Raises OSError, EOFError, ValueError or zlib.error where the file cannot be read.
    """
    parts, size, blank = [], 0, True
    for piece in _pieces(path) if section is None else _bytes(path, *section):
        for number, part in enumerate(piece.split(b"\n")):
            if number:
                yield b"".join(parts) if size <= longest or blank else None
                parts, size, blank = [], 0, True
            size += len(part)
            blank = blank and (not part or part.isspace())
            if size <= longest:
                parts.append(part)
    if size:
        yield b"".join(parts) if size <= longest or blank else None


def _bytes(path: Path, first: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from one offset up to another, in pieces."""
    with path.open("rb") as stream:
        stream.seek(first)
        while piece := stream.read(min(_BLOCK, end - stream.tell())):
            yield piece


def _pieces(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces, after decompression."""
    with path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(0)
        if start.startswith(gunzip.MAGIC):
            yield from gunzip.inflated(stream)
        elif start == _ZSTD:
            import pyarrow as pa

            with pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd") as unpacked:
                while piece := unpacked.read(_BLOCK):
                    yield piece
        else:
            while piece := stream.read(_BLOCK):
                yield piece
