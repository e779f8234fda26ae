"""The quarantine table: rows that a stage could not process, stored when the part they belong to is committed.

Rejects travel with the data (`Parts.rejects`, `Batches.rejects`). When a part is made again, its new rejects replace
the old ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.schema import Column, Table
from resources.lakehouse.stored import read

if TYPE_CHECKING:
    from resources.lakehouse.lake import Lake

QUARANTINE = Table(
    "quarantine",
    "rows",
    "Rows that a stage could not process, each with the stage, the cause and the id of the row.",
    (
        Column("id", "string", "xxh3-128 hex of stage, partition, part, row_id and cause"),
        Column("stage", "string", "table whose asset rejected the row, for example web.documents"),
        Column(
            "partition",
            "string",
            "partition of that table that was being written, for example CC-MAIN-2024-51; empty if the table has none",
        ),
        Column(
            "part",
            "string",
            "part of the partition that was being written, for example a WARC file; empty if it was written whole",
        ),
        Column(
            "row_id",
            "string",
            "id of what was rejected: a row that the stage read, an answer in llm.generations, or the missing row",
        ),
        Column("cause", "string", "kind of failure in snake_case, for example broken_item"),
        Column("detail", "string", "description of the failure, at most 500 characters; may be empty"),
        Column("run_id", "string", "id of the Dagster run that rejected the row", volatile=True),
        Column("at", "timestamp", "time of the rejection, UTC", volatile=True),
    ),
)
TABLES = [QUARANTINE]


def store(lake: Lake, table: Table, partition: str | None, part: str, rejects: list[Reject], run_id: str) -> None:
    """Replace the stored rejects of a part by `rejects`. A row that was rejected twice for one cause is stored once."""
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
    lake.replace(QUARANTINE, new, where, run_id=run_id)


def counts(lake: Lake, table: Table, partition: str | None, part: str | None = None) -> dict[str, int]:
    """Count the quarantined rows of a table's partition, or of one part of the partition, by cause."""
    where = {} if part is None else {"part": part}
    return dict(Counter(_column("cause", lake, table, partition, **where)))


def parts(lake: Lake, table: Table, partition: str | None) -> set[str]:
    """The parts of a table's partition that have quarantined rows. Such a part may have no other rows."""
    return set(_column("part", lake, table, partition))


def _column(column: str, lake: Lake, table: Table, partition: str | None, **where: str) -> Iterator[str]:
    """The values of a column in the quarantined rows of a table's partition."""
    where = {"stage": table.full_name, "partition": partition or "", **where}
    for batch in read(lake, QUARANTINE, lake.read(QUARANTINE).stored(), [column], where=where):
        yield from batch.column(0).to_pylist()
