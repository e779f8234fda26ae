"""What the Delta logs say about the tables of the lake: rows, bytes, files, versions. No data file is read.

To read the logs of all tables takes seconds. The facts of a table follow from its last commit, so they are kept in a
file of the cache until there is a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.schema import Table
from resources.delta_log import DeltaLog
from resources.files import replaced
from resources.store import delta_at
from resources.warehouse.extensions import WarehouseError

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from resources.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Facts:
    """The size and version of a table.

    `partitions` is None for a table without partitions. `written` is the time of the last commit. `schema_version` is
    the one in which the table is stored.
    """

    rows: int
    bytes: int
    files: int
    version: int
    partitions: int | None
    written: datetime
    schema_version: str


def facts(warehouse: Warehouse, table: Table) -> Facts | None:
    """The facts of a table; None if the table is not in the lake. Raises what reading its log raised."""
    found = facts_of(warehouse, [table])[table.full_name]
    if isinstance(found, Exception):
        raise found
    return found


def facts_of(warehouse: Warehouse, tables: Iterable[Table]) -> dict[str, Facts | Exception | None]:
    """The facts of many tables by full name: None for a table that is not in the lake, the error for a table whose log
    cannot be read. Only the logs of tables with a new commit are read."""
    tables = list(tables)
    file = warehouse.path.with_name("table_facts.json")
    known = _load(file)
    commits = {table.full_name: _last_commit(warehouse, table) for table in tables}
    found: dict[str, Facts | Exception | None] = {}
    unknown = []
    for table in tables:
        stored = known.get(warehouse.table_path(table))
        if stored is not None and stored[0] == commits[table.full_name]:
            found[table.full_name] = stored[1]
        else:
            unknown.append(table)
    with ThreadPoolExecutor(8) as pool:
        for table, read in zip(unknown, pool.map(lambda t: _tried(warehouse, t), unknown), strict=True):
            found[table.full_name] = read
            if isinstance(read, Facts) and commits[table.full_name]:
                known[warehouse.table_path(table)] = (commits[table.full_name], read)
    if unknown:
        _save(file, known)
    return found


def history(warehouse: Warehouse, table: Table, commits: int) -> list[dict[str, Any]]:
    """The last commits of a table, newest first, as delta-rs describes them; none if the table is not in the lake."""
    delta = open_table(warehouse, table)
    return delta.history(commits) if delta else []


def open_table(warehouse: Warehouse, table: Table) -> DeltaTable | None:
    """A table of the lake as a Delta table, without any check of its schema; None if it is not in the lake. Raises an
    error that names the table if its log cannot be read."""
    if not warehouse.exists(table):
        return None
    folder = warehouse.table_path(table)
    if warehouse.is_local and (reason := DeltaLog(folder).damage()):
        raise WarehouseError(f"{table.full_name}: {reason}")
    try:
        return delta_at(folder, warehouse.storage_options)
    except Exception:
        from resources.lakehouse.errors import explaining

        with explaining(folder, table):
            raise


def _tried(warehouse: Warehouse, table: Table) -> Facts | Exception | None:
    try:
        delta = open_table(warehouse, table)
        return _read(delta, table) if delta else None
    except Exception as error:  # the other tables can still be listed
        return error


def _read(delta: DeltaTable, table: Table) -> Facts:
    import pyarrow as pa
    import pyarrow.compute as pc

    actions = pa.table(delta.get_add_actions(flatten=True))
    column = f"partition.{table.partition_by}"
    return Facts(
        rows=pc.sum(actions["num_records"]).as_py() or 0,
        bytes=pc.sum(actions["size_bytes"]).as_py() or 0,
        files=actions.num_rows,
        version=delta.version(),
        partitions=pc.count_distinct(actions[column]).as_py() if column in actions.column_names else None,
        written=datetime.fromtimestamp(delta.history(1)[0]["timestamp"] / 1000, UTC),
        schema_version=delta.metadata().configuration.get("nemotron.version", "1"),
    )


def _last_commit(warehouse: Warehouse, table: Table) -> list[Any] | None:
    """The last file of a local table's log, with its size and time, which change with every commit. None in an object
    store, whose logs are always read."""
    log = Path(warehouse.table_path(table), "_delta_log")
    if not warehouse.is_local or not log.is_dir():
        return None
    last = max((name for name in os.listdir(log) if name.endswith(".json")), default=None)
    if last is None:
        return None
    status = (log / last).stat()
    return [last, status.st_size, status.st_mtime_ns]


def _load(file: Path) -> dict[str, tuple[list[Any], Facts]]:
    """The stored facts: {folder of a table: (last commit, facts)}; empty if the file is missing or damaged."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {
            path: (commit, Facts(**known | {"written": datetime.fromisoformat(known["written"])}))
            for path, (commit, known) in stored.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _save(file: Path, known: dict[str, tuple[list[Any], Facts]]) -> None:
    """Store the facts. The file only saves time, so a full or read-only disk is not an error."""
    stored = {path: (commit, asdict(facts)) for path, (commit, facts) in known.items()}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced(file) as temporary:
            temporary.write_text(json.dumps(stored, default=datetime.isoformat), encoding="utf-8")
