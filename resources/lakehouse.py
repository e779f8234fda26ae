"""The lake: Delta tables under one root, and the IO manager through which every asset reads and writes them.

A write is checked against the `Table` declaration before anything reaches the disk (delta-rs casts silently), streams
record batches, and ends in one atomic commit per partition or per part of it. The commit also marks the part with the
fingerprint of what it was made from and the hash of what is in it, as Delta application transactions: they survive
checkpoints and log clean-up, so that a re-run can skip what is in and an identical rewrite does not make everything
downstream stale.

Local folders and object-store URLs are used alike; credentials come from the environment and are never configured.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import dagster as dg
from pydantic import Field, field_validator

from nemotron_assets.table import Batches, Column, Part, Parts, Reject, Table, all_tables, row_id
from resources.contract import CommitConflict, ContentHash, LakeError, checked, hash63, preview
from resources.datafiles import DataFiles
from resources.home import cache_dir
from resources.store import store_at

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from deltalake import DeltaTable, WriterProperties
    from deltalake.transaction import RemoveAction

QUARANTINE = Table(
    "quarantine",
    "rows",
    "Rows that a stage could not process, with the stage, the cause and the row's id.",
    (
        Column("id", "string", "xxh3-128 hex of stage, partition, part, row and cause"),
        Column("stage", "string", "table whose asset rejected the row, as web.documents"),
        Column("partition", "string", "partition that was being written; empty for tables without partitions"),
        Column("part", "string", "part that was being written; empty for partitions written whole"),
        Column("row_id", "string", "id of the rejected row, in a parent table of the stage"),
        Column("cause", "string", "kind of the failure, in snake_case"),
        Column("detail", "string", "the failure in words, at most 500 characters"),
        Column("run_id", "string", "Dagster run that rejected it", volatile=True),
        Column("at", "timestamp", "when it was rejected", volatile=True),
    ),
)
TABLES = [QUARANTINE]

_SECRETS = ("secret", "password", "token", "credential", "account_key", "sas", "access_key")


@dataclass
class WriteResult:
    """What a write did: totals of the partition, the Delta version, the content-based data version."""

    rows: int = 0
    bytes: int = 0
    version: int = 0
    data_version: str = ""
    parts_written: int = 0
    parts_skipped: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    preview: str = ""


class Rejects:
    """Collects the rejected rows of one table's partition until its part is committed."""

    def __init__(self) -> None:
        self.rows: list[Reject] = []

    def add(self, reject: Reject) -> None:
        self.rows.append(reject)

    def take(self) -> list[Reject]:
        rows, self.rows = self.rows, []
        return rows


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
            return pl.from_arrow(self.table.arrow_schema().empty_table()).lazy()
        if self.lake.is_local and quote(self.lake.root, safe="/") != self.lake.root:
            # polars takes the URL of a Delta table for its path, which differ when the path has a space, say.
            frame = pl.scan_pyarrow_dataset(self._delta.to_pyarrow_dataset(as_large_types=True))
        else:
            frame = pl.scan_delta(self._delta)
        known = frame.collect_schema().names()
        empty = pl.from_arrow(self.table.arrow_schema().empty_table()).schema
        frame = frame.with_columns(
            pl.lit(None, dtype=empty[c]).alias(c) for c in self.table.column_names if c not in known
        )
        if self.partitions is not None:
            frame = frame.filter(pl.col(self.table.partition_by).is_in(self.partitions))
        if self._part is not None:
            frame = frame.filter(pl.col(self.table.part_by) == self._part)
        return frame.select(self.table.column_names)

    def batches(
        self, columns: Iterable[str] | None = None, batch_size: int = 1024, where: tuple[str, str] | None = None,
        keep_memory: bool = False,
    ) -> Iterator[pa.RecordBatch]:  # fmt: skip
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
            known, filter=wanted, batch_size=batch_size, batch_readahead=1, fragment_readahead=1,
            fragment_scan_options=options, use_threads=False,
            # The system's pool gives freed pages back, the default one does not.
            memory_pool=pa.default_memory_pool() if keep_memory else pa.system_memory_pool(),
        )  # fmt: skip
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


