"""Frames kept on the disk between making them and writing them.

For assets whose rows come slowly (from a language model): the table is written in one go afterwards, so that no
writer's lock and no open commit waits for hours, and memory stays bounded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa


def spooled(frames: Iterable[pl.DataFrame]) -> Iterator[pa.RecordBatch]:
    """Consume `frames` (at least one, all of one schema) now, and return an iterator over their record batches.

    The temporary file has no name, so it is gone with this process however it ends.
    """
    file = tempfile.TemporaryFile(prefix="nemotron-spool-")  # noqa: SIM115 (closed by the iterator)
    writer = None
    for frame in frames:
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pa.ipc.new_stream(file, table.schema)
        writer.write_table(table)
    if writer is None:
        raise ValueError("nothing to spool: at least one frame is needed for its schema")
    writer.close()
    return _read(file)


def _read(file) -> Iterator[pa.RecordBatch]:
    with file:
        file.seek(0)
        yield from pa.ipc.open_stream(file)
