"""`nemotron tables`: lists the tables of the lake with their sizes, or shows the columns and history of one table.

Sizes come from the Delta logs; no data file is read.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nemotron_assets.commands.console import print_table
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse, WarehouseError


@dataclass(frozen=True)
class Facts:
    """What the Delta log says about a table.

    `partitions` is None for a table without partitions; `written` is the time of the last commit; `history` holds the
    last commits, newest first, as delta-rs describes them. `schema_version` is the one in which the table is stored.
    """

    rows: int
    bytes: int
    files: int
    version: int
    partitions: int | None
    written: datetime
    history: list[dict[str, Any]]
    schema_version: str


def facts(warehouse: Warehouse, table: Table, history: int = 1) -> Facts | None:
    """Size, version and the last `history` commits of a table; None if the table is not in the lake."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    if not warehouse.exists(table):
        return None
    delta = DeltaTable(warehouse.table_path(table), storage_options=warehouse.storage_options or None)
    actions = pa.table(delta.get_add_actions(flatten=True))
    commits = delta.history(history)
    column = f"partition.{table.partition_by}"
    return Facts(
        rows=pc.sum(actions["num_records"]).as_py() or 0,
        bytes=pc.sum(actions["size_bytes"]).as_py() or 0,
        files=actions.num_rows,
        version=delta.version(),
        partitions=pc.count_distinct(actions[column]).as_py() if column in actions.column_names else None,
        written=datetime.fromtimestamp(commits[0]["timestamp"] / 1000, UTC),
        history=commits,
        schema_version=Lakehouse.stored_version(delta),
    )


def all_facts(warehouse: Warehouse) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Column names, and one row per declared table in the order of the graph."""
    names = ("table", "rows", "bytes", "files", "version", "partitions", "last written (UTC)", "description")
    lines = []
    for name, table in all_tables().items():
        if found := facts(warehouse, table):
            sizes = (found.rows, found.bytes, found.files, found.version, found.partitions, found.written)
        else:
            sizes = (None, None, None, None, None, "not written yet")
        lines.append((name, *sizes, migration_hint(table, found) + table.description))
    return names, lines


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
    found = facts(warehouse, table, commits)
    print(f"{table.full_name}: {migration_hint(table, found)}{table.description}")
    print(f"{warehouse.table_path(table)}")
    layout = [f"key {', '.join(table.key)}"]
    layout += [f"partitioned by {table.partition_by}"] if table.partition_by else []
    layout += [f"written in parts by {table.part_by}"] if table.part_by else []
    layout += [f"made from {', '.join(table.parents)}"] if table.parents else []
    print("; ".join(layout))
    if found:
        print(f"{found.rows:,} rows, {found.bytes:,} bytes in {found.files:,} files, Delta version {found.version}")
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
            list(map(_commit, found.history)),
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