class Lakehouse(dg.ConfigurableIOManager):
    """Delta tables under `root`. Used as Dagster's IO manager and directly."""

    root: str = Field(description="folder or object-store URL (s3://, gs://) of the lake")
    storage_options: dict[str, str] = Field(
        default_factory=dict, description="endpoint, region and the like; never credentials"
    )
    row_group_rows: int = Field(default=65_536, description="most rows in a Parquet row group")
    row_group_mb: int = Field(default=128, description="most MB in a row group before compression")
    compression_level: int = Field(default=3, description="ZSTD level")
    free_disk_mb: int = Field(default=512, description="refuse to write with less free disk than this")

    @field_validator("storage_options")
    @classmethod
    def _no_secrets(cls, options: dict[str, str]) -> dict[str, str]:
        secret = [key for key in options if any(word in key.lower() for word in _SECRETS)]
        if secret:
            raise ValueError(
                f"{', '.join(secret)} must not stand in storage_options, which Dagster shows and stores: "
                "set the provider's environment variables instead (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...)"
            )
        return options

    # -- where things are ---------------------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    def path(self, table: Table) -> str:
        """Path or URL of a table."""
        return f"{self.root.rstrip('/')}/{table.schema}/{table.name}"

    def open(self, table: Table) -> DeltaTable | None:
        """The Delta table, or None if nothing was written yet. Raises `LakeError` for an incompatible older table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        if self.is_local and not os.path.isdir(os.path.join(self.path(table), "_delta_log")):
            return None
        try:
            delta = DeltaTable(self.path(table), storage_options=self.storage_options or None)
        except TableNotFoundError:
            return None
        self._check_stored_schema(table, delta)
        return delta

    def _check_stored_schema(self, table: Table, delta: DeltaTable) -> list[Column]:
        """The declared columns the stored table lacks, all nullable; anything else needs a migration."""
        from deltalake import Schema

        declared = {f.name: f for f in Schema.from_arrow(table.arrow_schema()).fields}
        stored = {f.name: f for f in delta.schema().fields}
        problems = [f"column {n!r} is no longer declared" for n in stored if n not in declared]
        problems += [
            f"column {n!r} is {stored[n].type} there and {f.type} here"
            for n, f in declared.items()
            if n in stored and stored[n].type != f.type
        ]
        missing = [table.column(n) for n in declared if n not in stored]
        problems += [f"column {c.name!r} is missing there and must not be null" for c in missing if not c.nullable]
        written = delta.metadata().configuration.get("nemotron.version", "1")
        if written != str(table.version):
            problems.append(f"it has schema version {written}, this program writes version {table.version}")
        if problems:
            raise LakeError(
                f"{self.path(table)} was written by another version of the lakehouse: {'; '.join(problems)}. "
                f"Run `nemotron maintain --set-aside {table.full_name}` (the old table is kept beside it) and "
                f"materialise {table.schema}/{table.name} again, or open the lake with the version that wrote it."
            )
        return missing

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, table: Table, partition: str | Sequence[str] | None = None) -> Reader:
        """A reader of the whole table, of one partition or of several."""
        return Reader(self, table, [partition] if isinstance(partition, str) else partition and list(partition))

    @staticmethod
    def marker(delta: DeltaTable | None, kind: str, partition: str | None, part: str) -> int | None:
        """What the last finished write of a part noted: "made" (its fingerprint) or "data" (its content)."""
        return None if delta is None else delta.transaction_version(f"{kind}:{partition or ''}:{part}")

    # -- writing ------------------------------------------------------------------------------------------------

    def rejects(self, table: Table, partition: str | None = None) -> Rejects:
        """A new collector of rejected rows for the partition this process is about to write."""
        collector = _REJECTS[self.root, table.full_name, partition or ""] = Rejects()
        return collector

    def write(
        self, table: Table, data: Any, partition: str | None = None, *, run_id: str = "", code_version: str = "",
        force: bool = False, log=lambda message: None,
    ) -> WriteResult:  # fmt: skip
        """Replace a table or partition by `data`: a frame, a reader, an iterable of frames or batches, or `Parts`.

        Parts already in the lake with the same fingerprint and code version are skipped unless `force`. Raises
        `ContractError` when the data does not have the declared columns, `LakeError` when the disk is too full.
        """
        if (table.partition_by is None) != (partition is None):
            raise LakeError(
                f"{table.full_name} is {'' if table.partition_by else 'not '}partitioned: partition={partition!r}"
            )
        result = WriteResult()
        parts = data.parts if isinstance(data, Parts) else [Part("", "", lambda: data)]
        if isinstance(data, Parts) and not table.part_by:
            raise LakeError(f"{table.full_name} has no part column to write in parts")
        contents: dict[str, int] = {}
        for part in parts:
            made = hash63(part.fingerprint, code_version)
            delta = self.open(table)
            known = self.marker(delta, "data", partition, part.key)
            is_in = known is not None and self.marker(delta, "made", partition, part.key) == made
            if isinstance(data, Parts) and is_in and not force:
                contents[part.key] = known
                result.parts_skipped += 1
                continue
            with self._writer_lock(table, partition):
                contents[part.key] = self._write_part(table, part, partition, made, run_id, code_version, result)
            result.parts_written += 1
            if part.key:
                log(f"part {len(contents)} is in: {part.key}")
        if isinstance(data, Parts):
            self._drop_other_parts(table, partition, contents, run_id)
        delta = self.open(table)
        result.version = delta.version()
        result.rows, result.bytes = _size(delta, table, partition)
        result.data_version = f"{hash63(*(f'{key}={value}' for key, value in sorted(contents.items()))):016x}"
        result.rejected = self._rejected(table, partition)
        return result

    def append(self, table: Table, data: Any, *, run_id: str = "") -> int:
        """Add rows to a ledger-like table in one commit; returns the Delta version. Retries on conflicts."""
        from deltalake import write_deltalake

        batches = list(checked(table, data, None))
        self._create(table)
        for _ in _retries(table):
            with _conflicts():
                write_deltalake(self.path(table), _reader(table, batches), mode="append", **self._writer(run_id))
                return self.open(table).version()
        raise AssertionError("unreachable")

    def replace(self, table: Table, data: Any, predicate: str, *, run_id: str = "") -> int:
        """Replace the rows that match an SQL predicate by `data`, in one commit; returns the Delta version."""
        from deltalake import write_deltalake

        batches = list(checked(table, data, None))
        self._create(table)
        for _ in _retries(table):
            with _conflicts():
                write_deltalake(
                    self.path(table), _reader(table, batches), mode="overwrite", predicate=predicate,
                    **self._writer(run_id),
                )  # fmt: skip
                return self.open(table).version()
        raise AssertionError("unreachable")

    def _write_part(
        self, table: Table, part: Part, partition: str | None, made: int, run_id: str, code_version: str,
        result: WriteResult,
    ) -> int:  # fmt: skip
        """Write one part, its rejects and its markers; returns the hash of its content."""
        from deltalake import CommitProperties, Transaction

        rejects = _REJECTS.get((self.root, table.full_name, partition or ""), Rejects())
        content = ContentHash(table)
        stream = checked(table, part.make(), partition, part.key)
        # The first batch is made and checked before the table is touched: a schema mistake leaves no trace.
        first = next(stream, None)
        if not result.preview and first is not None:
            result.preview = preview(first)
        self._check_free_disk()
        self._create(table)
        files = DataFiles(
            self.path(table), table, partition,
            rows=self.row_group_rows, mb=self.row_group_mb, compression_level=self.compression_level,
        )  # fmt: skip
        try:
            for batch in content.counting(stream if first is None else itertools.chain([first], stream)):
                files.write(batch)
            delta = self.open(table)
            removed = self._replace_files(table, delta, partition, part.key, files)
            added = files.close()
            self._store_rejects(table, partition, part.key, rejects.take(), run_id)
            suffix = f"{partition or ''}:{part.key}"
            marks = [Transaction(f"made:{suffix}", made), Transaction(f"data:{suffix}", content.value)]
            delta.create_write_transaction(
                [*removed, *added], "append", delta.schema(), table.partition_by,
                commit_properties=CommitProperties(
                    app_transactions=marks, custom_metadata=_tags(run_id, code_version)
                ),
            )  # fmt: skip
        except BaseException as error:
            if not self._is_committed(table, files):
                files.discard()
                raise _explained(error, self.root) or error from None
            if not isinstance(error, Exception):
                raise
            # What failed came after the commit (a checkpoint of the log, say); the next commit makes up for it.
        return content.value

    def _replace_files(
        self, table: Table, delta: DeltaTable, partition: str | None, part: str, files: DataFiles
    ) -> list[RemoveAction]:
        """Remove the data files of a part. One that holds other parts as well (compaction joins small files) is
        replaced by its other rows."""
        import pyarrow as pa
        import pyarrow.dataset as ds
        from deltalake.transaction import RemoveAction

        actions, removed = pa.table(delta.get_add_actions(flatten=True)).to_pylist(), []
        for action in actions:
            if partition is not None and action[f"partition.{table.partition_by}"] != partition:
                continue
            low, high = (action.get(f"{end}.{table.part_by}") for end in ("min", "max"))
            if part and not (low == high == part):
                if low is not None and high is not None and not low <= part <= high:
                    continue
                dataset = ds.dataset(action["path"], filesystem=store_at(self.path(table)), format="parquet")
                if not dataset.count_rows(filter=ds.field(table.part_by) == part):
                    continue
                kept = pa.schema([f for f in table.arrow_schema() if f.name in dataset.schema.names])
                for batch in dataset.to_batches(filter=ds.field(table.part_by) != part, batch_size=1_024):
                    files.write(batch.cast(kept))
            values = {} if partition is None else {table.partition_by: partition}
            now = int(time.time() * 1000)
            removed.append(RemoveAction(action["path"], True, now, action["size_bytes"], values))
        return removed

    def _is_committed(self, table: Table, files: DataFiles) -> bool:
        """Whether a commit that raised an error went through all the same."""
        delta = self.open(table) if files.closed else None
        live = {os.path.basename(uri) for uri in delta.file_uris()} if delta else set()
        return any(os.path.basename(file.path) in live for file in files.closed)

    def _create(self, table: Table) -> None:
        """Make the Delta table if it is missing (a first predicate-write would leave out the partitioning)."""
        from deltalake import DeltaTable, Schema

        delta = self.open(table)
        if delta is None:
            DeltaTable.create(
                self.path(table), table.arrow_schema(), mode="ignore", partition_by=table.partition_by,
                name=table.full_name, description=table.description,
                configuration={"nemotron.version": str(table.version)}, raise_if_key_not_exists=False,
                storage_options=self.storage_options or None,
            )  # fmt: skip
            return
        missing = {c.name for c in self._check_stored_schema(table, delta)}
        if missing:
            fields = [f for f in Schema.from_arrow(table.arrow_schema()).fields if f.name in missing]
            delta.alter.add_columns(fields)

    def writer_properties(self) -> WriterProperties:
        """How delta-rs writes the small tables (`append`, `replace`) and compacts all."""
        from deltalake import BloomFilterProperties, ColumnProperties, WriterProperties

        ids = ColumnProperties(
            dictionary_enabled=False, bloom_filter_properties=BloomFilterProperties(True, 0.01, 65_536)
        )
        return WriterProperties(
            column_properties={"id": ids}, compression="ZSTD", compression_level=self.compression_level,
            statistics_truncate_length=256, max_row_group_size=self.row_group_rows,
        )  # fmt: skip

    def _writer(self, run_id: str) -> dict[str, Any]:
        from deltalake import CommitProperties

        return {
            "storage_options": self.storage_options or None,
            "writer_properties": self.writer_properties(),
            "commit_properties": CommitProperties(custom_metadata=_tags(run_id)),
        }

    def _drop_other_parts(self, table: Table, partition: str | None, keep: dict[str, int], run_id: str) -> None:
        """Remove rows of parts that no longer belong to the partition, and their marks: one that comes back is new."""
        from deltalake import CommitProperties, Transaction

        reader = self.read(table, partition)
        if not reader.exists:
            self._create(table)
            return
        gone = [key for key in reader.parts() if key not in keep]
        for key in gone:
            unmade = Transaction(f"made:{partition or ''}:{key}", 0)  # no fingerprint is 0
            self.open(table).delete(
                _predicate(table, partition, key),
                commit_properties=CommitProperties(app_transactions=[unmade], custom_metadata=_tags(run_id)),
            )
            self._store_rejects(table, partition, key, [], run_id)

    def _store_rejects(
        self, table: Table, partition: str | None, part: str, rejects: list[Reject], run_id: str
    ) -> None:
        where = {"stage": table.full_name, "partition": partition or "", "part": part}
        predicate = " AND ".join(f"{column} = {_quote(value)}" for column, value in where.items())
        if not rejects:
            delta = self.open(QUARANTINE)
            if delta is None or not self._rejected(table, partition, part):
                return
        now = datetime.now(UTC)
        rows = [
            {"id": row_id(QUARANTINE.full_name, *where.values(), r.row_id, r.cause), **where, "row_id": r.row_id,
             "cause": r.cause, "detail": r.detail[:500], "run_id": run_id, "at": now}
            for r in {(r.row_id, r.cause): r for r in rejects}.values()
        ]  # fmt: skip
        import pyarrow as pa

        self.replace(QUARANTINE, pa.Table.from_pylist(rows, QUARANTINE.arrow_schema()), predicate, run_id=run_id)

    def _rejected(self, table: Table, partition: str | None, part: str | None = None) -> dict[str, int]:
        """Quarantined rows of a table's partition by cause."""
        import polars as pl

        rows = self.read(QUARANTINE)
        if not rows.exists:
            return {}
        mine = (pl.col("stage") == table.full_name) & (pl.col("partition") == (partition or ""))
        if part is not None:
            mine &= pl.col("part") == part
        return dict(Counter(rows.scan().filter(mine).select("cause").collect()["cause"]))

    @contextlib.contextmanager
    def _writer_lock(self, table: Table, partition: str | None) -> Iterator[None]:
        """Two writers of one partition on one machine take turns; elsewhere Delta refuses the second commit."""
        if not self.is_local:
            yield
            return
        from filelock import FileLock

        folder = Path(self.root, "_locks", table.full_name)
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256((partition or "").encode()).hexdigest()[:16]
        with FileLock(folder / f"{name}.lock"):
            yield

    def _check_free_disk(self) -> None:
        if self.is_local:
            Path(self.root).mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free >> 20
            if free < self.free_disk_mb:
                raise LakeError(
                    f"{self.root} has {free} MB of free disk; a write needs {self.free_disk_mb} MB "
                    "(storage.free_disk_mb). Nothing was written. Free some space (`nemotron maintain` vacuums "
                    "old versions) and run again."
                )

    # -- weights ------------------------------------------------------------------------------------------------

    def put_weights(self, folder: str | Path, name: str) -> tuple[str, str]:
        """Copy a folder of weights into the lake; returns its URI and the sha256 over its files. Idempotent."""
        from resources.weights import put

        return put(Path(folder), f"{self.root.rstrip('/')}/models/weights/{name}")

    def get_weights(self, uri: str) -> Path:
        """A local folder with the weights stored under `uri`: the lake's own for a local lake, else a cached copy."""
        from resources.weights import get

        return get(uri, cache_dir("weights"))

    # -- Dagster ------------------------------------------------------------------------------------------------

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        table = all_tables()[".".join(context.asset_key.path)]
        partition = context.asset_partition_key if context.has_asset_partitions else None
        step = context.step_context
        code_version = step.job_def.asset_layer.get(context.asset_key).code_version or ""
        started = time.perf_counter()
        try:
            result = self.write(
                table, obj.batches if isinstance(obj, Batches) else obj, partition, run_id=context.run_id,
                code_version=code_version, force=step.dagster_run.tags.get("nemotron/force") == "true",
                log=context.log.info,
            )  # fmt: skip
        except CommitConflict as error:
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=5) from error
        step.set_data_version(context.asset_key, dg.DataVersion(result.data_version))
        context.add_output_metadata(
            {
                ("dagster/partition_row_count" if partition else "dagster/row_count"): result.rows,
                "bytes": result.bytes,
                "delta_version": result.version,
                "seconds": round(time.perf_counter() - started, 2),
                "rejected": dg.MetadataValue.json(result.rejected),
                "preview": dg.MetadataValue.md(result.preview or "Nothing was written: everything was in."),
            }
        )
        if table.part_by:
            context.add_output_metadata({"parts_written": result.parts_written, "parts_skipped": result.parts_skipped})
        if isinstance(obj, Parts):
            context.add_output_metadata(dict(obj.metadata()))
        for other in obj.beside if isinstance(obj, Parts) else ():
            metadata = {"dagster/partition_row_count": self.read(other, partition).rows}
            context.log_event(dg.AssetMaterialization(other.asset_key, partition=partition, metadata=metadata))

    def load_input(self, context: dg.InputContext) -> Reader:
        table = all_tables()[".".join(context.asset_key.path)]
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else None
        return Reader(self, table, partitions)


