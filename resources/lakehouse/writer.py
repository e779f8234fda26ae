"""Writes a table, or one of its partitions, part by part: each part is one atomic commit.

A part is skipped when the lake holds it with the same fingerprint and code version. The commit of a part adds its new
data files and removes its old ones. It also stores two marks: "made" is a hash of the fingerprint and the code version,
"data" is a hash of the content.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nemotron_assets.table.parts import Batches, Part, Parts, Rejects
from nemotron_assets.table.schema import Table
from resources.contract import ContentHash, LakeError, checked, hash63, preview
from resources.lakehouse import commits, quarantine
from resources.lakehouse.datafiles import DataFiles
from resources.store import store_at

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import RemoveAction

    from resources.lakehouse.lake import Lakehouse


@dataclass
class WriteResult:
    """What a write did.

    `rows` and `bytes` are those of the whole partition afterwards, `version` is the Delta version, and `data_version`
    is a hash of the content. `rejected` counts the quarantined rows of the partition by cause.
    """

    rows: int = 0
    bytes: int = 0
    version: int = 0
    data_version: str = ""
    parts_written: int = 0
    parts_skipped: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    preview: str = ""


class Writer:
    """One write of a table or, if the table has partitions, of one of its partitions."""

    def __init__(
        self, lake: Lakehouse, table: Table, partition: str | None, *, run_id: str = "", code_version: str = ""
    ) -> None:
        if (table.partition_by is None) != (partition is None):
            expected = f"one value of {table.partition_by!r}" if table.partition_by else "None"
            raise LakeError(
                f"{table.full_name} is {'' if table.partition_by else 'not '}partitioned: partition={partition!r}, "
                f"expected {expected}"
            )
        self.lake, self.table, self.partition = lake, table, partition
        self.run_id, self.code_version = run_id, code_version
        self._result = WriteResult()

    def write(self, data: Any, *, force: bool = False, log: Callable[[str], Any] = lambda message: None) -> WriteResult:
        """Replace the partition by `data`: a frame, a reader, an iterable of frames or batches, `Batches` or `Parts`.

        With `force`, parts that the lake holds already are made again. Raises `ContractError` when the data does not
        have the declared columns, and `LakeError` when there is too little free disk.
        """
        lake, table, partition, result = self.lake, self.table, self.partition, self._result
        in_parts = isinstance(data, Parts)
        rejects = data.rejects if isinstance(data, Parts | Batches) else Rejects()
        if in_parts and not table.part_by:
            raise LakeError(f"{table.full_name} declares no part column (part_by), so it cannot be written in parts")
        rows = data.batches if isinstance(data, Batches) else data
        contents: dict[str, int] = {}
        for part in data.parts if in_parts else [Part("", "", lambda: rows)]:
            made = hash63(part.fingerprint, self.code_version)
            with self._lock():
                delta = lake.open(table)
                content = lake.marker(delta, "data", partition, part.key)
                is_stored = content is not None and lake.marker(delta, "made", partition, part.key) == made
                if in_parts and is_stored and not force:
                    contents[part.key] = content
                    result.parts_skipped += 1
                    continue
                contents[part.key] = self._write_part(part, made, rejects, whole=not in_parts)
            result.parts_written += 1
            if in_parts:
                log(f"part {len(contents)} is stored: {part.key}")
        if in_parts and data.complete:
            self._drop_other_parts(contents)
        elif in_parts:
            lake.create(table)
            contents = {**lake.read(table, partition).parts(), **contents}
        delta = lake.open(table)
        result.version = delta.version()
        result.rows, result.bytes = self._size(delta)
        result.data_version = f"{hash63(*(f'{key}={value}' for key, value in sorted(contents.items()))):016x}"
        result.rejected = quarantine.counts(lake, table, partition)
        return result

    def _write_part(self, part: Part, made: int, rejects: Rejects, whole: bool) -> int:
        """Write one part, or the `whole` partition, with its rejects and its marks; returns the hash of its content."""
        from deltalake import Transaction

        lake, table, partition = self.lake, self.table, self.partition
        key = None if whole else part.key
        content = ContentHash(table)
        files = DataFiles(
            lake.path(table),
            table,
            partition,
            rows=lake.row_group_rows,
            mb=lake.row_group_mb,
            compression_level=lake.compression_level,
        )
        try:
            stream = checked(table, part.make(), partition, key)
            # The first batch is made and checked before the table is created: wrong columns leave no trace.
            first = next(stream, None)
            if not self._result.preview and first is not None:
                self._result.preview = preview(first)
            self._check_free_disk()
            lake.create(table)
            for batch in content.counting(stream if first is None else itertools.chain([first], stream)):
                files.write(batch)
            delta = lake.open(table)
            removed = self._replace_files(delta, key, files)
            added = files.close()
            quarantine.store(lake, table, partition, part.key, rejects.take(), self.run_id)
            notes = {"made": made, "data": content.value}
            marks = [Transaction(commits.mark(kind, partition, part.key), value) for kind, value in notes.items()]
            delta.create_write_transaction(
                [*removed, *added],
                "append",
                delta.schema(),
                table.partition_by,
                commit_properties=commits.properties(self.run_id, self.code_version, marks),
            )
        except BaseException as error:
            if not self._is_committed(files):
                files.discard()
                rejects.take()  # whoever makes the part again collects them again
                if explained := commits.explained(error, lake.root):
                    raise explained from error
                raise
            if not isinstance(error, Exception):
                raise
            # The error came after the commit (while Delta wrote a checkpoint of its log, say), so the rows are stored.
        return content.value

    def _replace_files(self, delta: DeltaTable, part: str | None, files: DataFiles) -> list[RemoveAction]:
        """Actions that remove the data files of a part, or with None those of the whole partition.

        A file may hold rows of several parts, because compaction joins small files. The rows of the other parts are
        then written again, into `files`.
        """
        import pyarrow.dataset as ds
        from deltalake.transaction import RemoveAction

        table, partition, removed = self.table, self.partition, []
        for action in self._files(delta):
            path = unquote(action["path"])  # the log quotes paths, and so does RemoveAction
            low, high = (action.get(f"{end}.{table.part_by}") for end in ("min", "max"))
            if part is not None and not (low == high == part):
                if low is not None and high is not None and not low <= part <= high:
                    continue
                folder = store_at(self.lake.path(table))
                dataset = ds.dataset(path, filesystem=folder, format="parquet")
                if not dataset.count_rows(filter=ds.field(table.part_by) == part):
                    continue
                self._copy_other_parts(dataset, part, files)
            values = {} if partition is None else {table.partition_by: partition}
            now = int(time.time() * 1000)
            removed.append(RemoveAction(path, True, now, action["size_bytes"], values))
        return removed

    def _copy_other_parts(self, dataset: Any, part: str, files: DataFiles) -> None:
        import pyarrow as pa
        import pyarrow.dataset as ds

        schema = pa.schema([f for f in self.table.arrow_schema() if f.name in dataset.schema.names])
        for batch in dataset.to_batches(filter=ds.field(self.table.part_by) != part, batch_size=1_024):
            files.write(batch.cast(schema))

    def _drop_other_parts(self, named: Mapping[str, int]) -> None:
        """Delete the stored parts that were not named, with their rejects. Their fingerprints go too, so that a part
        that comes back is made again."""
        from deltalake import Transaction
        from deltalake.exceptions import CommitFailedError

        lake, table, partition = self.lake, self.table, self.partition
        lake.create(table)
        with self._lock():
            for key in sorted(lake.read(table, partition).parts().keys() - named.keys()):
                no_fingerprint = Transaction(commits.mark("made", partition, key), 0)
                try:
                    lake.open(table).delete(
                        commits.rows_with({table.partition_by: partition, table.part_by: key}),
                        commit_properties=commits.properties(self.run_id, marks=[no_fingerprint]),
                    )
                except CommitFailedError as error:
                    raise commits.explained(error, lake.root) from error
                quarantine.store(lake, table, partition, key, [], self.run_id)

    def _is_committed(self, files: DataFiles) -> bool:
        """Whether the commit of these files succeeded although it raised an error."""
        delta = self.lake.open(self.table) if files.closed else None
        live = {os.path.basename(uri) for uri in delta.file_uris()} if delta else set()
        return any(os.path.basename(file.path) in live for file in files.closed)

    def _files(self, delta: DeltaTable) -> list[dict[str, Any]]:
        """The log's entries of the data files of the partition, or of the whole table."""
        import pyarrow as pa

        actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
        column = f"partition.{self.table.partition_by}"
        return [action for action in actions if self.partition is None or action[column] == self.partition]

    def _size(self, delta: DeltaTable) -> tuple[int, int]:
        """Rows and bytes of the partition, or of the whole table."""
        files = self._files(delta)
        return sum(file["num_records"] for file in files), sum(file["size_bytes"] for file in files)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the partition's lock file, so that two writers on one machine wait for each other.

        Writers on different machines have no common lock; there Delta refuses the second commit.
        """
        if not self.lake.is_local:
            yield
            return
        from filelock import FileLock

        folder = Path(self.lake.root, "_locks", self.table.full_name)
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256((self.partition or "").encode()).hexdigest()[:16]
        with FileLock(folder / f"{name}.lock"):
            yield

    def _check_free_disk(self) -> None:
        lake = self.lake
        if lake.is_local:
            Path(lake.root).mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(lake.root).free >> 20
            if free < lake.free_disk_mb:
                raise LakeError(
                    f"{lake.root} has {free} MB of free disk; a write needs {lake.free_disk_mb} MB "
                    "(storage.free_disk_mb). Nothing was written. Free some space (`nemotron maintain` vacuums "
                    "old versions) and run again."
                )
