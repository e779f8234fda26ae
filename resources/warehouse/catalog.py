"""One rebuild of the catalog file: a view per table with its comments, the lineage schema, and the SQL of the project."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.table.quoting import identifier, literal
from nemotron_assets.table.schema import Table
from resources.warehouse.extensions import WarehouseError
from resources.warehouse.lineage_views import views as lineage_views

if TYPE_CHECKING:
    import duckdb

    from resources.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Catalog:
    """What a rebuild found: tables in the lake, declared tables not written yet, tables that cannot be read (why)."""

    path: Path
    present: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class CatalogBuild:
    """One rebuild: writes the catalog into an open, empty database."""

    def __init__(self, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, tables: list[Table]) -> None:
        self.warehouse, self.connection, self.tables = warehouse, connection, tables

    @cached_property
    def present(self) -> list[Table]:
        return [table for table in self.tables if self.warehouse.exists(table)]

    def run(self, path: Path, sql_folder: Path | None) -> Catalog:

        with self._transaction():
            for schema in sorted({table.schema for table in self.tables} | {"lineage"}):
                self.connection.execute(f"create schema {identifier(schema)}")
        unreadable = dict(self._tables())
        readable = [table for table in self.present if table.full_name not in unreadable]
        paths = {table.full_name: self.warehouse.table_path(table) for table in readable}
        with self._transaction():
            self._facts(paths)
            for statement in lineage_views(self.tables, paths):
                self.connection.execute(statement)
        if sql_folder:
            self._files(sql_folder)
        missing = [table.full_name for table in self.tables if table not in self.present]
        return Catalog(path, list(paths), missing, unreadable)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; also spares a disk flush per statement."""
        self.connection.begin()
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()

    def _tables(self) -> Iterator[tuple[str, str]]:
        """Make the view of every table; yields the tables that cannot be read, and why."""
        import duckdb

        for table in self.tables:
            if table not in self.present:
                self._table(table, None, " (not in the lake yet)")
                continue
            try:
                self._table(table, self.warehouse.table_path(table))
            except duckdb.Error as error:
                reason = str(error).split("\n")[0]
                self._table(table, None, f" (cannot be read: {reason})")
                yield table.full_name, reason

    def _table(self, table: Table, path: str | None, note: str = "") -> None:
        """The view of one table with its comments; empty without a path."""
        name = identifier(table.schema, table.name)
        with self._transaction():
            self.connection.execute(f"create view {name} as {table_view(table, path)}")
            self.connection.execute(f"comment on view {name} is {literal(table.description + note)}")
            for column in table.columns:
                self.connection.execute(
                    f"comment on column {name}.{identifier(column.name)} is {literal(column.meaning)}"
                )

    def _facts(self, paths: Mapping[str, str]) -> None:
        """What the catalog knows about itself: `lineage.catalog` and `lineage.tables`."""
        import duckdb

        self.connection.execute(
            "create table lineage.catalog (signature varchar, lake varchar, duckdb varchar, built_at timestamptz)"
        )
        self.connection.execute("comment on table lineage.catalog is 'what this catalog file was made from, and when'")
        self.connection.execute(
            "insert into lineage.catalog values (?, ?, ?, ?)",
            [self.warehouse.signature(self.tables), self.warehouse.lake, duckdb.__version__, datetime.now(UTC)],
        )
        self.connection.execute(
            "create table lineage.tables (table_name varchar, description varchar, partition_by varchar, "
            "parents varchar[], path varchar, in_lake boolean)"
        )
        self.connection.execute("comment on table lineage.tables is 'every declared table and where it lies'")
        for table in self.tables:
            self.connection.execute(
                "insert into lineage.tables values (?, ?, ?, ?, ?, ?)",
                [
                    table.full_name,
                    table.description,
                    table.partition_by,
                    list(table.parents),
                    self.warehouse.table_path(table),
                    table.full_name in paths,
                ],
            )

    def _files(self, folder: Path) -> None:
        """Run the SQL of macros, then of views; a view may use views of any other file."""
        import duckdb

        waiting = [*sorted(folder.glob("macros/*.sql")), *sorted(folder.glob("views/*/*.sql"))]
        while waiting:
            failures: dict[Path, duckdb.Error] = {}
            for file in waiting:
                try:
                    with self._transaction():
                        if file.parent.name != "macros":
                            self.connection.execute(f"create schema if not exists {identifier(file.parent.name)}")
                        self.connection.execute(file.read_text(encoding="utf-8"))
                except duckdb.CatalogException as error:  # perhaps it uses what a later file makes
                    failures[file] = error
                except duckdb.Error as error:
                    raise WarehouseError(f"{file}: {error}") from error
            if len(failures) == len(waiting):
                file, error = next(iter(failures.items()))
                raise WarehouseError(f"{file}: {error}") from error
            waiting = list(failures)


def table_view(table: Table, path: str | None) -> str:
    """The query behind a table's view: exactly the declared columns, in order, with their types.

    The empty second branch supplies columns that a table written before they were declared does not have; the
    optimizer removes it. Without a path the whole view is empty.
    """
    columns = ", ".join(f"cast(null as {c.sql_type}) as {identifier(c.name)}" for c in table.columns)
    empty = f"select {columns} where false"
    if path is None:
        return empty
    declared = ", ".join(f"{identifier(c.name)}::{c.sql_type} as {identifier(c.name)}" for c in table.columns)
    return f"select {declared} from (select * from delta_scan({literal(path)}) union all by name {empty})"
