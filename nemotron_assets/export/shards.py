"""Writes the Parquet files of an export: only the published columns, in files and row groups of bounded size."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.export.written import Counts, ExportError, Shard
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import pyarrow as pa


class ShardWriter:
    """Writes a stream of batches as Parquet files of at most `release.shard_mb` each.

    A row group ends at a number of rows or of bytes in memory. A file ends before a row group whose uncompressed size
    might not fit. Compression makes groups smaller, so a file is larger than the limit only if a single row is.
    """

    def __init__(
        self,
        work: Path,
        config: str,
        number: int,
        schema: pa.Schema,
        recipe: Recipe,
        structs: Mapping[str, Sequence[str]],
    ) -> None:
        self.work, self.config, self.number, self.structs = work, config, number, structs
        self.columns, self.schema = schema, nested_schema(schema, structs)
        release, storage = recipe.release, recipe.storage
        self.shard_bytes, self.level = release.shard_mb << 20, release.compression_level
        self.group_bytes = min(release.row_group_mb << 20, self.shard_bytes // 4)
        self.group_rows, self.free_mb = storage.row_group_rows, storage.free_disk_mb
        self.waiting: list[pa.RecordBatch] = []
        self.waiting_rows = self.waiting_bytes = 0
        self.counts = Counts()
        self.stream = self.writer = None

    def add(self, batch: pa.RecordBatch) -> Iterator[Shard]:
        """Write a batch; yields the shards that it completed."""
        step = min(self.group_rows, max(1, self.group_bytes * batch.num_rows // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            rows, size = self.waiting_rows + piece.num_rows, self.waiting_bytes + piece.nbytes
            if self.waiting and (rows > self.group_rows or size > self.group_bytes):
                yield from self._flush()
            self.waiting.append(piece)
            self.waiting_rows += piece.num_rows
            self.waiting_bytes += piece.nbytes

    def close(self, *, empty: bool = False) -> Iterator[Shard]:
        """Write what is left; yields the last shard, if there is one. With `empty`, a config without rows gets a shard
        without rows. It has no row group: `datasets` cannot read one of no rows."""
        if self.waiting:
            yield from self._flush()
        if self.writer is None and empty and not self.number:
            self._open()
        if self.writer is not None:
            yield self._finish()

    def _flush(self) -> Iterator[Shard]:
        import pyarrow as pa

        group = pa.Table.from_batches(self.waiting)
        size, self.waiting, self.waiting_rows, self.waiting_bytes = self.waiting_bytes, [], 0, 0
        if self.writer is not None and self.stream.tell() + size > self.shard_bytes:
            yield self._finish()
        if self.writer is None:
            self._open()
        published = nested(group.select(self.columns.names).cast(self.columns), self.schema, self.structs)
        with _full_disk(self.work):
            self.writer.write_table(published, row_group_size=group.num_rows)
        self.counts.add(_counted(group, published.nbytes))

    @property
    def _path(self) -> Path:
        return self.work / Shard(self.config, self.number, self.counts).path()

    def _open(self) -> None:
        import pyarrow.parquet as pq

        free = shutil.disk_usage(self.work).free >> 20
        if free < self.free_mb:
            raise ExportError(
                f"{self.work} has {free} MB of free disk, and {self.free_mb} MB must stay free (storage.free_disk_mb). "
                "Complete shards are kept: make room and run the same command again."
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = self._path.with_suffix(".tmp").open("wb")
        self.writer = pq.ParquetWriter(
            self.stream,
            self.schema,
            compression="zstd",
            compression_level=self.level,
            use_dictionary=[name for name in self.columns.names if name not in ("id", "text")],
            write_statistics=[name for name in self.columns.names if name != "text"],
        )

    def _finish(self) -> Shard:
        with _full_disk(self.work):
            self.writer.close()
            self.stream.flush()
            os.fsync(self.stream.fileno())
        self.counts.file_bytes = self.stream.tell()
        self.stream.close()
        os.replace(self._path.with_suffix(".tmp"), self._path)
        shard = Shard(self.config, self.number, self.counts)
        self.number, self.counts, self.stream, self.writer = self.number + 1, Counts(), None, None
        return shard


def examples(work: Path, shards: Sequence[Shard]) -> dict[str, dict[str, Any]]:
    """The first row of every config that has rows."""
    import pyarrow.parquet as pq

    found = {}
    for shard in shards:
        if shard.config not in found and shard.counts.rows:
            of = sum(other.config == shard.config for other in shards)
            path = next(p for p in (work / shard.path(), work / shard.path(of)) if p.exists())
            with pq.ParquetFile(path) as file:
                found[shard.config] = next(file.iter_batches(batch_size=1)).to_pylist()[0]
    return found


def plain_schema(table: Table, columns: Sequence[str]) -> pa.Schema:
    """The Arrow schema of the published columns, with 32-bit offsets (string, not large_string).

    Every reader knows these types. They hold at most 2 GB per column chunk, and row groups are far smaller.
    """
    import pyarrow as pa
    import pyarrow.types as t

    def plain(kind: pa.DataType) -> pa.DataType:
        if t.is_large_list(kind):
            return pa.list_(plain(kind.value_type))
        return pa.string() if t.is_large_string(kind) else pa.binary() if t.is_large_binary(kind) else kind

    declared = table.arrow_schema()
    return pa.schema([pa.field(name, plain(declared.field(name).type)) for name in columns])


def nested_schema(columns: pa.Schema, structs: Mapping[str, Sequence[str]]) -> pa.Schema:
    """The schema in which the columns of every struct are its fields. A struct takes the place of its first column."""
    import pyarrow as pa

    owner = {name: struct for struct, names in structs.items() for name in names}
    fields: dict[str, pa.Field] = {}
    for column in columns:
        struct = owner.get(column.name)
        if struct is None:
            fields[column.name] = column
        else:
            inside = [columns.field(name) for name in structs[struct] if name in columns.names]
            fields[struct] = pa.field(struct, pa.struct(inside))
    return pa.schema(fields.values())


def nested(rows: pa.Table, schema: pa.Schema, structs: Mapping[str, Sequence[str]]) -> pa.Table:
    """Rows of flat columns in the schema that `nested_schema` returned."""
    import pyarrow as pa

    def column(field: pa.Field) -> Any:
        if field.name not in structs:
            return rows[field.name]
        inside = [rows[part.name].combine_chunks() for part in field.type]
        return pa.StructArray.from_arrays(inside, fields=list(field.type))

    return pa.table([column(field) for field in schema], schema=schema) if structs else rows


def _counted(group: pa.Table, size: int) -> Counts:
    import pyarrow.compute as pc

    counts = Counts(rows=group.num_rows, bytes=size)
    if "characters" in group.schema.names:
        counts.characters = pc.sum(group["characters"]).as_py() or 0
    elif "text" in group.schema.names:
        counts.characters = pc.sum(pc.utf8_length(group["text"])).as_py() or 0
    for name, counter in (("language", counts.languages), ("snapshot", counts.snapshots)):
        if name in group.schema.names:
            counter.update({v["values"]: v["counts"] for v in pc.value_counts(group[name]).to_pylist()})
    return counts


@contextlib.contextmanager
def _full_disk(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ExportError(
            f"the disk of {work} is full. Complete shards are kept: make room and run the same command again."
        ) from error
