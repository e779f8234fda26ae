"""Reads a table, some of its partitions or one part of it: as a lazy frame, in batches, or from the Delta log alone.

A reader always reads the version that was current when it was opened, even while others write.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from resources.contract import LakeError, hash63
from resources.lakehouse.stored import StoredFile, live_files, read
from resources.store import steadily

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from resources.lakehouse.lake import Lake


class Reader:
    """A table, some partitions or one part of it, at the version that was current when the reader was opened."""

    def __init__(self, lake: Lake, table: Table, partitions: list[str] | None = None, part: str | None = None) -> None:
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
        found = steadily(newest.history, f"the log of {self.table.full_name}") if newest else []
        commits = [c for c in found if c["version"] <= self.version]
        return next((c for c in commits if c.get("code_version")), commits[0] if commits else {})

    def snapshots(self) -> list[str]:
        """The names of the partitions that hold rows and that this reader reads, sorted."""
        if self._delta is None:
            return []
        names = {partition[self.table.partition_by] for partition in self._delta.partitions()}
        return sorted(names if self.partitions is None else names.intersection(self.partitions))

    def stored(self) -> list[StoredFile]:
        """The data files that may hold the rows that are read, sorted by path."""
        if self._delta is None:
            return []
        return [f for f in live_files(self._delta, self.table, self.partitions) if f.may_hold(self._where)]

    def files(self) -> list[str]:
        """Local paths of the data files of the partitions that are read; empty for a lake in an object store."""
        return [f"{self.lake.path(self.table)}/{file.path}" for file in self.stored()] if self.lake.is_local else []

    @property
    def _where(self) -> dict[str, str]:
        return {} if self._part is None else {self.table.part_by: self._part}

    @property
    def rows(self) -> int:
        """The number of rows."""
        import polars as pl

        counts = [file.rows for file in self.stored()]
        if self._part is None and None not in counts:  # the log knows it
            return sum(counts)
        return self.scan().select(pl.len()).collect().item() if self.exists else 0

    def only_row(self) -> dict[str, Any]:
        """The row of a table that holds one. Raises `LakeError` for any other number of rows."""
        found = self.scan().collect()
        if found.height != 1:
            asset = f"{self.table.schema}/{self.table.name}"
            raise LakeError(f"{self.table.full_name} holds {found.height} rows, not one: materialise {asset} first")
        return found.row(0, named=True)

    def scan(self) -> pl.LazyFrame:
        """The rows as a lazy frame with exactly the declared columns."""
        import polars as pl

        schema, partition_by = self.table.empty().schema, self.table.partition_by
        own = {name: dtype for name, dtype in schema.items() if name != partition_by}
        by_partition: dict[str | None, list[str]] = {}
        for file in self.stored():
            by_partition.setdefault(file.partition, []).append(f"{self.lake.path(self.table)}/{file.path}")
        frames = []
        for partition, paths in by_partition.items():
            frame = pl.scan_parquet(
                paths,
                schema=own,
                glob=False,  # a path may hold any character
                hive_partitioning=False,  # a folder above the lake may be named like a partition
                missing_columns="insert",
                extra_columns="ignore",
                storage_options=self.lake.storage_options or None,
                credential_provider=None,
            )
            if partition_by:
                frame = frame.with_columns(pl.lit(partition, dtype=schema[partition_by]).alias(partition_by))
            frames.append(frame.select(schema.names()))
        if not frames:
            return self.table.empty().lazy()
        frame = pl.concat(frames)
        return frame if self._part is None else frame.filter(pl.col(self.table.part_by) == self._part)

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
        wanted = {**self._where, **dict([where] if where else [])}
        names = list(columns or self.table.column_names)
        options = {"where": wanted, "batch_size": batch_size, "keep_memory": keep_memory}
        return read(self.lake, self.table, self.stored(), names, **options)

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
        column, keys = self.table.part_by, set()
        for file in self.stored():
            low, high = file.bounds(column)
            if low is not None and low == high:
                keys.add(low)
            else:
                for batch in read(self.lake, self.table, [file], [column], batch_size=65_536, keep_memory=True):
                    keys.update(batch.column(0).unique().to_pylist())
        keys = sorted(keys if self._part is None else keys & {self._part})
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

    def at(self, version: int) -> Reader | None:
        """A reader of the whole table at an earlier version. None if this version, or a file of it, is gone."""
        from deltalake.exceptions import DeltaError

        delta = self.lake.open(self.table)
        try:
            if delta is None:
                return None
            delta.load_as_version(version)
        except DeltaError:
            return None
        reader = self._with(_delta=delta, partitions=None, _part=None)
        return reader if all(map(os.path.exists, reader.files())) else None

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
