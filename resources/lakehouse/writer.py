"""Writes a table, or one of its partitions, part by part: each part is one atomic commit.

A part is skipped when the lake holds it with the same fingerprint and code version. The commit of a part adds its new
data files and removes its old ones. It also stores two marks: "made" is a hash of the fingerprint and the code version,
"data" is a hash of the content.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.parts import Batches, Part, Parts, Rejects
from nemotron_assets.table.schema import Table
from resources.contract import ContentHash, LakeError, checked, hash63, preview
from resources.lakehouse import commits, quarantine
from resources.lakehouse.changes import Change
from resources.lakehouse.stored import live_files

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

    from resources.lakehouse.lake import Lake


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
        self, lake: Lake, table: Table, partition: str | None, *, run_id: str = "", code_version: str = ""
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
            with lake.lock(table, partition):
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
        if in_parts:
            data.finish()
        return self.stored(contents)

    def stored(self, contents: Mapping[str, int]) -> WriteResult:
        """The result of a write after which the partition has these parts; `contents` are their "data" marks."""
        delta, result = self.lake.open(self.table), self._result
        result.version = delta.version()
        result.rows, result.bytes = self._size(delta)
        result.data_version = f"{hash63(*(f'{key}={value}' for key, value in sorted(contents.items()))):016x}"
        result.rejected = quarantine.counts(self.lake, self.table, self.partition)
        return result

    def _write_part(self, part: Part, made: int, rejects: Rejects, whole: bool) -> int:
        """Write one part, or the `whole` partition, with its rejects and its marks; returns the hash of its content."""
        lake, table, partition = self.lake, self.table, self.partition
        key = None if whole else part.key
        content = ContentHash(table)
        try:
            with Change(lake, table) as change:
                stream = checked(table, part.make(), partition, key)
                # The first batch is made and checked before the table is created: wrong columns leave no trace.
                first = next(stream, None)
                if not self._result.preview and first is not None:
                    self._result.preview = preview(first)
                self._check_free_disk()
                lake.create(table)
                change.write(content.counting(stream if first is None else itertools.chain([first], stream)))
                delta = lake.open(table)
                change.remove_rows(delta, self._partitions, None if whole else {table.part_by: part.key})
                change.close()
                quarantine.store(lake, table, partition, part.key, rejects.take(), self.run_id)
                change.commit(delta, self._notes(part.key, made=made, data=content.value))
        except BaseException:
            rejects.take()  # whoever makes the part again collects them again
            raise
        return content.value

    def _drop_other_parts(self, named: Mapping[str, int]) -> None:
        """Delete the stored parts that were not named, with their rejects. Their fingerprints go too, so that a part
        that comes back is made again."""
        lake, table, partition = self.lake, self.table, self.partition
        lake.create(table)
        with lake.lock(table, partition):
            stored = lake.read(table, partition).parts().keys() | quarantine.parts(lake, table, partition)
            for key in sorted(stored - named.keys()):
                with Change(lake, table) as change:
                    delta = lake.open(table)
                    change.remove_rows(delta, self._partitions, {table.part_by: key})
                    quarantine.store(lake, table, partition, key, [], self.run_id)
                    change.commit(delta, self._notes(key, made=0))

    def _notes(self, part: str, **marks: int) -> CommitProperties:
        """The notes of the commit of a part, with its marks by kind."""
        from deltalake import Transaction

        named = [Transaction(commits.mark(kind, self.partition, part), value) for kind, value in marks.items()]
        return commits.properties(self.run_id, self.code_version if "data" in marks else "", named)

    @property
    def _partitions(self) -> list[str] | None:
        return None if self.partition is None else [self.partition]

    def _size(self, delta: DeltaTable) -> tuple[int, int]:
        """Rows and bytes of the partition, or of the whole table."""
        files = live_files(delta, self.table, self._partitions)
        return sum(file.rows or 0 for file in files), sum(file.bytes for file in files)

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
