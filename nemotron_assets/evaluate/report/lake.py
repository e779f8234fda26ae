"""Asks the lake for what the page shows, in SQL, and knows which tables are missing or empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemotron_assets.evaluate.report.content import Missing, TableName
from nemotron_assets.table.quoting import identifier
from nemotron_assets.table.schema import Table

#: How tables are made that are not assets of their own, or that other assets write beside their own table.
_COMMANDS = {
    "llm.generations": "nemotron run +web/rephrased",
    "models.training_metrics": "nemotron run +models/base",
    "snapshots.records": "nemotron run snapshots/pages",
    "evaluate.ablations": "nemotron ablate FILE",
}
#: Numbers of Dagster's own record, which is not a table.
RUNS = "Dagster's record of runs"


def command(table: str) -> str:
    """The command that makes a table."""
    return _COMMANDS.get(table, f"nemotron run +{table.replace('.', '/', 1)}")


class Lake:
    """Read-only questions to a lake. `connection` has the views of its tables, `tables` are the declared tables by
    name."""

    def __init__(self, connection: Any, tables: Mapping[str, Table]) -> None:
        self._connection, self._tables = connection, tables
        self._filled: dict[str, bool] = {}

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(query, list(parameters)).fetchall()

    def records(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a query, by the names of its columns."""
        done = self._connection.execute(query, list(parameters))
        names = [column[0] for column in done.description]
        return [dict(zip(names, row, strict=True)) for row in done.fetchall()]

    def has(self, table: str) -> bool:
        """Whether the lake has rows in a table."""
        if table not in self._filled:
            found = self._tables.get(table)
            name = identifier(*table.split("."))
            self._filled[table] = found is not None and bool(self.rows(f"select 1 from {name} limit 1"))
        return self._filled[table]

    def missing(self, tables: Sequence[str]) -> list[Missing]:
        """Those of the tables that are missing or empty."""
        return [Missing(table, command(table)) for table in tables if not self.has(table)]

    def description(self, table: str) -> str:
        """What a table holds; "" for a table that is not declared."""
        return self._tables[table].description if table in self._tables else ""

    def named(self, name: str) -> TableName | str:
        """A cell that leads to a table; plain text for a name that no table has."""
        return TableName(name) if name in self._tables else name

    def count(self, table: str) -> int:
        """The number of rows of a table."""
        name = identifier(*table.split("."))
        return self.rows(f"select count(*) from {name}")[0][0] if self.has(table) else 0
