"""A temporary file for rows that are made slowly and written to the lake later.

Rows that a language model writes take hours. They wait on the disk, so that no commit and no writer's lock stays open
meanwhile, and memory stays bounded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa


class SpillFile:
    """Frames of one schema in a temporary file. The file has no name, so it vanishes with the process in any case."""

    def __init__(self) -> None:
        self._file, self._writer = tempfile.TemporaryFile(prefix="nemotron-spill-"), None  # noqa: SIM115 (see batches)

    def add(self, frame: pl.DataFrame) -> None:
        """Append a frame. An empty frame adds no rows, but sets the schema."""
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._writer = self._writer or pa.ipc.new_stream(self._file, table.schema)
        self._writer.write_table(table)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The record batches of all frames. Call it once: the file is closed after the last batch.

        Raises ValueError if no frame was added, because then the schema is unknown.
        """
        if self._writer is None:
            raise ValueError("no frame was added to the spill file: add at least an empty frame, which sets the schema")
        self._writer.close()
        return _read(self._file)


def spill(frames: Iterable[pl.DataFrame]) -> Iterator[pa.RecordBatch]:
    """Consume all `frames` (at least one, all of one schema) now, and return an iterator over their record batches."""
    file = SpillFile()
    for frame in frames:
        file.add(frame)
    return file.batches()


def _read(file) -> Iterator[pa.RecordBatch]:
    with file:
        file.seek(0)
        yield from pa.ipc.open_stream(file)
