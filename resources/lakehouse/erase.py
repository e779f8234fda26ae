"""Erases rows by their ids: one commit per table, after which every part is marked as if it had been made without them.

The mark "data" of a part is the hash of its content, so the erased table has the data version of a table that never had
the rows. The mark "made" stays: the part's inputs did not change, and nothing has to be made again for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.table.schema import Table
from resources.contract import ContentHash
from resources.lakehouse import commits
from resources.lakehouse.changes import Change
from resources.lakehouse.stored import live_files, read

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.transaction import Transaction

    from resources.lakehouse.lake import Lake

#: The note of a commit that says which receipt of `nemotron forget` it belongs to.
NOTE = "nemotron_forget"


@dataclass(frozen=True)
class Erased:
    """What was erased from a table: the number of rows, and the Delta versions before and after."""

    rows: int
    before: int
    after: int


def erase(
    lake: Lake,
    table: Table,
    ids: Collection[str],
    *,
    receipt: str,
    reason: str,
    column: str = "id",
    parents: Mapping[str, Sequence[str]] | None = None,
) -> Erased | None:
    """Erase the rows whose `column` is one of the ids, in one commit with the reason, which is tried again after a
    conflict. The rows whose `column` is a key of `parents` stay, and get these parents. None if the table has no such
    row."""
    ids, parents = frozenset(ids), parents or {}
    for _ in commits.attempts(table):
        with commits.conflicts(), lake.lock(table), Change(lake, table) as change:
            delta = lake.open(table)
            if delta is None or not (holding := _holding(lake, table, delta, ids | parents.keys(), column)):
                return None
            without = _Without(ids, column, parents)
            marks = _rewrite(lake, table, delta, change, holding, without)
            notes = commits.properties("", marks=marks)
            notes.custom_metadata |= {NOTE: receipt, "reason": reason}
            change.commit(delta, notes)
        if change.is_stored:
            return Erased(without.erased, delta.version(), lake.open(table).version())
    raise AssertionError("unreachable")


def _holding(
    lake: Lake, table: Table, delta: DeltaTable, ids: frozenset[str], column: str
) -> dict[str | None, set[str]]:
    """{partition: its parts that hold such rows}; a table without parts has the part ""."""
    found: dict[str | None, set[str]] = {}
    names = [column, *([table.part_by] if table.part_by and table.part_by != column else [])]
    for file in live_files(delta, table) if ids else ():
        for batch in read(lake, table, [file], names, batch_size=65_536, keep_memory=True):
            parts = batch.column(table.part_by).to_pylist() if table.part_by else [""] * batch.num_rows
            for id_, part in zip(batch.column(column).to_pylist(), parts, strict=True):
                if id_ in ids:
                    found.setdefault(file.partition, set()).add(part)
    return found


def _rewrite(
    lake: Lake,
    table: Table,
    delta: DeltaTable,
    change: Change,
    holding: dict[str | None, set[str]],
    without: _Without,
) -> list[Transaction]:
    """Write the parts again without the rows; returns their new marks."""
    from deltalake import Transaction

    marks = []
    for partition, parts in holding.items():
        files = live_files(delta, table, None if partition is None else [partition])
        for part in sorted(parts):
            where = {table.part_by: part} if table.part_by else {}
            content = ContentHash(table)
            change.next_file()
            change.write(content.counting(without.of(read(lake, table, files, where=where))))
            name = commits.mark("data", partition, part)
            if delta.transaction_version(name) is not None:  # rows that were appended have no mark
                marks.append(Transaction(name, content.value))
        change.next_file()
        where = {table.part_by: sorted(parts)} if table.part_by else None
        change.remove_rows(delta, None if partition is None else [partition], where)
    return marks


class _Without:
    """Passes batches on without the rows with these ids, and counts what it left out. Some rows get other parents."""

    def __init__(self, ids: frozenset[str], column: str, parents: Mapping[str, Sequence[str]]) -> None:
        self.ids, self.column, self.parents, self.erased = ids, column, parents, 0

    def of(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            keep = pa.array([id_ not in self.ids for id_ in batch.column(self.column).to_pylist()], pa.bool_())
            kept = batch.filter(keep)
            self.erased += batch.num_rows - kept.num_rows
            ids = kept.column(self.column).to_pylist()
            if not self.parents.keys().isdisjoint(ids):
                place = kept.schema.get_field_index("parents")
                pairs = zip(ids, kept.column(place).to_pylist(), strict=True)
                values = [self.parents.get(id_, own) for id_, own in pairs]
                field = kept.schema.field(place)
                kept = kept.set_column(place, field, pa.array(values, field.type))
            if kept.num_rows:
                yield kept
