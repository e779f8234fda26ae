"""Reading a table, or some of its partitions, or one part of it: lazily, in batches, or by what the log says of it.

Whatever is read is the version that was current when the reader was opened, even while others write.
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
    """A table, or some partitions or one part of it, at the version that was current when it was opened."""

    def __init__(
        self, lake: Lakehouse, table: Table, partitions: list[str] | None = None, part: str | None = None
    ) -> None:
        self.lake, self.table, self.partitions, self._part = lake, table, partitions, part
        self._delta = lake.open(table)

    @property
    def exists(self) -> bool:
        """Whether the table has been written at all."""
        return self._delta is not None

    @property
    def partition(self) -> str | None:
        """The partition this reader is restricted to, if it is exactly one."""
        return self.partitions[0] if self.partitions and len(self.partitions) == 1 else None

    @property
    def version(self) -> int:
        """The Delta version read; -1 for a table that does not exist yet."""
        return -1 if self._delta is None else self._delta.version()

    @property
    def input_version(self) -> str:
        """How models and scores name this input: "web.documents@12"."""
        return f"{self.table.full_name}@{self.version}"

    def commit(self) -> dict[str, Any]:
        """What the log says about the last write up to the version read (upkeep aside): timestamp in ms,
        dagster_run_id, code_version, ..."""
        # A table as it is now: one that was opened earlier numbers the commits made since wrongly.
        newest = self.lake.open(self.table) if self.exists else None
        commits = [c for c in newest.history() if c["version"] <= self.version] if newest else []
        return next((c for c in commits if c.get("code_version")), commits[0] if commits else {})

    def snapshots(self) -> list[str]:
        """The partitions that hold rows, of those this reader is restricted to, in the order of their names."""
        if self._delta is None:
            return []
        names = {partition[self.table.partition_by] for partition in self._delta.partitions()}
        return sorted(names if self.partitions is None else names.intersection(self.partitions))

    def files(self) -> list[str]:
        """Paths of the data files of the partitions read, on this machine; none for an object store."""
        if self._delta is None or not self.lake.is_local:
            return []
        chosen = None if self.partitions is None else [(self.table.partition_by, "in", self.partitions)]
        paths = self._delta.file_uris(chosen)  # as URLs where the lake's path has a space, say
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
            # polars takes the URL of a Delta table for its path, which differ when the path has a space, say.
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
        """Stream the rows as record batches of at most `batch_size` rows, a few in memory at a time.

        `where` is a column and the value it must have; files whose statistics exclude it are not read. `keep_memory`
        keeps what a batch took for the next one, instead of giving it back: faster for short columns.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        if self._delta is None:
            return
        names = list(columns or self.table.column_names)
        schema = pa.schema([self.table.arrow_schema().field(name) for name in names])
        dataset = self._delta.to_pyarrow_dataset(as_large_types=True)
        wanted = None if self.partitions is None else ds.field(self.table.partition_by).isin(self.partitions)
        equal = [pair for pair in (self._part and (self.table.part_by, self._part), where) if pair]
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
            # The system's pool gives freed pages back, the default one does not.
            memory_pool=pa.default_memory_pool() if keep_memory else pa.system_memory_pool(),
        )
        for batch in scanner.to_batches():
            if batch.num_rows:
                missing = {n: pa.nulls(batch.num_rows, schema.field(n).type) for n in names if n not in known}
                arrays = [missing[n] if n in missing else _as(batch.column(n), schema.field(n).type) for n in names]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _files(self, dataset: Any, equal: Iterable[tuple[str, str]]) -> list[Any]:
        """The data files that may hold rows of these partitions with these values, by name, so that a version of the
        table is always read in the same order.

        delta-rs describes a file without statistics of a column by a comparison with null, which excludes every row:
        so the files are chosen here, and described by their partition alone.
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
        """The parts that hold rows (of one partition, if the table has any), each with the hash of its content."""
        if not (self.exists and self.table.part_by) or (self.table.partition_by and not self.partition):
            raise LakeError(f"{self.table.full_name}: parts are read one partition at a time, of a table that has them")
        column = self.table.part_by
        keys = self.scan().select(column).unique().collect(engine="streaming")[column].sort()
        return {key: str(self.lake.marker(self._delta, "data", self.partition, key) or "") for key in keys}

    def content(self) -> str:
        """A hash of what this partition, or a table without any, holds, as `write` noted it: it changes with the rows
        only. For tables that are not written by `write`, their version."""
        if not self.exists:
            return ""
        if self.table.part_by:
            contents = self.parts()
        else:
            contents = {"": str(self.lake.marker(self._delta, "data", self.partition, "") or "")}
        if not all(contents.values()):  # written by something that leaves no marks
            return f"version:{self.version}"
        return f"{hash63(*itertools.chain(*sorted(contents.items()))):016x}"

    def part(self, key: str) -> Reader:
        """One part of this partition."""
        return self._with(_part=key)

    def within(self, partition: str | None) -> Reader:
        """One partition of what this reader reads (None: everything), at the same version."""
        return self if partition is None else self._with(partitions=[partition])

    def _with(self, **changes: Any) -> Reader:
        reader = Reader.__new__(Reader)
        reader.__dict__.update(self.__dict__, **changes)
        return reader

    def map_parts(self, fn) -> Parts:
        """Parts made by applying `fn(reader of one part)`; a part whose input did not change is not made again."""

        def parts() -> Iterator[Part]:
            for key, content in self.parts().items():
                yield Part(key, content or f"unmarked:{time.time_ns()}", lambda key=key: fn(self.part(key)))

        return Parts(parts())


def _as(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The array with the declared type; a cast to the type it has would copy lists."""
    return array if array.type == wanted else array.cast(wanted)
