"""Writes the Parquet files of one write, before a commit makes them part of a table.

delta-rs gathers thousands of rows before it writes them. That costs two copies and, when each row is a whole web page,
gigabytes of memory. Here a row group is closed and written when it has enough rows OR enough bytes; the files then go
into one atomic Delta commit. A writer that is killed leaves files that no version names; the maintenance asset vacuums
them. A writer that fails deletes its own files.

The name of a file ends with the xxh3-128 hash of its bytes: `part-<random>-<hash>.zstd.parquet`. So the commit that
names the file records its hash too, checkpoints keep it, and `nemotron maintain --verify` finds every changed bit.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nemotron_assets.table.schema import Table
from resources.store import store_at

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake.transaction import AddAction

    from resources.lakehouse.lake import Lake

#: A file is closed at this size and the next one begins, so that readers and vacuums can work piece by piece.
FILE_BYTES = 1 << 30

_SUFFIX = ".zstd.parquet"
_HASH = re.compile(rf"-([0-9a-f]{{32}}){re.escape(_SUFFIX)}$")


def recorded_hash(path: str) -> str | None:
    """The xxh3-128 hash that the name of a data file records; None for a file that another writer named."""
    found = _HASH.search(path)
    return found[1] if found else None


class DataFiles:
    """Writes record batches of one partition into Parquet files of a table of the lake.

    The lake says how many rows and bytes a row group may have before compression.
    """

    def __init__(self, lake: Lake, table: Table, partition: str | None) -> None:
        self._store, self._table, self._partition = store_at(lake.path(table)), table, partition
        self._rows, self._bytes, self._level = lake.row_group_rows, lake.row_group_mb << 20, lake.compression_level
        self._folder = "" if partition is None else f"{table.partition_by}={quote(partition, safe='')}/"
        self._waiting: list[pa.RecordBatch] = []  # for a row group
        self._waiting_rows = self._waiting_bytes = 0
        self._file: _File | None = None
        self.closed: list[_File] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. They wait in memory until their row group is full."""
        if self._table.partition_by in batch.schema.names:
            batch = batch.drop_columns([self._table.partition_by])  # the folder's name holds the value
        step = min(self._rows, max(1, self._bytes * batch.num_rows // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            if self._waiting_rows + piece.num_rows > self._rows or self._waiting_bytes + piece.nbytes > self._bytes:
                self._flush()
            self._waiting.append(piece)
            self._waiting_rows += piece.num_rows
            self._waiting_bytes += piece.nbytes

    def close(self) -> None:
        """Finish the last file."""
        self._flush()
        if self._file is not None:
            self._finish()

    def actions(self) -> list[AddAction]:
        """The Delta actions that add the finished files to the table."""
        return [file.action(self._table, self._partition) for file in self.closed]

    def discard(self) -> None:
        """Delete all files after a failed write."""
        files = [*self.closed, *filter(None, [self._file])]
        for file in files:
            with contextlib.suppress(Exception):  # closing a file on a full disk fails again
                file.close()
            with contextlib.suppress(OSError):
                self._store.delete_file(file.path)

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        rows = pa.Table.from_batches(self._waiting)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
        if self._file is None:
            if self._folder:
                self._store.create_dir(self._folder.rstrip("/"), recursive=True)
            path = f"{self._folder}part-{uuid.uuid4().hex}{_SUFFIX}"
            self._file = _File(self._store, path, rows.schema, self._table, self._level, self._rows)
        self._file.write(rows)
        if self._file.bytes >= FILE_BYTES:
            self._finish()

    def _finish(self) -> None:
        """Close the current file and give it its final name, which holds its hash."""
        file = self._file
        file.close()
        final = f"{file.path.removesuffix(_SUFFIX)}-{file.hash}{_SUFFIX}"
        self._store.move(file.path, final)
        file.path = final
        self.closed.append(file)
        self._file = None


class _Hashed:
    """A stream that computes the xxh3-128 hash of what is written to it."""

    def __init__(self, stream: Any) -> None:
        import xxhash

        self._stream, self._hash, self.closed = stream, xxhash.xxh3_128(), False

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self._stream.write(data)
        return len(data)

    def tell(self) -> int:
        return self._stream.tell()

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self.closed = True
        self._stream.close()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _File:
    """One Parquet file, with the statistics of it that the Delta log keeps."""

    def __init__(self, store: Any, path: str, schema: pa.Schema, table: Table, level: int, rows: int) -> None:
        import pyarrow.parquet as pq

        self.path, self._schema = path, schema
        self._stream = _Hashed(store.open_output_stream(path))
        self._numbers = [c.name for c in table.columns if c.dtype in ("int32", "int64") and c.name in schema.names]
        if table.part_by and table.part_by in schema.names:
            self._numbers.append(table.part_by)
        self._rows, self._nulls, self._ranges = 0, Counter(), {}
        wide = {c.name for c in table.columns if c.dtype == "binary"}
        # A Bloom filter makes looking up one row by its id (`nemotron trace`) about ten times faster.
        # Nearly all ids, hashes and texts differ, so Parquet would build a dictionary of them and throw it away.
        plain = {*wide, "id", "content_hash", "parents", "text", "html"}
        # A page is full at 32 KiB, checked every 16 rows. A page of short values still holds thousands of rows.
        pages = {"data_page_size": 1 << 15, "write_batch_size": 16, "write_page_index": True}
        self._writer = pq.ParquetWriter(
            self._stream,
            schema,
            **_compression(schema, table, level),
            **(pages if table.point_reads else {}),
            use_dictionary=[name for name in schema.names if name not in plain],
            write_statistics=[name for name in schema.names if name not in wide],
            bloom_filter_options={"id": {"ndv": rows, "fpp": 0.01}} if "id" in schema.names else None,
            write_page_checksum=True,
        )

    @property
    def bytes(self) -> int:
        return self._stream.tell()

    @property
    def hash(self) -> str:
        """The xxh3-128 hash of the bytes that were written so far."""
        return self._stream.hexdigest()

    def write(self, rows: pa.Table) -> None:
        """Write one row group."""
        import pyarrow.compute as pc

        self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._rows += rows.num_rows
        for name in rows.schema.names:
            self._nulls[name] += rows.column(name).null_count
        for name in self._numbers:
            found = pc.min_max(rows.column(name)).as_py()
            if found["min"] is not None:
                low, high = self._ranges.get(name, (found["min"], found["max"]))
                self._ranges[name] = min(low, found["min"]), max(high, found["max"])

    def close(self) -> None:
        if self._writer.is_open:
            self._writer.close()
            self._size = self._stream.tell()
        if not self._stream.closed:
            self._stream.close()

    def action(self, table: Table, partition: str | None) -> AddAction:
        """The Delta action that adds this file to the table."""
        from deltalake.transaction import AddAction

        scalars = [c.name for c in table.columns if not c.dtype.startswith("list[") and c.name in self._schema.names]
        statistics = {
            "numRecords": self._rows,
            "minValues": {name: low for name, (low, _) in self._ranges.items()},
            "maxValues": {name: high for name, (_, high) in self._ranges.items()},
            "nullCount": {name: self._nulls[name] for name in scalars},
        }
        values = {} if partition is None else {table.partition_by: partition}
        return AddAction(self.path, self._size, values, int(time.time() * 1000), True, json.dumps(statistics))


def _compression(schema: pa.Schema, table: Table, level: int) -> dict[str, Any]:
    """The arguments of ParquetWriter that set the compression of every column."""
    import pyarrow.types as t

    if not table.uncompressed:
        return {"compression": "zstd", "compression_level": level}
    lists = (t.is_list, t.is_large_list)
    leaves = {f.name: f"{f.name}.list.element" if any(is_list(f.type) for is_list in lists) else f.name for f in schema}
    kinds = {leaf: "none" if name in table.uncompressed else "zstd" for name, leaf in leaves.items()}
    return {"compression": kinds, "compression_level": {leaf: level for leaf, kind in kinds.items() if kind == "zstd"}}
