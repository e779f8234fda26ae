"""Writes the catalog: a view with comments per table, the schema lineage, and the macros and views of sql/."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.table.quoting import delta_scan, identifier, literal
from nemotron_assets.table.schema import Table
from resources.contract import shortened
from resources.delta_log import DeltaLog
from resources.store import StoreError, steadily
from resources.warehouse.extensions import WarehouseError
from resources.warehouse.lineage_views import files_view
from resources.warehouse.lineage_views import views as lineage_views
from resources.warehouse.outdated import not_stored

if TYPE_CHECKING:
    import duckdb

    from resources.warehouse.warehouse import Warehouse


#: A macro by which the views of a catalog notice that they are in a copy of it.
_IN_PLACE = "lineage.in_place"

_CATALOG_MEANINGS = {
    "signature": "hash of everything this file was made from; the file is rebuilt when the hash changes",
    "lake": "folder or object-store URL of the lake",
    "duckdb": "DuckDB version that wrote this file, as 1.5.5",
    "built_at": "when this file was written",
}
_TABLES_MEANINGS = {
    "table_name": "schema and name of the table, as web.documents",
    "description": "what a row of the table is",
    "partition_by": "column the table is partitioned by; null for a table without partitions",
    "parents": "tables whose row ids are in the column parents of this table",
    "path": "folder or URL of the Delta table",
    "in_lake": "whether the table was in the lake, and readable, when this file was written",
    "not_stored": "columns of the view that the stored table did not have when this file was written; they are null",
    "unreadable_log": "state of the files of a log that could not be read when this file was written; null for other "
    "tables. This file is rebuilt when the state changes",
}


@dataclass(frozen=True)
class Catalog:
    """The result of a rebuild.

    `present` are the full names of the tables in the lake, `missing` those of declared tables that were not written
    yet. `unreadable` maps the tables that cannot be read to the reason.
    """

    path: Path
    present: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class CatalogBuild:
    """Writes the catalog of `tables` into an open, empty database. `signature` is that of `Warehouse.signature`."""

    def __init__(
        self, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, tables: list[Table], signature: str
    ) -> None:
        self.warehouse, self.connection, self.tables, self.signature = warehouse, connection, tables, signature
        self._unreadable_logs: dict[str, str] = {}

    @cached_property
    def present(self) -> list[Table]:
        return [table for table in self.tables if self.warehouse.exists(table)]

    def run(self, path: Path, sql_folder: Path | None) -> Catalog:
        """Write everything. `path` is the catalog file that the database becomes; `sql_folder` None leaves sql/ out."""
        with self._transaction():
            for schema in sorted({table.schema for table in self.tables} | {"lineage"}):
                self.connection.execute(f"create schema {identifier(schema)}")
            self.connection.execute(f"create macro {_IN_PLACE}() as ({_in_place(path)})")
            meaning = (
                "true in the catalog where it was written; an error in a copy, whose views would read another lake"
            )
            self.connection.execute(f"comment on macro {_IN_PLACE} is {literal(meaning)}")
        # To create a view, DuckDB reads the log of every table below it, which takes seconds in all. So all views are
        # created over empty tables, which have the same columns. Then the tables of the lake take their places.
        with self._transaction():
            for table in self.tables:
                self._view(table, table_view(table, None))
                if table not in self.present:
                    self._comment(_name(table), f"{table.description} (not in the lake yet)", _meanings(table), "view")
            self._facts()
            for statement in lineage_views(self.tables):
                self.connection.execute(statement)
        if sql_folder:
            self._files(sql_folder)
        unreadable = dict(self._tables())
        readable = [table for table in self.present if table.full_name not in unreadable]
        paths = {table.full_name: self.warehouse.table_path(table) for table in readable}
        with self._transaction():
            self._rows_of_facts(paths)
            for statement in files_view(paths):
                self.connection.execute(statement)
        missing = [table.full_name for table in self.tables if table not in self.present]
        return Catalog(path, list(paths), missing, unreadable)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run the statements of a block as one transaction, which also saves a disk flush per statement."""
        self.connection.begin()
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()

    def _tables(self) -> Iterator[tuple[str, str]]:
        """Create the views of the tables in the lake; yields the tables that cannot be read, with the reason."""
        import duckdb

        for table in self.present:
            path = self.warehouse.table_path(table)
            log = DeltaLog(path)
            state = log.state()  # taken first: a log that is mended meanwhile makes the file out of date
            try:
                reason = log.damage() if self.warehouse.is_local else ""
                if not reason:
                    steadily(lambda table=table, path=path: self._table(table, path), f"the view of {table.full_name}")
            except (duckdb.Error, StoreError) as error:
                reason = f"{shortened(str(error).splitlines()[0])}; `nemotron maintain --verify` says what to do"
            if reason:
                self._unreadable_logs[table.full_name] = state
                self._table(table, None, f" (cannot be read: {reason})", reason)
                yield table.full_name, reason

    def _table(self, table: Table, path: str | None, note: str = "", error: str = "") -> None:
        """Create the view of a table in the lake with its comments. Without a path the view has no rows, and every
        query of it fails by the error."""
        query = table_view(table, path)
        if error:
            query += f" or error({literal(f'{table.full_name} cannot be read: {error}')})::boolean"
        elif self.warehouse.is_local:
            query += f" where {_IN_PLACE}()"
        with self._transaction():
            self._view(table, query)
            self._comment(_name(table), table.description + note, _meanings(table), "view")

    def _view(self, table: Table, query: str) -> None:
        self.connection.execute(f"create or replace view {_name(table)} as {query}")

    def _facts(self) -> None:
        """Create lineage.catalog (about the file itself) and lineage.tables (about the tables), without rows."""
        self.connection.execute(
            "create table lineage.catalog (signature varchar, lake varchar, duckdb varchar, built_at timestamptz)"
        )
        self._comment("lineage.catalog", "About this catalog file, in one row.", _CATALOG_MEANINGS)
        self.connection.execute(
            "create table lineage.tables (table_name varchar, description varchar, partition_by varchar, "
            "parents varchar[], path varchar, in_lake boolean, not_stored varchar[], unreadable_log varchar)"
        )
        self._comment("lineage.tables", "One row per declared table of the project.", _TABLES_MEANINGS)

    def _rows_of_facts(self, paths: Mapping[str, str]) -> None:
        """Fill lineage.catalog and lineage.tables. `paths` are those of the tables that can be read."""
        import duckdb

        self.connection.execute(
            "insert into lineage.catalog values (?, ?, ?, ?)",
            [self.signature, self.warehouse.lake, duckdb.__version__, datetime.now(UTC)],
        )
        for table in self.tables:
            self.connection.execute(
                "insert into lineage.tables values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    table.full_name,
                    table.description,
                    table.partition_by,
                    list(table.parents),
                    self.warehouse.table_path(table),
                    table.full_name in paths,
                    self._not_stored(table) if table.full_name in paths else [],
                    self._unreadable_logs.get(table.full_name),
                ],
            )

    def _not_stored(self, table: Table) -> list[str]:
        """The declared columns that a table of the lake lacks, because an older version of the program wrote it."""
        missing = not_stored(self.connection, table.column_names, self.warehouse.table_path(table))
        for column in sorted(missing):
            note = f"{table.column(column).meaning} (not stored yet: null until the table is brought up to date)"
            self.connection.execute(f"comment on column {_name(table)}.{identifier(column)} is {literal(note)}")
        return sorted(missing)

    def _comment(self, name: str, comment: str, meanings: Mapping[str, str], kind: str = "table") -> None:
        """Set the comment of a table or a view, and of its columns."""
        self.connection.execute(f"comment on {kind} {name} is {literal(comment)}")
        for column, meaning in meanings.items():
            self.connection.execute(f"comment on column {name}.{identifier(column)} is {literal(meaning)}")

    def _files(self, folder: Path) -> None:
        """Run the SQL files of macros/ and views/. Files that use views of later files are tried again after them."""
        import duckdb

        waiting = [*sorted(folder.glob("macros/*.sql")), *sorted(folder.glob("views/*/*.sql"))]
        while waiting:
            failures: dict[Path, duckdb.Error] = {}
            for file in waiting:
                try:
                    steadily(lambda file=file: self._apply(file), str(file))
                except duckdb.CatalogException as error:  # it may use a view of a later file
                    failures[file] = error
                except (duckdb.Error, StoreError) as error:
                    raise WarehouseError(f"{file}: {error}") from error
            if len(failures) == len(waiting):
                file, error = next(iter(failures.items()))
                raise WarehouseError(f"{file}: {error}") from error
            waiting = list(failures)

    def _apply(self, file: Path) -> None:
        """Create what a file of SQL defines."""
        with self._transaction():
            if file.parent.name != "macros":
                self.connection.execute(f"create schema if not exists {identifier(file.parent.name)}")
            self.connection.execute(file.read_text(encoding="utf-8"))


