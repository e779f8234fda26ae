"""Reads a large WARC file on all cores. Its pages, counts and broken records are those of one that reads it alone.

The file is cut where records seem to begin, and workers read the pieces. A page may hold what looks like a record, so
only somebody who has read the file up to a cut knows whether a record begins there. Therefore a piece counts only if
the piece before it ended there, with two whole records (see `ranges.Piece`). Where it did not, for example because of
damage, and where a worker was lost or a limit is reached, this process reads on from the last place that is sure, up to
the next cut that it comes to.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from nemotron_assets.snapshots.ranges import Piece, section
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.parts import Reject
from nemotron_assets.warc.limits import Budget, Limits, OverLimit
from nemotron_assets.warc.members import dictionary_size
from nemotron_assets.warc.reader import Counts, OnBroken, Page, WarcFile

if TYPE_CHECKING:
    import polars as pl

    from resources.compute import Compute

#: Makes rows of `snapshots.pages` of pages whose offsets are those in the whole file.
ToRows = Callable[[list[Page]], pa.RecordBatch]

#: What a worker gets: a piece of the file, from the offset `first` on.
_TASK = pa.schema([("id", pa.large_string()), ("first", pa.int64()), ("data", pa.large_binary())])
#: A piece is left to this process if its pages have this many times its bytes: memory must hold them at once.
_MOST_GROWTH = 32


@dataclass(frozen=True)
class Cores:
    """The workers that read large WARC files, in pieces of about `piece_bytes`."""

    compute: Compute
    piece_bytes: int


class SpreadFile:
    """A WARC file that is read by the workers of `cores`. Errors are those of `WarcFile`; `counts` is complete when
    `batches` has ended. `first` is the offset of the stream in the whole file."""

    def __init__(
        self,
        stream: BinaryIO,
        limits: Limits,
        on_broken: OnBroken,
        to_rows: ToRows,
        cores: Cores,
        *,
        first: int = 0,
        is_piece: bool = False,
    ) -> None:
        self._stream, self._limits, self._on_broken = stream, limits, on_broken
        self._to_rows, self._compute, self._first = to_rows, cores.compute, first
        self._size, self._piece_bytes = stream.seek(0, 2), cores.piece_bytes
        WarcFile(stream, limits, is_piece=is_piece)  # it is refused before a worker sees it
        self._cuts = cuts(stream, self._size, self._piece_bytes, limits)
        self._budget, self.counts = Budget(limits), Counts()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The kept pages in file order. Raises `OverLimit`; the pages before that place have been yielded."""
        at = 0
        read = functools.partial(read_piece, to_rows=self._to_rows, offset=self._first, limits=self._limits)
        found = self._compute.map(self._tasks(), read, reject=_left_to_us, stage=PAGES.full_name)
        try:
            for piece in found:
                first, end, pages, facts = piece.row(0)
                while at < first:  # the piece before was lost with its worker
                    at = yield from self._read_from(at)
                if first == at and self._takes(end, json.loads(facts)):
                    at = end
                    with pa.ipc.open_stream(pages) as stream:
                        yield from stream
                elif first == at:
                    at = yield from self._read_from(at)
        finally:
            found.close()
        while at < self._size:
            at = yield from self._read_from(at)

    def _tasks(self) -> Iterator[pa.RecordBatch]:
        """The pieces for the workers. A piece without a cut, such as a file of one record, may be too large for memory;
        this process reads it."""
        for first, end in itertools.pairwise(self._cuts):
            if end - first > 2 * self._piece_bytes:
                continue
            self._stream.seek(first)
            yield pa.record_batch([[str(first)], [first], [self._stream.read(end - first)]], schema=_TASK)

    def _takes(self, end: int, facts: dict) -> bool:
        """Whether a piece that ends at `end` counts; if so, count its records."""
        if not facts["is_whole"] and not (end == self._size and facts["ended"]):
            return False
        before = self._budget.used
        try:
            self._budget.add(facts["used"])
        except OverLimit:  # this process reads up to the place where the limit is reached
            self._budget.used = before
            return False
        self.counts.merge(facts["records"], facts["bytes"])
        for broken in facts["broken"]:
            self._on_broken(*broken)
        return True

    def _read_from(self, at: int) -> Iterator[pa.RecordBatch]:
        """Read on from the offset `at` in this process; returns the cut, or the end of the file, up to which it did."""
        rest, counts = section(self._stream, at, self._size), self.counts
        broken = _shifted(self._on_broken, at)
        piece = Piece(rest, self._limits, broken, {cut - at for cut in self._cuts}, self._budget)
        try:
            for pages in piece.batches():
                yield _rows(pages, at + self._first, self._to_rows)
        finally:
            counts.merge(piece.counts.records, piece.counts.bytes)
        return self._size if piece.reached is None else at + piece.reached


def cuts(stream: BinaryIO, size: int, piece_bytes: int, limits: Limits) -> list[int]:
    """Offsets at which records seem to begin, about `piece_bytes` apart, from 0 to the end of the file."""
    stream.seek(0)
    found = [0]
    if not dictionary_size(stream.read(8)):  # its frames need the beginning of the file
        file = WarcFile(stream, limits, is_piece=True)
        try:
            while (at := found[-1] + piece_bytes) < size and (at := file.next_record(at)) < size:
                found.append(at)
        except OverLimit:
            found = [0]
    return [*found, size]


def read_piece(task: pl.DataFrame, to_rows: ToRows, offset: int, limits: Limits) -> pl.DataFrame:
    """What the records of a piece (one row of `_TASK`) become: its place, its pages as an Arrow stream, and facts.
    `offset` is that of the stream in the whole file."""
    import polars as pl

    _, first, data = task.row(0)
    broken: list[tuple[int, str, str]] = []
    budget, sink, size, ended = Budget(limits), io.BytesIO(), 0, False
    piece = Piece(io.BytesIO(data), limits, lambda at, *what: broken.append((first + at, *what)), {len(data)}, budget)
    with pa.ipc.new_stream(sink, PAGES.arrow_schema()) as writer:
        try:
            for pages in piece.batches():
                size += sum(len(page.html) for page in pages)
                if size > _MOST_GROWTH * len(data):
                    break
                writer.write_batch(_rows(pages, first + offset, to_rows))
            else:
                ended = True
        except OverLimit:
            pass
    facts = {
        "is_whole": ended and piece.reached == len(data),
        "ended": ended,
        "records": piece.counts.records,
        "bytes": piece.counts.bytes,
        "broken": broken,
        "used": budget.used,
    }
    return pl.DataFrame(
        {"first": [first], "end": [first + len(data)], "pages": [sink.getvalue()], "facts": [json.dumps(facts)]}
    )


def _rows(pages: list[Page], offset: int, to_rows: ToRows) -> pa.RecordBatch:
    for page in pages:
        page.offset += offset
    return to_rows(pages)


def _shifted(on_broken: OnBroken, offset: int) -> OnBroken:
    return lambda at, fate, detail: on_broken(offset + at, fate, detail)


def _left_to_us(piece: Reject) -> None:
    """A worker was lost with a piece, which this process reads itself."""
