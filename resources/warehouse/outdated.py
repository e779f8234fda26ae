"""Says which columns of a query are null only because a table was stored before the columns were declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nemotron_assets.table.quoting import delta_scan
from resources.warehouse.reading import nodes

if TYPE_CHECKING:
    import duckdb


def notes(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """One sentence per table that a query reads, itself or through views, and that lacks declared columns."""
    outdated = connection.execute("select table_name, path from lineage.tables where len(not_stored) > 0").fetchall()
    if not outdated:
        return []
    used, found = _used(connection, query), []
    for name, path in outdated:
        # The catalog may be older than the table's last commit, so the table itself is asked again.
        if name in used and (missing := sorted(not_stored(connection, _declared(connection, name), path))):
            some = f"column {missing[0]}" if len(missing) == 1 else f"columns {', '.join(missing)}"
            found.append(
                f"note: {name} was stored by an older version of the program, without the {some}, null here. "
                f"`nemotron maintain --migrate`, then `nemotron run {name}`, bring the table up to date"
            )
    return found


def not_stored(connection: duckdb.DuckDBPyConnection, declared: Iterable[str], path: str) -> set[str]:
    """The declared columns of a table that the stored table does not have."""
    stored = connection.execute(f"describe select * from {delta_scan(path)}").fetchall()
    return set(declared) - {row[0] for row in stored}


def _declared(connection: duckdb.DuckDBPyConnection, name: str) -> set[str]:
    """The columns of a table's view."""
    query = "select column_name from duckdb_columns() where schema_name || '.' || table_name = ?"
    return {row[0] for row in connection.execute(query, [name]).fetchall()}


def _used(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    """The tables and views that a query reads, and those that these views read."""
    rows = connection.execute("select schema_name || '.' || view_name, sql from duckdb_views() where not internal")
    views = {name: sql.partition(" AS ")[2] for name, sql in rows.fetchall()}
    used: set[str] = set()
    waiting = [s.query for s in connection.extract_statements(query) if s.type.name == "SELECT"]  # EXPLAIN: no rows
    while waiting:
        tables = (node for node in nodes(connection, waiting.pop()) if node.get("type") == "BASE_TABLE")
        names = {f"{table['schema_name']}.{table['table_name']}" for table in tables}
        waiting += [views[name] for name in names - used if name in views]
        used |= names
    return used
