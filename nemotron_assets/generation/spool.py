"""Frames kept on the disk between making them and writing them.

For assets whose rows come slowly (from a language model): the table is written in one go afterwards, so that no
writer's lock and no open commit waits for hours, and memory stays bounded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa


class Spool:
    """Frames of one schema in a temporary file. It has no name, so it is gone with this process however it ends."""

    def __init__(self) -> None:
        self._file, self._writer = tempfile.TemporaryFile(prefix="nemotron-spool-"), None  # noqa: SIM115 (see batches)

    def add(self, frame: pl.DataFrame) -> None:
        """Append a frame; an empty one gives the schema."""
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._writer = self._writer or pa.ipc.new_stream(self._file, table.schema)
        self._writer.write_table(table)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The record batches of everything added, once; the file is closed after the last."""
        if self._writer is None:
            raise ValueError("nothing to spool: at least one frame is needed for its schema")
        self._writer.close()
        return _read(self._file)


def on_disk(frames: Iterable[pl.DataFrame]) -> Iterator[pa.RecordBatch]:
    """Consume `frames` (at least one, all of one schema) now, and return an iterator over their record batches."""
    spool = Spool()
    for frame in frames:
        spool.add(frame)
    return spool.batches()


def _read(file) -> Iterator[pa.RecordBatch]:
    with file:
        file.seek(0)
        yield from pa.ipc.open_stream(file)