def _name(table: Table) -> str:
    """The quoted name of a table: "web"."documents"."""
    return identifier(table.schema, table.name)


def _meanings(table: Table) -> dict[str, str]:
    return {column.name: column.meaning for column in table.columns}


def _in_place(path: Path) -> str:
    """A query that is true in the catalog at `path`, and an error in a copy of it elsewhere. The views name the tables
    by their whole paths, so the views of a copy would read the original lake."""
    place = os.path.abspath(path)  # DuckDB shows the path of an open file in this form
    moved = f"this catalog was copied or moved from {place}; any `nemotron sql` command writes a new one for its lake"
    return (
        f"select case when bool_or(path = {literal(place)}) then true else error({literal(moved)}) end "
        "from duckdb_databases()"
    )


def table_view(table: Table, path: str | None) -> str:
    """The query behind a table's view: exactly the declared columns, in order, with their types.

    The query is a union with an empty relation of all declared columns, so that a column which the stored table does
    not have yet is null. DuckDB's optimizer removes the empty relation. Without a path the view has no rows.
    """
    columns = ", ".join(f"cast(null as {c.sql_type}) as {identifier(c.name)}" for c in table.columns)
    empty = f"select {columns} where false"
    if path is None:
        return empty
    declared = ", ".join(f"{identifier(c.name)}::{c.sql_type} as {identifier(c.name)}" for c in table.columns)
    return f"select {declared} from (select * from {delta_scan(path)} union all by name {empty})"
