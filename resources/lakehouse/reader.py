"""Reads a table, some of its partitions or one part of it: as a lazy frame, in batches, or from the Delta log alone.

A reader always reads the version that was current when it was opened, even while others write.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from resources.contract import LakeError, hash63

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from resources.lakehouse.lake import Lakehouse


class Reader:
    """A table, some partitions or one part of it, at the version that was current when the reader was opened."""

    def __init__(
        self, lake: Lakehouse, table: Table, partitions: list[str] | None = None, part: str | None = None
    ) -> None:
        self.lake, self.table, self.partitions, self._part = lake, table, partitions, part
        self._delta = lake.open(table)

    @property
    def exists(self) -> bool:
        """Whether the table was ever written."""
        return self._delta is not None

    @property
    def partition(self) -> str | None:
        """The partition this reader is restricted to, if it is exactly one."""
        return self.partitions[0] if self.partitions and len(self.partitions) == 1 else None

    @property
    def version(self) -> int:
        """The Delta version that is read; -1 for a table that does not exist yet."""
        return -1 if self._delta is None else self._delta.version()

    @property
    def input_version(self) -> str:
        """How models and scores name this input: "web.documents@12"."""
        return f"{self.table.full_name}@{self.version}"

    def commit(self) -> dict[str, Any]:
        """The log entry of the last write up to the version that is read: timestamp in ms, dagster_run_id,
        code_version, and more. Compaction and vacuum are not writes. {} for a table that does not exist."""
        # The table is opened again: `history` of a table that was opened earlier numbers later commits wrongly.
        newest = self.lake.open(self.table) if self.exists else None
        commits = [c for c in newest.history() if c["version"] <= self.version] if newest else []
        return next((c for c in commits if c.get("code_version")), commits[0] if commits else {})

    def snapshots(self) -> list[str]:
        """The names of the partitions that hold rows and that this reader reads, sorted."""
        if self._delta is None:
            return []
        names = {partition[self.table.partition_by] for partition in self._delta.partitions()}
        return sorted(names if self.partitions is None else names.intersection(self.partitions))

    def files(self) -> list[str]:
        """Local paths of the data files of the partitions that are read; empty for a lake in an object store."""
        if self._delta is None or not self.lake.is_local:
            return []
        chosen = None if self.partitions is None else [(self.table.partition_by, "in", self.partitions)]
        paths = self._delta.file_uris(chosen)  # Delta gives URLs when the lake's path has a space, for example
        return sorted(path if os.path.exists(path) else unquote(path) for path in paths)

    @property
    def rows(self) -> int:
        import polars as pl

        return self.scan().select(pl.len()).collect().item() if self.exists else 0

    def scan(self) -> pl.LazyFrame:
        """The rows as a lazy frame with exactly the declared columns."""
        import polars as pl

        if self._delta is None:
            return self.table.empty().lazy()
        if self.lake.is_local and quote(self.lake.root, safe="/") != self.lake.root:
            # polars uses the URL of a Delta table as its path. They differ when the path has a space, for example.
            frame = pl.scan_pyarrow_dataset(self._delta.to_pyarrow_dataset(as_large_types=True))
        else:
            frame = pl.scan_delta(self._delta)
        known = frame.collect_schema().names()
        empty = self.table.empty().schema
        frame = frame.with_columns(
            pl.lit(None, dtype=empty[c]).alias(c) for c in self.table.column_names if c not in known
        )
        if self.partitions is not None:
            frame = frame.filter(pl.col(self.table.partition_by).is_in(self.partitions))
        if self._part is not None:
            frame = frame.filter(pl.col(self.table.part_by) == self._part)
        return frame.select(self.table.column_names)

    def batches(
        self,
        columns: Iterable[str] | None = None,
        batch_size: int = 1024,
        where: tuple[str, str] | None = None,
        keep_memory: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows as record batches of at most `batch_size` rows, with a few batches in memory at a time.

        `where` is a column and the value that rows must have in it; files whose statistics exclude the value are not
        read. With `keep_memory` the memory of a batch is used for the next one instead of being returned to the system,
        which is faster for short columns.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        if self._delta is None:
            return
        names = list(columns or self.table.column_names)
        schema = pa.schema([self.table.arrow_schema().field(name) for name in names])
        dataset = self._delta.to_pyarrow_dataset(as_large_types=True)
        wanted = None if self.partitions is None else ds.field(self.table.partition_by).isin(self.partitions)
        equal = [] if self._part is None else [(self.table.part_by, self._part)]
        equal += [where] if where else []
        files = self._files(dataset, equal)
        for column, value in equal:
            this = ds.field(column) == value
            wanted = this if wanted is None else wanted & this
        dataset = ds.FileSystemDataset(files, dataset.schema, dataset.format, dataset.filesystem)
        known = [name for name in names if name in dataset.schema.names]
        options = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        scanner = dataset.scanner(
            known,
            filter=wanted,
            batch_size=batch_size,
            batch_readahead=1,
            fragment_readahead=1,
            fragment_scan_options=options,
            use_threads=False,
            # The system's pool returns freed memory to the system; the default pool does not.
            memory_pool=pa.default_memory_pool() if keep_memory else pa.system_memory_pool(),
        )
        for batch in scanner.to_batches():
            if batch.num_rows:
                missing = {n: pa.nulls(batch.num_rows, schema.field(n).type) for n in names if n not in known}
                arrays = [missing[n] if n in missing else _as(batch.column(n), schema.field(n).type) for n in names]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _files(self, dataset: Any, equal: Iterable[tuple[str, str]]) -> list[Any]:
        """The data files that may hold rows with these values in the partitions that are read, sorted by name, so that
        a version of the table is always read in the same order.

        For a file without statistics of a column, delta-rs writes a comparison with null into the dataset, which
        excludes every row of the file. So this function chooses the files itself and describes them by their partition
        alone.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        files, partition = [], self.table.partition_by
        paths = {os.path.basename(f.path): f.path for f in dataset.get_fragments()}
        for action in pa.table(self._delta.get_add_actions(flatten=True)).to_pylist():
            value = action[f"partition.{partition}"] if partition else None
            if self.partitions is not None and value not in self.partitions:
                continue
            bounds = [(action.get(f"min.{c}"), v, action.get(f"max.{c}")) for c, v in equal]
            if any(None not in (low, high) and not low <= v <= high for low, v, high in bounds):
                continue
            path = paths[os.path.basename(unquote(action["path"]))]
            expression = (ds.field(partition) == value) if partition else None
            files.append(dataset.format.make_fragment(path, dataset.filesystem, partition_expression=expression))
        return sorted(files, key=lambda file: file.path)

    def parts(self) -> dict[str, str]:
        """The parts that hold rows, each with the hash of its content. The hash is "" for a part without a mark.

        A table with partitions must be read one partition at a time. Raises `LakeError` for a reader of several
        partitions, and for a table that has no parts or was never written.
        """
        name = self.table.full_name
        if not self.table.part_by:
            raise LakeError(f"{name} has no parts: it declares no part column (part_by)")
        if not self.exists:
            raise LakeError(f"{name} was never written: materialise {self.table.schema}/{self.table.name} first")
        if self.table.partition_by and not self.partition:
            raise LakeError(f"{name} has parts in each partition: read one partition, not {self.partitions or 'all'}")
        column = self.table.part_by
        keys = self.scan().select(column).unique().collect(engine="streaming")[column].sort()
        return {key: str(self.lake.marker(self._delta, "data", self.partition, key) or "") for key in keys}

    def content(self) -> str:
        """A hash of the rows of this partition, or of the whole table if it has no partitions. `Lakehouse.write` stored
        it, so it changes only when the rows change. Rows that were stored in another way have no hash; then the result
        is "version:12", from the Delta version. "" for a table that does not exist."""
        if not self.exists:
            return ""
        if self.table.part_by:
            contents = self.parts()
        else:
            contents = {"": str(self.lake.marker(self._delta, "data", self.partition, "") or "")}
        if not all(contents.values()):
            return f"version:{self.version}"
        return f"{hash63(*itertools.chain(*sorted(contents.items()))):016x}"

    def part(self, key: str) -> Reader:
        """A reader of one part of this partition."""
        return self._with(_part=key)

    def within(self, partition: str | None) -> Reader:
        """A reader of one partition at the same version; with None this reader itself."""
        return self if partition is None else self._with(partitions=[partition])

    def _with(self, **changes: Any) -> Reader:
        reader = Reader.__new__(Reader)
        reader.__dict__.update(self.__dict__, **changes)
        return reader

    def map_parts(self, fn) -> Parts:
        """One part per part of this reader, made by `fn(reader of that part)`. A part whose input did not change is
        not made again."""

        def parts() -> Iterator[Part]:
            for key, content in self.parts().items():
                yield Part(key, content or f"unmarked:{time.time_ns()}", lambda key=key: fn(self.part(key)))

        return Parts(parts())


def _as(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The array cast to the declared type, if it has another one. Casting a list to its own type would copy it."""
    return array if array.type == wanted else array.cast(wanted)
