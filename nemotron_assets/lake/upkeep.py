"""Upkeep of the lake: compacts small files, deletes old versions, and deletes files that killed writers left behind.

A version that a model or a score names in `input_versions` is kept, however old it is, so that the data behind a score
can still be read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.recipe.lake import Maintenance
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table
from resources.contract import LakeError
from resources.lakehouse import Lakehouse

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True)
class Upkeep:
    """What was done to one table. In a dry run: what would be deleted.

    `files_compacted` small files became `files_written` files. `files_vacuumed` counts files of old versions and of
    killed writers, `temporary_files` files that were never finished. `versions_kept` are the Delta versions that models
    and scores were made from.
    """

    table: str
    files_compacted: int
    files_written: int
    files_vacuumed: int
    temporary_files: int
    versions_kept: tuple[int, ...]

    def __str__(self) -> str:
        versions = ", ".join(map(str, self.versions_kept))
        kept = f"; versions {versions} are kept because models or scores were made from them" if versions else ""
        return (
            f"{self.table}: {self.files_compacted} files compacted into {self.files_written}, "
            f"{self.files_vacuumed} old files and {self.temporary_files} temporary files deleted{kept}"
        )


def maintain_all(lake: Lakehouse, recipe: Maintenance, dry_run: bool = False) -> Iterator[Upkeep]:
    """Maintain every table of the lake, one after the other. A dry run deletes and compacts nothing."""
    named = named_versions(lake)
    for table in all_tables().values():
        delta = lake.open(table)
        if delta is not None:
            yield maintain_table(lake, table, delta, recipe, named.get(table.full_name, ()), dry_run)


def maintain_table(
    lake: Lakehouse, table: Table, delta: DeltaTable, recipe: Maintenance, keep: tuple[int, ...], dry_run: bool
) -> Upkeep:
    """Compact partitions of `min_files` files or more, and delete files that are older than the retention.

    `keep` are the Delta versions whose files stay.
    """
    compacted = written = 0
    for filters, files in _partitions(delta, table):
        if files >= recipe.min_files and not dry_run:
            metrics = delta.optimize.compact(
                partition_filters=filters,
                target_size=recipe.target_file_mb << 20,
                writer_properties=lake.writer_properties(),
            )
            compacted += metrics["numFilesRemoved"]
            written += metrics["numFilesAdded"]
    # full=True also deletes files that belong to no version, which a killed writer left. The retention protects the
    # files of writers that are still running.
    vacuumed = delta.vacuum(
        recipe.retention_hours,
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,
        keep_versions=list(keep) or None,
    )
    swept = _sweep(Path(lake.path(table)), recipe.retention_hours, dry_run) if lake.is_local else 0
    return Upkeep(table.full_name, compacted, written, len(vacuumed), swept, keep)


def named_versions(lake: Lakehouse) -> dict[str, tuple[int, ...]]:
    """The Delta versions that models and scores name in `input_versions`, by full name of the table."""
    named: dict[str, set[int]] = {}
    for table in all_tables().values():
        if "input_versions" in table.column_names and lake.open(table) is not None:
            for batch in lake.read(table).batches(["input_versions"]):
                for versions in batch.column(0).to_pylist():
                    for name, _, version in (text.partition("@") for text in versions):
                        if version.isdigit():
                            named.setdefault(name, set()).add(int(version))
    return {name: tuple(sorted(versions)) for name, versions in named.items()}


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


def _partitions(delta: DeltaTable, table: Table) -> Iterator[tuple[list[tuple[str, str, str]] | None, int]]:
    """A filter per partition (None for a table without partitions), with the number of files in it."""
    import pyarrow as pa

    actions = pa.table(delta.get_add_actions(flatten=True))
    if table.partition_by is None:
        yield None, actions.num_rows
        return
    values = actions.column(f"partition.{table.partition_by}").to_pylist()
    for value in sorted(set(values)):
        yield [(table.partition_by, "=", value)], values.count(value)


def _sweep(folder: Path, retention_hours: int, dry_run: bool) -> int:
    """Delete unfinished files older than the retention (`*.parquet#1`, `*.tmp`); returns their number."""
    old = time.time() - retention_hours * 3600
    leftovers = [p for p in folder.rglob("*") if re.search(r"#\d+$|\.tmp$", p.name) and p.is_file()]
    leftovers = [p for p in leftovers if p.stat().st_mtime < old]
    for path in [] if dry_run else leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