_REJECTS: dict[tuple[str, str, str], Rejects] = {}


def _reader(table: Table, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader:
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(table.arrow_schema(), iter(batches))


def _as(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The array with the declared type; a cast to the type it has would copy lists."""
    return array if array.type == wanted else array.cast(wanted)


def _predicate(table: Table, partition: str | None, part: str) -> str | None:
    wanted = [(table.partition_by, partition), (table.part_by, part or None)]
    terms = [f"{column} = {_quote(value)}" for column, value in wanted if value is not None]
    return " AND ".join(terms) or None


def _quote(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _tags(run_id: str, code_version: str = "") -> dict[str, str]:
    return {"dagster_run_id": run_id, "code_version": code_version}


def _size(delta: DeltaTable, table: Table, partition: str | None) -> tuple[int, int]:
    """Rows and bytes of a partition (or the whole table), from the log's statistics."""
    import pyarrow as pa

    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    column = f"partition.{table.partition_by}"
    mine = [a for a in actions if partition is None or a[column] == partition]
    return sum(a["num_records"] for a in mine), sum(a["size_bytes"] for a in mine)


def _retries(table: Table, attempts: int = 10) -> Iterator[int]:
    """Attempts at a commit that others may race for; the last conflict becomes an error."""
    for attempt in range(attempts):
        yield attempt
        time.sleep(0.05 * 2**attempt)
    raise CommitConflict(f"{table.full_name}: {attempts} commits in a row met a concurrent writer; try again later")


@contextlib.contextmanager
def _conflicts() -> Iterator[None]:
    """Swallow a commit conflict, so that the caller's next attempt sees the newer table."""
    from deltalake.exceptions import CommitFailedError

    with contextlib.suppress(CommitFailedError):
        yield


def _explained(error: BaseException, root: str) -> LakeError | CommitConflict | None:
    from deltalake.exceptions import CommitFailedError

    if isinstance(error, CommitFailedError):
        return CommitConflict(f"another writer committed to the same partition: {error}")
    if "No space left on device" in str(error) or "os error 28" in str(error):
        return LakeError(f"the disk of {root} is full; nothing of this write was kept. Free some space and run again.")
    return None
