"""Upkeep of the lake: compaction, vacuum, and the sweep of files that killed writers left behind.

Versions that a model or a score names as its input are kept, however old: what a score was computed from must stay
readable.
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
    """What was done to one table (or would be, in a dry run)."""

    table: str
    files_compacted: int
    files_written: int
    files_vacuumed: int
    temporary_files: int
    versions_kept: tuple[int, ...]

    def __str__(self) -> str:
        versions = ", ".join(map(str, self.versions_kept))
        kept = f", kept versions {versions} named as inputs" if versions else ""
        return (
            f"{self.table}: {self.files_compacted} files compacted into {self.files_written}, "
            f"{self.files_vacuumed} vacuumed, {self.temporary_files} temporary files swept{kept}"
        )


def maintain_all(lake: Lakehouse, recipe: Maintenance, dry_run: bool = False) -> Iterator[Upkeep]:
    """Maintain every table of the lake, one after the other."""
    named = named_versions(lake)
    for table in all_tables().values():
        delta = lake.open(table)
        if delta is not None:
            yield maintain_table(lake, table, delta, recipe, named.get(table.full_name, ()), dry_run)


def maintain_table(
    lake: Lakehouse, table: Table, delta: DeltaTable, recipe: Maintenance, keep: tuple[int, ...], dry_run: bool
) -> Upkeep:
    """Compact partitions of many small files, vacuum what is old enough, sweep temporary files."""
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
    # full: also files no version knows, which a killed writer leaves; the retention protects writers at work.
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
    """Versions that models and scores name in `input_versions`, by table."""
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
    """Rename a table's folder, so that it can be materialised anew; returns what was done, in a sentence."""
    table = all_tables().get(full_name.replace("/", "."))
    if table is None:
        raise LakeError(f"no table {full_name!r}; there are: {', '.join(sorted(all_tables()))}")
    path = Path(lake.path(table))
    if not lake.is_local:
        raise LakeError(
            f"{lake.path(table)} is in an object store: move its objects to another prefix with your own tools"
        )
    if not (path / "_delta_log").is_dir():
        raise LakeError(f"{path} holds no table to set aside")
    target = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
    path.rename(target)
    return f"{full_name} is kept in {target}; `nemotron run --force {table.schema}/{table.name}` builds it anew"


def _partitions(delta: DeltaTable, table: Table) -> Iterator[tuple[list[tuple[str, str, str]] | None, int]]:
    """Partition filters with the number of files each holds."""
    import pyarrow as pa

    actions = pa.table(delta.get_add_actions(flatten=True))
    if table.partition_by is None:
        yield None, actions.num_rows
        return
    values = actions.column(f"partition.{table.partition_by}").to_pylist()
    for value in sorted(set(values)):
        yield [(table.partition_by, "=", value)], values.count(value)


def _sweep(folder: Path, retention_hours: int, dry_run: bool) -> int:
    """Delete temporary files (`*.parquet#1` and the log's) that are older than the retention."""
    old = time.time() - retention_hours * 3600
    leftovers = [p for p in folder.rglob("*") if re.search(r"#\d+$|\.tmp$", p.name) and p.is_file()]
    leftovers = [p for p in leftovers if p.stat().st_mtime < old]
    for path in [] if dry_run else leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
