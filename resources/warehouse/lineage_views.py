"""The lineage schema: which row was made from which, over all tables, as views that cost nothing until they are read.

- `lineage.edges`: a row and a row it was made from: its `parents`, the generations its text came from, the model it
  is a score of.
- `lineage.version_edges`: a model, score or catalog row and a version of a table it was made from (`input_versions`).
- `lineage.rows`: every id and the table it stands in. `lineage.models`: every version of every model.
- `lineage.files`: every Parquet file in the lake, with the rows and bytes in it, and whether the last version uses it.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping

from nemotron_assets.lineage.links import links
from nemotron_assets.table.quoting import identifier, literal
from nemotron_assets.table.schema import Table


def views(tables: Iterable[Table], paths: Mapping[str, str]) -> list[str]:
    """The statements that make the lineage schema's views; `paths` are the tables in the lake and where they lie."""
    tables = list(tables)
    statements = []
    for name, comment, columns, query in (
        ("edges", "one line per row and row it was made from", _EDGE_COLUMNS, _edges(tables)),
        ("version_edges", "one line per row and table version it was made from", _VERSION_COLUMNS, _versions(tables)),
        ("rows", "every row id of every table", _ROW_COLUMNS, _rows(tables)),
        ("models", "one line per version of every trained model", _MODEL_COLUMNS, _models(tables)),
        ("files", "every Parquet file in the lake", _FILE_COLUMNS, _files(paths)),
    ):
        view = f"lineage.{name}"
        statements.append(f"create view {view} as {query}")
        statements.append(f"comment on view {view} is {literal(comment)}")
        statements += [
            f"comment on column {view}.{identifier(column)} is {literal(meaning)}"
            for column, (_, meaning) in columns.items()
        ]
    return statements


_EDGE_COLUMNS = {
    "child": ("varchar", "id of the row that was made"),
    "child_table": ("varchar", "table it stands in"),
    "parent": ("varchar", "id of a row it was made from"),
    "parent_table": ("varchar", "table that one stands in; null if none of the declared parent tables has it"),
}
_VERSION_COLUMNS = {
    "child": ("varchar", "id of the row that was made, a model or a score"),
    "child_table": ("varchar", "table it stands in"),
    "parent_table": ("varchar", "table it was made from"),
    "parent_version": ("bigint", "Delta version of that table"),
}
_ROW_COLUMNS = {
    "id": ("varchar", "id of the row"),
    "table_name": ("varchar", "table it stands in"),
}
_MODEL_COLUMNS = {
    "model_table": ("varchar", "table of the model, as models.base"),
    "id": ("varchar", "id of the model version"),
    "name": ("varchar", "name of the model"),
    "version": ("varchar", "version of the model"),
    "parents": ("varchar[]", "ids of the models it was made from: base and teacher, say; empty for one from scratch"),
    "uri": ("varchar", "where its weights lie"),
    "sha256": ("varchar", "over its weights"),
    "parameters": ("bigint", "number of parameters"),
    "tokens_seen": ("bigint", "training tokens so far"),
    "steps": ("bigint", "training steps so far"),
    "final_loss": ("double", "training loss at the end, nats per token"),
    "source_versions": ("varchar[]", "tables that its training sequences were packed from, as code.curated@3"),
    "at": ("timestamp with time zone", "when it was stored"),
}
_FILE_COLUMNS = {
    "table_name": ("varchar", "table the file belongs to"),
    "file": ("varchar", "path or URL"),
    "bytes": ("bigint", "size of the file"),
    "rows": ("bigint", "rows in it; null for a file that the last version does not use"),
    "live": ("boolean", "whether the last version uses it; others are older versions or leftovers"),
}


def _union(selects: list[str], columns: Mapping[str, tuple[str, str]]) -> str:
    """The selects one below the other with the given columns; an empty relation of their types if there are none."""
    empty = ", ".join(f"null::{dtype} as {identifier(name)}" for name, (dtype, _) in columns.items())
    return " union all ".join([*selects, f"select {empty} where false"])


def _name(full_name: str) -> str:
    return identifier(*full_name.split("."))


def _edges(tables: list[Table]) -> str:
    selects = []
    for link in links(tables):
        child, column = _name(link.child.full_name), identifier(link.column)
        parent = f"unnest({column})" if link.is_list else column
        name = literal(link.child.full_name)
        if link.sources:
            table = f"unnest({identifier(link.sources)})"
            selects.append(
                f"select id as child, {name} as child_table, {parent} as parent, {table} as parent_table from {child}"
            )
        elif len(link.parents) == 1:
            table = literal(link.parents[0])
            selects.append(
                f"select id as child, {name} as child_table, {parent} as parent, {table} as parent_table from {child}"
            )
        else:
            candidates = " union all ".join(f"select id, {literal(p)} as t from {_name(p)}" for p in link.parents)
            selects.append(
                f"select e.child, {name} as child_table, e.parent, p.t as parent_table "
                f"from (select id as child, {parent} as parent from {child}) e "
                f"left join ({candidates}) p on p.id = e.parent"
            )
    return f"select * from ({_union(selects, _EDGE_COLUMNS)}) where parent is not null"


def _versions(tables: list[Table]) -> str:
    selects = [
        f"select id as child, {literal(t.full_name)} as child_table, split_part(input, '@', 1) as parent_table, "
        "split_part(input, '@', 2)::bigint as parent_version "
        f"from (select id, unnest(input_versions) as input from {_name(t.full_name)})"
        for t in tables
        if {"id", "input_versions"} <= set(t.column_names)
    ]
    return _union(selects, _VERSION_COLUMNS)


def _rows(tables: list[Table]) -> str:
    selects = [
        f"select id, {literal(t.full_name)} as table_name from {_name(t.full_name)}"
        for t in tables
        if "id" in t.column_names
    ]
    return _union(selects, _ROW_COLUMNS)


def _models(tables: list[Table]) -> str:
    selects = []
    for table in (table for table in tables if table.is_model):
        columns = ", ".join(
            f"{identifier(name)}::{dtype} as {identifier(name)}"
            if name in table.column_names
            else f"null::{dtype} as {identifier(name)}"
            for name, (dtype, _) in _MODEL_COLUMNS.items()
            if name != "model_table"
        )
        selects.append(f"select {literal(table.full_name)} as model_table, {columns} from {_name(table.full_name)}")
    return _union(selects, _MODEL_COLUMNS)


def _files(paths: Mapping[str, str]) -> str:
    selects = []
    for name, path in paths.items():
        # The log's own files make the pattern match even a table without data; they are filtered out again.
        folder = path if "://" in path else glob.escape(path)
        patterns = ", ".join(literal(f"{folder}/{pattern}") for pattern in ("**/*.parquet", "_delta_log/*.json"))
        selects.append(
            f"select {literal(name)} as table_name, f.filename as file, f.size::bigint as bytes, "
            "l.cardinality::bigint as rows, l.data_file is not null as live "
            f"from (select filename, size from read_blob([{patterns}]) where not contains(filename, '/_delta_log/')) f "
            f"left join delta_list_files({literal(path)}) l on parse_filename(l.data_file) = parse_filename(f.filename)"
        )
    return _union(selects, _FILE_COLUMNS)
