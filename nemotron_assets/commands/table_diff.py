"""What differs between two versions of a table: rows added, removed and changed, and why as far as the lake knows.

Only data files that one of the versions lacks are read, and of each row only its key, hashes of its columns and a short
label are kept, in a temporary DuckDB file: memory stays bounded whatever the size of the table.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.code.quality.tables import DROPPED
from nemotron_assets.math.corpus.tables import DUPLICATES as MATH_DUPLICATES
from nemotron_assets.sft.release.tables import CONTAMINATED
from nemotron_assets.stages import all_tables
from nemotron_assets.table.quoting import identifier
from nemotron_assets.table.schema import Table
from nemotron_assets.web.dedup.tables import DUPLICATES
from nemotron_assets.web.quality.tables import VERDICTS
from resources.contract import LakeError
from resources.home import cache_dir
from resources.lakehouse.quarantine import QUARANTINE
from resources.lakehouse.stored import StoredFile, live_files, read
from resources.store import store_at

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from deltalake import DeltaTable

    from resources.lakehouse import Lakehouse

#: Tables that say why a row is not in a table: {table: (table with the reason, its SQL)}. A row of the second concerns
#: the row that would have the same first parent.
REASONS = {
    "web.unique_documents": (DUPLICATES, "kind || ' duplicate'"),
    "web.curated": (VERDICTS, "list_aggregate(failed, 'string_agg', ', ')"),
    "web.multilingual": (VERDICTS, "list_aggregate(failed, 'string_agg', ', ')"),
    "math.nemotron_cc_math": (MATH_DUPLICATES, "kind || ' duplicate'"),
    "code.curated": (DROPPED, "list_aggregate(rules, 'string_agg', ', ')"),
    "sft.nemotron_sft": (CONTAMINATED, "'contaminated'"),
}
#: Columns by which rows of a table say themselves why they are there, in SQL.
_OWN_REASONS = {name: f"list_aggregate({name}, 'string_agg', ', ')" for name in ("failed", "rules")}
_OWN_REASONS |= {name: name for name in ("reason", "cause", "fate", "decision", "outcome", "kind", "level", "subset")}
#: Columns that say what a row is, in the order of preference.
_LABELS = ("url", "rel_path", "title", "question", "text", "content", "row_id", "name")
_LABEL_CHARACTERS = 60


@dataclass(frozen=True)
class TableDiff:
    """The difference, in a DuckDB connection with the table `changes` (the key of the table, change, partition, reason
    and label). `rows` are the numbers of rows of both versions, None where a file has no statistics."""

    table: Table
    versions: tuple[int, int]
    times: tuple[datetime | None, datetime | None]
    rows: tuple[int | None, int | None]
    files: tuple[int, int]
    connection: duckdb.DuckDBPyConnection

    def counts(self) -> list[tuple[Any, ...]]:
        """(change, partition, reason, rows), the most frequent first within a change and partition."""
        return self.connection.execute(
            "select change, partition, reason, count(*) from changes group by all order by 1, 2, 4 desc, 3"
        ).fetchall()

    def examples(self, each: int) -> list[tuple[Any, ...]]:
        """(change, reason, key, label) of the first rows of every change and reason."""
        key = f"concat_ws(' ', {', '.join(map(identifier, self.table.key))})"
        return self.connection.execute(
            f"select change, reason, {key} as key, label from changes qualify row_number() over "
            "(partition by change, reason order by key) <= ? order by change, reason, key",
            [each],
        ).fetchall()


@contextlib.contextmanager
def table_diff(lake: Lakehouse, table: Table, versions: tuple[str, str]) -> Iterator[TableDiff]:
    """Compare two versions of a table, given as numbers or as "newest". Raises `LakeError` for a version that the lake
    does not have any more."""
    import duckdb

    deltas = [_opened(lake, table, version) for version in versions]
    before, after = (live_files(delta, table) for delta in deltas)
    only = [_without(before, after), _without(after, before)]
    _check_files(lake, table, [*only[0], *only[1]])
    with tempfile.TemporaryDirectory(dir=cache_dir("diff")) as folder:
        with contextlib.closing(duckdb.connect(str(Path(folder, "diff.duckdb")))) as connection:
            connection.execute("set memory_limit = '1GB'; set preserve_insertion_order = false")
            for name, files in zip(("before", "after"), only, strict=True):
                _load(connection, lake, table, name, files)
            _compare(connection, table)
            known = _times(lake.open(table))
            times = tuple(known.get(delta.version()) for delta in deltas)
            _explain(connection, lake, table, times[0])
            rows = tuple(_rows(files) for files in (before, after))
            numbers = tuple(delta.version() for delta in deltas)
            yield TableDiff(table, numbers, times, rows, tuple(map(len, only)), connection)


def _opened(lake: Lakehouse, table: Table, version: str) -> DeltaTable:
    """A version of a table. Raises `LakeError`."""
    from deltalake.exceptions import DeltaError

    delta = lake.open(table)
    if delta is None:
        raise LakeError(f"{table.full_name} is not in the lake yet; `nemotron run {table.full_name}` makes it")
    newest = delta.version()
    if version != "newest":
        if not version.isdecimal() or int(version) > newest:
            known = f"give a number from 0 to {newest}, or newest"
            raise LakeError(f"{version!r} is not a version of {table.full_name}: {known}")
        try:
            delta.load_as_version(int(version))
        except DeltaError as error:
            raise LakeError(
                f"version {version} of {table.full_name} is not in its log any more ({str(error).splitlines()[0]}); "
                f"`nemotron tables {table.full_name}` lists the last versions"
            ) from None
    return delta


def _without(files: Iterable[StoredFile], others: Iterable[StoredFile]) -> list[StoredFile]:
    """The files that the other version does not have."""
    known = {file.path for file in others}
    return [file for file in files if file.path not in known]


def _rows(files: list[StoredFile]) -> int | None:
    return None if any(file.rows is None for file in files) else sum(file.rows for file in files)


def _times(delta: DeltaTable) -> dict[int, datetime]:
    """When each version that the log still has was committed. `delta` must be the newest version: of another one the
    history gives wrong numbers. (Delta finds a version by the times of the log's files, which a copy does not keep.)"""
    entries = [entry for entry in delta.history() if "version" in entry and "timestamp" in entry]
    return {entry["version"]: datetime.fromtimestamp(entry["timestamp"] / 1000, UTC) for entry in entries}


def _load(
    connection: duckdb.DuckDBPyConnection, lake: Lakehouse, table: Table, name: str, files: list[StoredFile]
) -> None:
    """Keep of every row of the files: its key, partition, first parent, own reason, label, and a hash per column."""
    columns = [column.name for column in table.columns if not column.volatile]
    own = next((sql for column, sql in _OWN_REASONS.items() if column in columns), "null")
    labels = [f"{identifier(column)}::varchar" for column in _LABELS if column in columns]
    shown = f"left(regexp_replace(coalesce({', '.join([*labels, 'null'])}), '\\s+', ' ', 'g'), {_LABEL_CHARACTERS})"
    query = f"""
        create table {name} as select {", ".join(map(identifier, table.key))},
            {identifier(table.partition_by) if table.partition_by else "''"} as partition,
            {"parents[1]" if "parents" in columns else "null::varchar"} as subject,
            ({own})::varchar as reason, {shown} as label,
            [{", ".join(f"hash({identifier(column)})" for column in columns)}] as hashes
        from rows_of_{name}"""
    batches = read(lake, table, files, columns)
    with _registered(connection, f"rows_of_{name}", batches, table, columns):
        connection.execute(query)


@contextlib.contextmanager
def _registered(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    batches: Iterable[pa.RecordBatch],
    table: Table,
    columns: list[str],
) -> Iterator[None]:
    """Record batches as a table of the connection, which can be read once."""
    import pyarrow as pa

    schema = pa.schema([table.arrow_schema().field(column) for column in columns])
    connection.register(name, pa.RecordBatchReader.from_batches(schema, batches))
    try:
        yield
    finally:
        connection.unregister(name)


def _check_files(lake: Lakehouse, table: Table, files: list[StoredFile]) -> None:
    """Raise `LakeError` if a file is gone: then the version it belongs to was cleaned up."""
    from pyarrow.fs import FileType

    infos = store_at(lake.path(table)).get_file_info([file.path for file in files]) if files else []
    if any(info.type == FileType.NotFound for info in infos):
        raise LakeError(
            f"data files of one of these versions of {table.full_name} were deleted (`nemotron maintain` and `nemotron "
            "forget --vacuum` delete files of old versions): choose a newer version"
        )


def _compare(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Make the table `changes`. The reason of a changed row are the names of the columns that differ."""
    columns = [column.name for column in table.columns if not column.volatile]
    keys = ", ".join(map(identifier, table.key))
    named = "[" + ", ".join(f"'{column}'" for column in columns) + "]"
    connection.execute(f"""
        create table changes as select {keys},
            case when b.hashes is null then 'added' when a.hashes is null then 'removed' else 'changed' end as change,
            coalesce(a.partition, b.partition) as partition, coalesce(a.subject, b.subject) as subject,
            case when b.hashes is null then a.reason when a.hashes is null then b.reason else
                array_to_string(list_filter({named}, (x, i) -> a.hashes[i] != b.hashes[i]), ', ') end as reason,
            coalesce(a.label, b.label) as label
        from before b full join after a using ({keys}) where b.hashes is distinct from a.hashes;
        drop table before; drop table after""")


def _explain(connection: duckdb.DuckDBPyConnection, lake: Lakehouse, table: Table, before: datetime | None) -> None:
    """Fill in the reasons that other tables know: why a removed row is not there now, and why an added row was not
    there before."""
    if table.full_name in REASONS:
        other, sql = REASONS[table.full_name]
        _join(connection, lake, other, "parents[1]", sql, "removed", None)
        _join(connection, lake, other, "parents[1]", f"'before: ' || {sql}", "added", before)
    rejected = f"case stage when '{table.full_name}' then 'quarantined: ' || cause end"
    _join(connection, lake, QUARANTINE, "row_id", rejected, "removed", None)
    for parent in table.parents:
        _join(connection, lake, all_tables()[parent], "id", "''", "removed", None)
    connection.execute(
        "update changes set reason = case reason when '' then null else coalesce(reason, ?) end "
        "where change = 'removed'",
        [f"its row of {' or '.join(table.parents)} is gone" if table.parents else None],
    )


def _join(
    connection: duckdb.DuckDBPyConnection,
    lake: Lakehouse,
    other: Table,
    subject: str,
    sql: str,
    change: str,
    at: datetime | None,
) -> None:
    """Give rows without a reason the reason that another table has for their first parent, now or at a time."""
    waiting = "select count(*) from changes where change = ? and reason is null and subject is not null"
    if not connection.execute(waiting, [change]).fetchone()[0]:
        return
    delta = lake.open(other)
    if delta is None:
        return
    if at is not None:
        earlier = [version for version, time in _times(delta).items() if time <= at]
        if not earlier:  # the log does not reach back so far
            return
        delta.load_as_version(max(earlier))
    words = re.findall(r"\w+", f"{subject} {sql}")
    names = [column.name for column in other.columns if column.name in words]
    files = live_files(delta, other)
    with contextlib.suppress(LakeError):  # files of the version at that time were deleted
        _check_files(lake, other, files)
        with _registered(connection, "reasons", read(lake, other, files, names), other, names):
            connection.execute(
                f"create or replace temp table known as select {subject} as subject, min({sql}) as reason from reasons "
                f"where {subject} in (select subject from changes where change = ?) group by 1",
                [change],
            )
        connection.execute(
            "update changes set reason = known.reason from known where known.subject = changes.subject and change = ? "
            "and changes.reason is null",
            [change],
        )
