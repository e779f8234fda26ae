"""Migrations: tables that an older version of the program wrote, brought to the declarations of this one.

A migration rewrites a table in place, in one commit that keeps its history, so that table versions which models and
scores name as their inputs still mean the same. A nullable column that is new needs no migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table
from resources.contract import ContentHash, checked
from resources.lakehouse import commits

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

    from resources.lakehouse import Lakehouse


def migrate_all(lake: Lakehouse, run_id: str = "") -> Iterator[str]:
    """Migrate every table of an older schema version that has a migration; yields what was done, a line per table."""
    frames = dict(_old_frames(lake))
    for name, (table, delta, rows) in frames.items():
        new = _MIGRATIONS[name](table, rows, {other: found[2] for other, found in frames.items()})
        _rewrite(lake, table, delta, new, run_id)
        yield f"{name}: {new.height} rows brought to schema version {table.version}"


def _old_frames(lake: Lakehouse) -> Iterator[tuple[str, tuple[Table, DeltaTable, pl.DataFrame]]]:
    """The tables that need a migration, with their rows as they are stored."""
    import polars as pl

    tables = all_tables()
    for name in _MIGRATIONS:
        delta = lake.open(tables[name], check=False)
        if delta is not None and lake.stored_version(delta) == "1":
            yield name, (tables[name], delta, pl.from_arrow(delta.to_pyarrow_dataset(as_large_types=True).to_table()))


def _rewrite(lake: Lakehouse, table: Table, delta: DeltaTable, rows: pl.DataFrame, run_id: str) -> None:
    """Replace rows and schema in one commit, with the mark of every part; then note the schema version.

    A migration that is killed between the two commits is done again: it finds the new columns and changes nothing.
    """
    import pyarrow as pa
    from deltalake import Transaction, write_deltalake

    marks, batches = [], []
    for (key,), part in rows.group_by(table.part_by):
        content = ContentHash(table)
        batches += content.counting(checked(table, part, None, key))
        marks.append(Transaction(commits.mark("data", None, key), content.value))
    write_deltalake(
        delta,
        pa.RecordBatchReader.from_batches(table.arrow_schema(), batches),
        mode="overwrite",
        schema_mode="overwrite",
        writer_properties=lake.writer_properties(),
        commit_properties=commits.properties(run_id, "migration", marks),
    )
    lake.open(table, check=False).alter.set_table_properties(
        {"nemotron.version": str(table.version)}, raise_if_not_exists=False
    )


# -- version 2: a part per model, and models have parents like any row ------------------------------------------------

_Frames = dict[str, "pl.DataFrame"]


def _model(table: Table, rows: pl.DataFrame, others: _Frames) -> pl.DataFrame:
    """Models with parents, numbered versions, and no null in what every model has."""
    import polars as pl

    schema = table.empty().schema
    if "parents" in rows.columns:  # a migration that was killed before it noted the version
        return rows.select(schema.names())
    parents = _parents(table, rows, others)
    rows = rows.sort("at").with_columns(
        parents=pl.Series([list(ids) for ids, _ in parents], dtype=pl.List(pl.String)),
        sources=pl.Series([list(tables) for _, tables in parents], dtype=pl.List(pl.String)),
    )
    if "version" not in rows.columns:  # counted per name, in the order in which they were made
        rows = rows.with_columns(version=(pl.int_range(pl.len()).over("name") + 1).cast(pl.String))
    missing = {name: dtype for name, dtype in schema.items() if name not in rows.columns}
    rows = rows.with_columns(pl.lit(_neutral(dtype), dtype).alias(name) for name, dtype in missing.items())
    lists = [name for name in ("input_versions", "source_versions") if name in schema]
    return rows.with_columns(pl.col(name).fill_null([]) for name in lists).select(schema.names()).cast(schema)


def _parents(table: Table, rows: pl.DataFrame, others: _Frames) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(ids, tables) of the parents of every model, in the order of `at`."""
    found = []
    for row in rows.sort("at").iter_rows(named=True):
        parent = None
        if row.get("parent_version") is not None:  # the version of the same table that it was trained on from
            parent = table.full_name, _first(rows, version=row["parent_version"])
        elif table.full_name == "models.math_writer" and "models.generator" in others:
            parent = "models.generator", _first(others["models.generator"], name=row["name"], sha256=row["sha256"])
        found.append(((parent[1],), (parent[0],)) if parent and parent[1] else ((), ()))
    return found


def _first(rows: pl.DataFrame, **wanted: str) -> str | None:
    found = rows.filter(**wanted)
    return found["id"][0] if found.height else None


def _neutral(dtype: pl.DataType) -> object:
    import polars as pl

    return [] if isinstance(dtype, pl.List) else "" if dtype == pl.String else None


def _scores(table: Table, rows: pl.DataFrame, others: _Frames) -> pl.DataFrame:
    """Scores keep their columns; they only become a part per model."""
    return rows.select(table.column_names)


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
