"""Upkeep of the lake: compacts small files, deletes old versions, and deletes files that killed writers left behind.

A version that a model or a score names in `input_versions` or `source_versions` is kept, however old it is, so that the
data behind a score can still be read.
"""

from __future__ import annotations

import functools
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.recipe.lake import Maintenance
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted
from nemotron_assets.table.schema import Table
from resources.contract import LakeError, OutOfDate
from resources.delta_log import DeltaLog
from resources.lakehouse import Lakehouse, Reader, commits
from resources.lakehouse.changes import compact
from resources.lakehouse.stored import live_files
from resources.lakehouse.verify import damaged_files
from resources.store import steadily

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True)
class Upkeep:
    """What was done to one table. In a dry run: what would be deleted.

    `files_compacted` small files became `files_written` files. `files_vacuumed` counts files of old versions and of
    killed writers, `temporary_files` files that were never finished. `versions_kept` are the Delta versions that models
    and scores were made from, `versions_gone` those of them that the Delta log no longer has.
    """

    table: str
    files_compacted: int
    files_written: int
    files_vacuumed: int
    temporary_files: int
    versions_kept: tuple[int, ...]
    versions_gone: tuple[int, ...] = ()

    def __str__(self) -> str:
        kept = gone = ""
        if self.versions_kept:
            kept = f"; {_versions(self.versions_kept, 'kept because')}"
        if self.versions_gone:
            gone = f"; {_versions(self.versions_gone, 'gone from the log, and')}"
        return (
            f"{self.table}: {counted(self.files_compacted, 'file')} compacted into {self.files_written}, "
            f"{counted(self.files_vacuumed, 'old file')} and {counted(self.temporary_files, 'temporary file')} deleted"
            f"{kept}{gone}"
        )


def _versions(numbers: tuple[int, ...], what: str) -> str:
    """What became of versions that models and scores name."""
    made = "models or scores were made from"
    if len(numbers) == 1:
        return f"version {numbers[0]} is {what} {made} it"
    return f"versions {', '.join(map(str, numbers))} are {what} {made} them"


def maintain_all(lake: Lakehouse, recipe: Maintenance, dry_run: bool = False) -> Iterator[Upkeep | LakeError]:
    """Maintain every table of the lake, one after the other. A dry run deletes and compacts nothing.

    A table that cannot be read yields its error, and the next one follows. If such a table names versions, which then
    are unknown, no file of any table is deleted.
    """
    from deltalake.exceptions import DeltaError

    named, unreadable = named_versions(lake)
    for error in unreadable.values():
        yield LakeError(f"{error} Until then no old file is deleted: the table says which versions must stay.")
    for name, table in all_tables().items():
        if name not in unreadable:
            try:
                delta = lake.open(table)
                if delta is not None:
                    keep = None if unreadable else named.get(name, ())
                    yield maintain_table(lake, table, delta, recipe, keep, dry_run)
            except (LakeError, DeltaError, OSError) as error:
                yield error if isinstance(error, LakeError) else LakeError(f"{name}: {error}")


def maintain_table(
    lake: Lakehouse, table: Table, delta: DeltaTable, recipe: Maintenance, keep: tuple[int, ...] | None, dry_run: bool
) -> Upkeep:
    """Compact partitions of `min_files` files or more, and delete files that are older than the retention.

    `keep` are the Delta versions whose files stay; with None all files stay.
    """
    compacted = written = 0
    for partition, files in sorted(Counter(file.partition for file in live_files(delta, table)).items()):
        if files >= recipe.min_files and not dry_run:
            joined, made = compact(lake, table, partition, recipe.target_file_mb << 20, commits.properties(""))
            compacted, written = compacted + joined, written + made
    if keep is None:
        return Upkeep(table.full_name, compacted, written, 0, 0, ())
    delta = lake.open(table)
    kept = tuple(version for version in keep if _is_in_log(lake, table, version))
    # full=True also deletes files that belong to no version, which a killed writer left. The retention protects the
    # files of writers that are still running.
    vacuum = functools.partial(
        delta.vacuum,
        recipe.retention_hours,
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,
        keep_versions=list(kept) or None,
        commit_properties=lake.notes(table, delta),
    )
    vacuumed = steadily(vacuum, f"vacuuming {table.full_name}")
    if not dry_run:
        lake.record(table, delta.version())
    swept = _sweep(Path(lake.path(table)), recipe.retention_hours, dry_run) if lake.is_local else 0
    gone = tuple(version for version in keep if version not in kept)
    return Upkeep(table.full_name, compacted, written, len(vacuumed), swept, kept, gone)


