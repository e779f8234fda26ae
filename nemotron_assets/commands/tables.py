"""`nemotron tables`: lists the tables of the lake with their sizes, or shows the columns and history of one table.

Sizes come from the Delta logs; no data file is read.
"""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import Any

from nemotron_assets.commands.console import print_table
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted
from nemotron_assets.table.schema import Table
from resources.warehouse import Warehouse, WarehouseError
from resources.warehouse.facts import Facts, facts, facts_of, history


def all_facts(warehouse: Warehouse) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Column names, and one row per declared table in the order of the graph."""
    names = ("table", "rows", "bytes", "files", "version", "partitions", "last written (UTC)", "description")
    lines = []
    tables = all_tables()
    for name, found in facts_of(warehouse, tables.values()).items():
        sizes: tuple[Any, ...] = (None,) * 5
        if isinstance(found, Facts):
            sizes = (found.rows, found.bytes, found.files, found.version, found.partitions)
            written, note = found.written, migration_hint(tables[name], found)
        elif found is None:
            written, note = "not written yet", ""
        else:
            reason = str(found).splitlines()[0] if str(found) else type(found).__name__
            written, note = "cannot be read", f"The Delta log cannot be read: {reason} "
        lines.append((name, *sizes, written, note + tables[name].description))
    order = {name: place for place, name in enumerate(tables)}
    return names, sorted(lines, key=lambda line: order[line[0]])


def migration_hint(table: Table, found: Facts | None) -> str:
    """A sentence for a table that an older program wrote; empty for all others."""
    if found is None or found.schema_version == str(table.version):
        return ""
    return f"Has schema version {found.schema_version} of {table.version}: run `nemotron maintain --migrate`. "


def find(name: str) -> Table:
    """A declared table by name: web.documents or web/documents.

    Raises `WarehouseError`, which names similar tables, for an unknown name.
    """
    tables = all_tables()
    wanted = name.replace("/", ".")
    if wanted not in tables:
        near = difflib.get_close_matches(wanted, tables, 3, 0.4)
        hint = f"perhaps {', '.join(near)}" if near else f"the tables are {', '.join(sorted(tables))}"
        raise WarehouseError(f"there is no table {name!r}; {hint}")
    return tables[wanted]


def print_table_facts(warehouse: Warehouse, table: Table, commits: int = 10) -> None:
    """Print what a table holds, its columns with their meanings, and its last commits."""
    found = facts(warehouse, table)
    print(f"{table.full_name}: {migration_hint(table, found)}{table.description}")
    print(f"{warehouse.table_path(table)}")
    layout = [f"key {', '.join(table.key)}"]
    layout += [f"partitioned by {table.partition_by}"] if table.partition_by else []
    layout += [f"written in parts by {table.part_by}"] if table.part_by else []
    layout += [f"made from {', '.join(table.parents)}"] if table.parents else []
    print("; ".join(layout))
    if found:
        size = f"{counted(found.rows, 'row')}, {found.bytes:,} bytes in {counted(found.files, 'file')}"
        print(f"{size}, Delta version {found.version}")
    else:
        print("not written yet")
    print()
    print_table(
        ("column", "type", "meaning"),
        [(c.name, c.dtype + ("?" if c.nullable else ""), c.meaning) for c in table.columns],
    )
    if found:
        print()
        print_table(
            ("version", "when (UTC)", "operation", "rows added", "rows removed", "run"),
            list(map(_commit, history(warehouse, table, commits))),
        )


def _commit(commit: dict[str, Any]) -> tuple[Any, ...]:
    metrics = commit.get("operationMetrics") or {}
    return (
        commit.get("version"),
        datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
        commit.get("operation"),
        metrics.get("num_added_rows"),
        metrics.get("num_deleted_rows", metrics.get("num_copied_rows")),
        commit.get("dagster_run_id"),
    )


def tables_command(name: str | None) -> None:
    """Print one table in full, or one line per table of the lake."""
    if name:
        print_table_facts(Warehouse(), find(name))
    else:
        print_table(*all_facts(Warehouse()))
