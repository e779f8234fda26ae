"""Rows of any table, of which a test gives only the columns that matter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse

AT = datetime(2025, 1, 1, tzinfo=UTC)
_VALUES = {
    "string": "", "int64": 0, "int32": 0, "float64": 0.0, "binary": b"", "bool": False, "list[string]": [],
    "timestamp": AT,
}  # fmt: skip


def row(table: Table, **given: Any) -> dict[str, Any]:
    """A row with the columns that are given; the others are empty."""
    return {c.name: given.get(c.name, None if c.nullable else _VALUES.get(c.dtype)) for c in table.columns}


def rows_of(table: Table, *rows: dict[str, Any]) -> pa.Table:
    """The rows as a table of Arrow."""
    return pa.Table.from_pylist([row(table, **r) for r in rows], table.arrow_schema())


def written(lake: Lakehouse, table: Table, *rows: dict[str, Any]) -> None:
    """Make the rows the table's only ones, in the snapshot S if it has snapshots."""
    where = {table.partition_by: "S"} if table.partition_by else {}
    lake.write(table, rows_of(table, *(where | r for r in rows)), where.get(table.partition_by))


def in_parts(lake: Lakehouse, table: Table, *rows: dict[str, Any]) -> None:
    """Make the rows the table's only ones, each a part of its own, so that the log names the parts."""
    made = (Part(r[table.part_by], "1", lambda r=r: rows_of(table, r)) for r in rows)
    lake.write(table, Parts(made), "S" if table.partition_by else None)


def ids(lake: Lakehouse, table: Table) -> list[str]:
    """The ids of the rows of a table, sorted."""
    return lake.read(table).scan().select("id").collect()["id"].sort().to_list()