def named_versions(lake: Lakehouse) -> tuple[dict[str, tuple[int, ...]], dict[str, LakeError]]:
    """The Delta versions that models and scores name in `input_versions` or `source_versions`, by full name of the
    table; and the errors of tables with these columns that cannot be read."""
    named: dict[str, set[int]] = {}
    unreadable: dict[str, LakeError] = {}
    for full_name, table in all_tables().items():
        columns = [name for name in ("input_versions", "source_versions") if name in table.column_names]
        try:
            for batch in lake.read(table).batches(columns) if columns else ():
                for versions in itertools.chain(*(column.to_pylist() for column in batch.columns)):
                    for name, _, version in (text.partition("@") for text in versions or ()):
                        if version.isdigit():
                            named.setdefault(name, set()).add(int(version))
        except LakeError as error:
            unreadable[full_name] = error
    return {name: tuple(sorted(versions)) for name, versions in named.items()}, unreadable


def verify_all(lake: Lakehouse) -> Iterator[tuple[bool | None, str]]:
    """Read the log of every table, every data file of its newest version, and the weights of every model, and compare
    them with their recorded hashes and row counts. Yields whether it is whole, and a line about it, for each table and
    each folder of weights; a line per damaged file comes before. A table that another version of the program wrote is
    not checked, and yields None instead."""
    for table in all_tables().values():
        try:
            yield from _verified(lake, table)
        except OutOfDate as error:
            yield None, f"{table.full_name}: its data files were not checked. {error}"
        except LakeError as error:
            yield False, str(error)


def _verified(lake: Lakehouse, table: Table) -> Iterator[tuple[bool, str]]:
    damaged = commits_without = 0
    # The log comes first: it may be the reason why the table cannot be opened, and the error would not name its file.
    log = DeltaLog(lake.path(table))
    for file, problem in log.files():
        commits_without += problem is None
        if problem:
            damaged += 1
            yield (
                False,
                f"{table.full_name}: the file {lake.path(table)}/{file} of its log {problem}. "
                f"{log.way_out(file.rpartition('/')[2])}",
            )
    try:
        reader = lake.read(table)
    except LakeError as error:
        if damaged and not isinstance(error, OutOfDate):
            return  # the lines above say why it cannot be read
        raise
    if not reader.exists:
        return
    for damage in damaged_files(reader):
        damaged += 1
        yield False, str(damage)
    files = reader.stored()
    no_hash = sum(file.hash is None for file in files)
    line = f"{table.full_name}: {counted(len(files), 'file')}, {damaged} damaged"
    if no_hash:
        line += (
            f"; for {counted(no_hash, 'file')} an earlier version of the program recorded no hash: they were "
            "decoded, and their rows counted"
        )
    if commits_without:
        line += (
            f"; not checked: {counted(commits_without, 'file')} of its log, of which an earlier version of the program "
            "or another program recorded no hash"
        )
    yield not damaged, line
    if {"uri", "sha256"} <= set(table.column_names):
        yield from _verified_weights(lake, reader)


def _verified_weights(lake: Lakehouse, models: Reader) -> Iterator[tuple[bool, str]]:
    """Compare the weights that a table names with the sha256 of their files."""
    table = models.table
    uris = sorted({uri for batch in models.batches(["uri"]) for uri in batch.column(0).to_pylist()})
    for uri in uris:
        found = False
        for problem in lake.weights_damage(uri):
            found = True
            yield (
                False,
                f"{table.full_name}: {problem}. Put the file back from a copy of the lake. Without a copy, delete the "
                f"folder, run `nemotron maintain --set-aside {table.full_name}` and then "
                f"`nemotron run --force {table.schema}/{table.name}`.",
            )
        if not found:
            yield True, f"{table.full_name}: the weights in {uri} are whole"


def set_aside(lake: Lakehouse, full_name: str) -> str:
    """Rename the folder of a table, so that the table can be built again; returns a sentence about what was done.

    Raises `LakeError` for an unknown table, a table that was not written, and a lake in an object store.
    """
    table = all_tables().get(full_name.replace("/", "."))
    if table is None:
        raise LakeError(f"there is no table {full_name!r}; the tables are {', '.join(sorted(all_tables()))}")
    path = Path(lake.path(table))
    if not lake.is_local:
        raise LakeError(
            f"{lake.path(table)} is in an object store: move its objects to another prefix with your own tools"
        )
    if not (path / "_delta_log").is_dir():
        raise LakeError(f"{path} is not a Delta table, so there is nothing to set aside")
    target = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
    path.rename(target)
    return f"{full_name} is kept in {target}; `nemotron run --force {table.schema}/{table.name}` builds it again"


def _is_in_log(lake: Lakehouse, table: Table, version: int) -> bool:
    """Whether the Delta log still has a version. Delta deletes log entries that are older than its log retention."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        DeltaTable(lake.path(table), version=version, storage_options=lake.storage_options or None)
    except DeltaError:
        return False
    return True


def _sweep(folder: Path, retention_hours: int, dry_run: bool) -> int:
    """Delete unfinished files older than the retention (`*.parquet#1`, `*.tmp`); returns their number."""
    old = time.time() - retention_hours * 3600
    leftovers = [p for p in folder.rglob("*") if re.search(r"#\d+$|\.tmp$", p.name) and p.is_file()]
    leftovers = [p for p in leftovers if p.stat().st_mtime < old]
    for path in [] if dry_run else leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
