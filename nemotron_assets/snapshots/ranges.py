"""Divides a large file of one's own into ranges, each of which becomes one part of `snapshots.pages`.

A part is what a killed run repeats, so its size is bounded. The pages of the ranges are those of the whole file, each
once, with the same ids: a range begins where reading the whole file comes to the beginning of a record. Files within
the bound stay one part, and so do files that can only be read from their beginning: compressed JSON lines, and
.warc.zst files with a dictionary.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastwarc import WarcRecord

from nemotron_assets.snapshots.lines import is_compressed
from nemotron_assets.warc.classify import Found
from nemotron_assets.warc.limits import Budget
from nemotron_assets.warc.members import MAX_CONTENT, dictionary_size
from nemotron_assets.warc.reader import Limits, OnBroken, OverLimit, Page, WarcFile
from resources.files import Slice

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Range:
    """A part of a file: bytes `first` to `end`, of Parquet the row groups. Its rows have the numbers from `row` on; the
    records of a WARC file have no numbers."""

    first: int
    end: int
    row: int = 0


def ranges(path: Path, format_: str, most_bytes: int, limits: Limits) -> list[Range]:
    """The ranges of a file of the format warc, parquet or jsonl; [] for a file that stays one part.

    A range has about `most_bytes` bytes of the file as it is stored, and at least one record, row or row group. Of JSON
    lines and of gzip members, the whole file is read once to find them. A file that exceeds a limit stays one part.
    """
    if path.stat().st_size <= most_bytes:
        return []
    begins = {"warc": _records, "parquet": _row_groups, "jsonl": _lines}[format_](path, most_bytes, limits)
    found = [Range(first[0], end[0], first[1]) for first, end in itertools.pairwise(begins)]
    return found if len(found) > 1 else []


def _row_groups(path: Path, most_bytes: int, limits: Limits) -> list[tuple[int, int]]:
    """(row group, its first row) at which each range begins, and at the end."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    begins, size, rows = [(0, 0)], 0, 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        own = sum(group.column(place).total_compressed_size for place in range(group.num_columns))
        if rows > begins[-1][1] and size + own > most_bytes:
            begins.append((number, rows))
            size = 0
        size, rows = size + own, rows + group.num_rows
    return [*begins, (metadata.num_row_groups, rows)]


def _lines(path: Path, most_bytes: int, limits: Limits) -> list[tuple[int, int]]:
    """(offset of a line, number of lines before it that are not empty) at which each range begins, and at the end."""
    begins, at, rows = [(0, 0)], 0, 0
    with path.open("rb") as stream:
        if is_compressed(stream.peek(4)[:4]):
            return []
        has_text = False
        while piece := stream.readline(_BLOCK):  # a long line in pieces
            at += len(piece)
            has_text = has_text or not piece.isspace()
            if not piece.endswith(b"\n"):
                continue
            rows, has_text = rows + has_text, False
            if at - begins[-1][0] >= most_bytes and rows > begins[-1][1]:
                begins.append((at, rows))
    if begins[-1][0] == at or (begins[-1][1] == rows and not has_text):  # no row follows
        begins.pop()
    return [*begins, (at, rows)]


def _records(path: Path, most_bytes: int, limits: Limits) -> list[tuple[int, int]]:
    """(offset of a record, 0) at which each range begins, and at the end."""
    begins, end, follows = [(0, 0)], -1, False  # where the last record ends, and whether it began at such an end

    def seen(offset: int, length: int, inner: int) -> None:
        nonlocal end, follows
        if inner:  # it shares its member with the record before
            return
        # After two whole records: whatever damage is before them, reading the whole file comes to this place too.
        if follows and offset == end and offset - begins[-1][0] >= most_bytes:
            begins.append((offset, 0))
        follows, end = offset == end, offset + length

    with path.open("rb") as stream:
        if dictionary_size(stream.peek(8)[:8]):
            return []
        try:
            for _ in _Places(stream, limits, seen).pages():
                pass
        except OverLimit:
            return []
    return [*begins, (path.stat().st_size, 0)]


class _Places(WarcFile):
    """A WARC file of which only the places of the records are read: `seen(offset, length, offset in the member)`."""

    def __init__(self, stream: BinaryIO, limits: Limits, seen: Callable[[int, int, int], None]) -> None:
        super().__init__(stream, limits)
        self._seen = seen

    def _classify_bounded(self, record: WarcRecord) -> tuple[Found, int]:
        if record.content_length > MAX_CONTENT:
            raise ValueError("too large")
        return "", record.content_length

    def _finish(self, inner: int, found: Found, size: int, offset: int, length: int) -> Iterator[Page]:
        self._seen(offset, length, inner)
        yield from ()


class Piece(WarcFile):
    """A WARC file from a place on at which a record begins. Reading ends at the first of the `cuts` to which reading
    the whole file comes too: two whole records end there, one after the other. `reached` is this cut, and None if
    reading came to the end of the stream without one."""

    def __init__(
        self, stream: BinaryIO, limits: Limits, on_broken: OnBroken, cuts: Container[int], budget: Budget
    ) -> None:
        super().__init__(stream, limits, on_broken, is_piece=True, budget=budget)
        self.reached: int | None = None
        self._cuts, self._end, self._used = cuts, -1, budget.used

    def pages(self) -> Iterator[Page]:
        try:
            yield from super().pages()
        except _Reached:
            self._budget.used = self._used  # whoever reads on counts the record that was looked at

    def _finish(self, inner: int, found: Found, size: int, offset: int, length: int) -> Iterator[Page]:
        # A record with an inner offset shares its member with the record before.
        if not inner and self.reached is not None:
            raise _Reached
        yield from super()._finish(inner, found, size, offset, length)
        if not inner:
            follows, self._end = offset == self._end, offset + length
            if follows and self._end in self._cuts:
                self.reached = self._end
        self._used = self._budget.used

    def _skip(self, start: int, detail: object, found: Found | None = None, size: int = 0) -> int:
        if self.reached is not None and start >= self.reached:
            raise _Reached
        self.reached = None
        return super()._skip(start, detail, found, size)


class _Reached(BaseException):
    """Reading has come to a cut. It is not an `Exception`: those are taken for damage."""


def section(stream: BinaryIO, first: int, end: int) -> Slice:
    """The bytes `first` to `end` of a file, as a file."""

    def read_at(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    return Slice(read_at, first, end)
