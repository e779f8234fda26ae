"""Migrations: rewrite tables that an older version of the program wrote, so that they fit the declarations of this one.

A migration rewrites a table in place, in one commit that keeps its history. So the table versions that models and
scores name as their inputs stay readable and keep their meaning. A new nullable column needs no migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted
from nemotron_assets.table.schema import Table
from resources.contract import ContentHash, LakeError, checked
from resources.lakehouse import commits
from resources.lakehouse.changes import Change
from resources.lakehouse.errors import explaining_rows

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

    from resources.lakehouse import Lakehouse


class _Frames(dict[str, "pl.DataFrame"]):
    """The rows of all tables with a migration, by full name. `unreadable` are tables in the lake that cannot be read:
    to look for one of them is an error, because its rows are not simply missing."""

    def __init__(self) -> None:
        self.unreadable: set[str] = set()

    def __contains__(self, name: object) -> bool:
        if name in self.unreadable:
            raise LakeError(f"its migration needs the rows of {name}, and {name} cannot be read")
        return super().__contains__(name)


def migrate_all(lake: Lakehouse, run_id: str = "") -> Iterator[str | LakeError]:
    """Migrate every table of schema version 1 that has a migration. Yields a sentence about each table, or the error of
    a table that cannot be read or migrated; the others are migrated all the same."""
    tables, stored, frames = all_tables(), {}, _Frames()
    # All rows are read, also those of migrated tables: a migration looks up the parents of its rows in other tables.
    for name in (*_MIGRATIONS, *_EMPTIED):
        try:
            if (delta := lake.open(tables[name], check=False)) is not None:
                if name not in _EMPTIED:
                    frames[name] = _rows_of(lake, tables[name], delta)
                stored[name] = delta
        except LakeError as error:
            frames.unreadable.add(name)
            yield error
    for name, delta in stored.items():
        if lake.stored_version(delta) == "1":
            try:
                yield _migrated(lake, tables[name], delta, frames, run_id)
            except LakeError as error:
                yield error if name in str(error) else LakeError(f"{name} was not migrated: {error}")


def _rows_of(lake: Lakehouse, table: Table, delta: DeltaTable) -> pl.DataFrame:
    """All rows of a table as they are stored. Raises `LakeError` if a file of the table cannot be read."""
    import polars as pl

    with explaining_rows(lake.path(table), table):
        return pl.from_arrow(delta.to_pyarrow_dataset(as_large_types=True).to_table())


def _migrated(lake: Lakehouse, table: Table, delta: DeltaTable, frames: _Frames, run_id: str) -> str:
    """Migrate a table; returns a sentence about it."""
    name, version = table.full_name, f"schema version {table.version}"
    rows = table.empty() if name in _EMPTIED else _MIGRATIONS[name](table, frames[name], frames)
    _rewrite(lake, table, delta, rows, run_id)
    if name in _EMPTIED:
        return f"{name}: emptied for {version}: {_EMPTIED[name]}"
    return f"{name}: {counted(rows.height, 'row')} migrated to {version}"


def _rewrite(lake: Lakehouse, table: Table, delta: DeltaTable, rows: pl.DataFrame, run_id: str) -> None:
    """Replace the rows, the schema and the marks of all parts in one commit, and then store the schema version.

    If the program is killed between these two commits, the next migration finds the new columns and changes nothing.
    Raises `CommitConflict` when another writer commits to the table meanwhile.
    """
    from deltalake import Schema, Transaction

    marks = []
    with Change(lake, table) as change:
        for (key,), part in rows.group_by(table.part_by, maintain_order=True):
            content = ContentHash(table)
            change.write(content.counting(checked(table, part, None, key)))
            marks.append(Transaction(commits.mark("data", None, key), content.value))
        properties = commits.properties(run_id, "migration", marks)
        change.commit(delta, properties, "overwrite", Schema.from_arrow(table.arrow_schema()))
    delta = lake.open(table, check=False)
    built_on = delta.version()
    delta.alter.set_table_properties(
        {"nemotron.version": str(table.version)}, raise_if_not_exists=False, commit_properties=lake.notes(table, delta)
    )
    lake.record(table, built_on)


# -- version 2: models have parents like any row; models and scores are written one part per model ---------------------


def _model(table: Table, rows: pl.DataFrame, frames: _Frames) -> pl.DataFrame:
    """Add parents and version numbers to models, and replace nulls in columns that no longer allow them."""
    import polars as pl

    schema = table.empty().schema
    if "parents" in rows.columns:  # an earlier migration was killed before it stored the schema version
        return rows.select(schema.names())
    rows = rows.sort("at", maintain_order=True)
    parents = [_parent(table, row, frames) for row in rows.iter_rows(named=True)]
    rows = rows.with_columns(
        parents=pl.Series([[id_] if id_ else [] for _, id_ in parents], dtype=pl.List(pl.String)),
        sources=pl.Series([[name] if id_ else [] for name, id_ in parents], dtype=pl.List(pl.String)),
    )
    if rows.schema.get("version") != pl.String:  # count the versions of each name in the order in which they were made
        rows = rows.with_columns(version=(pl.int_range(pl.len()).over("name") + 1).cast(pl.String))
    missing = {name: dtype for name, dtype in schema.items() if name not in rows.columns}
    rows = rows.with_columns(pl.lit(_default(dtype), dtype).alias(name) for name, dtype in missing.items())
    lists = [name for name in ("input_versions", "source_versions") if name in schema]
    return rows.with_columns(pl.col(name).fill_null([]) for name in lists).select(schema.names()).cast(schema)


def _parent(table: Table, row: dict, frames: _Frames) -> tuple[str, str | None]:
    """The table and the id of the model that a model was made from; the id is None if there is no such model."""
    if row.get("parent_version") is not None:  # it was trained on from an earlier version in the same table
        return table.full_name, _first_id(frames[table.full_name], version=row["parent_version"])
    if table.full_name == "models.math_writer" and "models.generator" in frames:
        return "models.generator", _first_id(frames["models.generator"], name=row["name"], sha256=row["sha256"])
    return "", None


def _first_id(rows: pl.DataFrame, **wanted: str) -> str | None:
    found = rows.filter(**wanted)
    return found["id"][0] if found.height else None


def _default(dtype: pl.DataType) -> object:
    """The value of a new column in migrated rows."""
    import polars as pl

    return [] if isinstance(dtype, pl.List) else "" if dtype == pl.String else None


def _scores(table: Table, rows: pl.DataFrame, frames: _Frames) -> pl.DataFrame:
    """Scores keep their columns, and later ones are null. Only the marks are new: one part per model."""
    import polars as pl

    schema = table.empty().schema
    return rows.select(
        name if name in rows.columns else pl.lit(None, dtype).alias(name) for name, dtype in schema.items()
    )


#: Tables whose old rows hold another thing than the new ones, and why. Their earlier versions stay readable.
_EMPTIED = {
    "blend.token_shards": "it held packed sequences, and now holds whole documents; the next `nemotron run` makes them"
}

#: (table, its rows as they are stored, the rows of all tables) to the new rows, by the table's full name.
_MIGRATIONS: dict[str, Callable[[Table, pl.DataFrame, _Frames], pl.DataFrame]] = {
    **dict.fromkeys(
        (
            "models.generator", "models.math_writer", "models.base", "models.quality_scorers", "models.math_scorers",
            "models.perplexity",
        ),
        _model,
    ),
    "evaluate.benchmark_scores": _scores,
}  # fmt: skip
