"""Changes the files of a table: rows that replace others, and small files that are joined into larger ones.

delta-rs can do both, but it stores rows with types of its own (`string_view`), records no hash of the files it writes,
and lays them out without the page index that reading single texts needs. So every file of the lake is written by
`DataFiles`, from rows of the declared types.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from nemotron_assets.table.schema import Table
from resources.delta_log import DeltaLog, hash_notes
from resources.lakehouse.commits import attempts, conflicts
from resources.lakehouse.datafiles import DataFiles
from resources.lakehouse.errors import explained
from resources.lakehouse.stored import StoredFile, Where, live_files, read, without
from resources.store import is_passing, steadily

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.transaction import AddAction, RemoveAction

    from resources.lakehouse.lake import Lake


class Change:
    """New files of a table and the end of old ones, made one version by `commit`.

    It is a context: when it ends by an error, the new files are deleted. An error that comes after the commit, for
    example from a checkpoint of the log, is dropped, because the rows are stored. `is_stored` says whether the commit
    succeeded; a caller that tries a change again asks it first.
    """

    def __init__(self, lake: Lake, table: Table) -> None:
        self.lake, self.table = lake, table
        self._files: list[DataFiles] = []
        self._current: dict[str | None, DataFiles] = {}
        self._removed: list[RemoveAction] = []
        self._built_on, self._hash = 0, ""
        self.is_stored = False

    def __enter__(self) -> Change:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if error is None:
            return False
        self.is_stored = self.is_stored or self._is_committed()
        if self.is_stored:
            with contextlib.suppress(Exception):
                self.lake.record(self.table, self._built_on)
            return isinstance(error, Exception)
        for files in self._files:
            files.discard()
        if sentence := explained(error, self.lake.root):
            raise sentence from None
        return False

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Write rows, of any partitions."""
        for batch in batches:
            for partition, rows in _by_partition(self.table, batch):
                self._of(partition).write(rows)

    def next_file(self) -> None:
        """Let the rows that follow go into new files."""
        self._current = {}

    def remove(self, file: StoredFile) -> None:
        """End a file. This counts as a change of data, because only then does Delta refuse the second of two commits
        that end the same file."""
        self._removed.append(self._end_of(file))

    def _end_of(self, file: StoredFile) -> RemoveAction:
        from deltalake.transaction import RemoveAction

        values = {} if self.table.partition_by is None else {self.table.partition_by: file.partition}
        return RemoveAction(file.path, True, int(time.time() * 1000), file.bytes, values)

    def remove_rows(self, delta: DeltaTable, partitions: Sequence[str] | None, where: Where | None) -> None:
        """Remove the rows with the values of `where` (None: all rows) from some partitions, or from all. The other rows
        of a file that holds such rows are written again."""
        lake, table = self.lake, self.table
        for file in live_files(delta, table, partitions):
            if where and not file.holds_only(where):
                if not any(batch.num_rows for batch in read(lake, table, [file], [*where], where=where)):
                    continue
                self.write(without(batch, where) for batch in read(lake, table, [file]))
            self.remove(file)

    def close(self) -> None:
        """Finish the new files. After this nothing more can be written."""
        for files in self._files:
            files.close()

    def commit(
        self, delta: DeltaTable, properties: CommitProperties, mode: str = "append", schema: Schema | None = None
    ) -> None:
        """Make the change a version of the table. With the mode "overwrite" the change ends all files that `delta`
        names, and may store another schema."""
        self.close()
        added = [action for files in self._files for action in files.actions()]
        removed = self._removed
        if mode == "overwrite":  # delta-rs ends the files itself
            removed = [self._end_of(file) for file in live_files(delta, self.table)]
        self._built_on = delta.version()
        notes = hash_notes(properties, self.lake.path(self.table), self._built_on, added, removed)
        self._hash = notes.custom_metadata["actions_hash"]
        steadily(lambda: self._commit(delta, added, mode, schema, notes), f"a commit to {self.table.full_name}")
        self.is_stored = True
        self.lake.record(self.table, self._built_on)

    def _commit(
        self, delta: DeltaTable, added: list[AddAction], mode: str, schema: Schema | None, notes: CommitProperties
    ) -> None:
        """Commit, unless an earlier attempt did so and its answer was lost."""
        try:
            delta.create_write_transaction(
                [*self._removed, *added],
                mode,
                schema or delta.schema(),
                self.table.partition_by,
                commit_properties=notes,
            )
        except Exception as error:
            if not (is_passing(error) and self._is_committed()):
                raise

    @property
    def files_removed(self) -> int:
        return len(self._removed)

    @property
    def files_added(self) -> int:
        return sum(len(files.closed) for files in self._files)

    def _of(self, partition: str | None) -> DataFiles:
        if partition not in self._current:
            self._current[partition] = DataFiles(self.lake, self.table, partition)
            self._files.append(self._current[partition])
        return self._current[partition]

    def _is_committed(self) -> bool:
        """Whether the commit succeeded although it raised an error. The log is asked, because a later commit may have
        ended the new files already, as a compaction does."""
        log = DeltaLog(self.lake.path(self.table))
        return bool(self._hash) and log.commit_with(self._hash, self._built_on) is not None


def compact(
    lake: Lake, table: Table, partition: str | None, target_bytes: int, properties: CommitProperties
) -> tuple[int, int]:
    """Join the files of a partition that are smaller than `target_bytes` into files of about this size. Returns the
    number of files that were joined, and of the files they became.

    The rows of a part stay together, so that a reader of one part still reads few files.
    """
    for _ in attempts(table):
        with conflicts(), lake.lock(table, partition), Change(lake, table) as change:
            delta = lake.open(table)
            files = live_files(delta, table, None if partition is None else [partition])
            small = [file for file in files if file.bytes < target_bytes]
            small.sort(key=lambda file: (str(file.bounds(table.part_by)[0]), file.path))
            for group in _grouped(small, target_bytes):
                if len(group) > 1:
                    change.next_file()
                    change.write(read(lake, table, group))
                    for file in group:
                        change.remove(file)
            if not change.files_removed:
                return 0, 0
            change.commit(delta, properties)
        if change.is_stored:
            return change.files_removed, change.files_added
    raise AssertionError("unreachable")


def _grouped(files: Sequence[StoredFile], target_bytes: int) -> Iterator[list[StoredFile]]:
    """The files in groups of at most `target_bytes`, in their order."""
    group, size = [], 0
    for file in files:
        if group and size + file.bytes > target_bytes:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.bytes
    if group:
        yield group


def _by_partition(table: Table, batch: pa.RecordBatch) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """The rows of a batch by the value of the table's partition column."""
    import pyarrow.compute as pc

    if table.partition_by is None:
        yield None, batch
        return
    column = batch.column(table.partition_by)
    found = pc.unique(column)
    for value in found:
        yield value.as_py(), batch if len(found) == 1 else batch.filter(pc.equal(column, value))
