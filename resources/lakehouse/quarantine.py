"""The quarantine: rows that a stage could not process, stored when the part they were meant for is committed.

Rejects travel with the data (`Parts.rejects`, `Batches.rejects`). Making a part again replaces its rejects.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.schema import Column, Table
from resources.lakehouse import commits

if TYPE_CHECKING:
    from resources.lakehouse.lake import Lakehouse

QUARANTINE = Table(
    "quarantine",
    "rows",
    "Rows that a stage could not process, with the stage, the cause and the row's id.",
    (
        Column("id", "string", "xxh3-128 hex of stage, partition, part, row and cause"),
        Column("stage", "string", "table whose asset rejected the row, as web.documents"),
        Column("partition", "string", "partition that was being written; empty for tables without partitions"),
        Column("part", "string", "part that was being written; empty for partitions written whole"),
        Column("row_id", "string", "id of the rejected row, in a parent table of the stage"),
        Column("cause", "string", "kind of the failure, in snake_case"),
        Column("detail", "string", "the failure in words, at most 500 characters"),
        Column("run_id", "string", "Dagster run that rejected it", volatile=True),
        Column("at", "timestamp", "when it was rejected", volatile=True),
    ),
)
TABLES = [QUARANTINE]


def store(lake: Lakehouse, table: Table, partition: str | None, part: str, rejects: list[Reject], run_id: str) -> None:
    """Replace the rejects of a part by these."""
    import pyarrow as pa

    if not rejects and not counts(lake, table, partition, part):
        return
    now, where = datetime.now(UTC), {"stage": table.full_name, "partition": partition or "", "part": part}
    rows = [
        {
            "id": row_id(QUARANTINE.full_name, *where.values(), r.row_id, r.cause),
            **where,
            "row_id": r.row_id,
            "cause": r.cause,
            "detail": r.detail[:500],
            "run_id": run_id,
            "at": now,
        }
        for r in {(r.row_id, r.cause): r for r in rejects}.values()
    ]
    new = pa.Table.from_pylist(rows, QUARANTINE.arrow_schema())
    lake.replace(QUARANTINE, new, commits.rows_with(where), run_id=run_id)


def counts(lake: Lakehouse, table: Table, partition: str | None, part: str | None = None) -> dict[str, int]:
    """Quarantined rows of a table's partition, or of one part of it, by cause."""
    import polars as pl

    rows = lake.read(QUARANTINE)
    if not rows.exists:
        return {}
    mine = (pl.col("stage") == table.full_name) & (pl.col("partition") == (partition or ""))
    if part is not None:
        mine &= pl.col("part") == part
    return dict(Counter(rows.scan().filter(mine).select("cause").collect()["cause"]))
