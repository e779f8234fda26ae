"""The views of the schema lineage, over all tables. A view costs nothing until it is queried.

- `lineage.edges`: pairs of a row and a row it was made from (its `parents`, its generations, the model of a score).
- `lineage.version_edges`: pairs of a row and a table version it was made from (`input_versions`).
- `lineage.rows`: every row id with its table.
- `lineage.models`: every version of every model.
- `lineage.files`: every Parquet file in the lake with its rows and bytes.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping

from nemotron_assets.lineage.links import links
from nemotron_assets.table.quoting import delta_files, identifier, literal
from nemotron_assets.table.schema import Table


def views(tables: Iterable[Table]) -> list[str]:
    """The SQL statements that create the views of all declared tables with their comments; lineage.files has no rows
    (`files_view`)."""
    tables = list(tables)
    return [
        *_view("edges", _EDGES, _EDGE_COLUMNS, _edges(tables)),
        *_view("version_edges", _VERSION_EDGES, _VERSION_COLUMNS, _versions(tables)),
        *_view("rows", "One line per row of every table that has ids.", _ROW_COLUMNS, _rows(tables)),
        *_view("models", "One line per version of every model.", _MODEL_COLUMNS, _models(tables)),
        *files_view({}),
    ]


def files_view(paths: Mapping[str, str]) -> list[str]:
    """The SQL statements that create lineage.files. `paths` maps the full names of the tables in the lake to their
    folders or URLs."""
    return _view("files", "One line per Parquet file in the lake.", _FILE_COLUMNS, _files(paths))


def _view(name: str, comment: str, columns: Mapping[str, tuple[str, str]], query: str) -> list[str]:
    view = f"lineage.{name}"
    return [
        f"create or replace view {view} as {query}",
        f"comment on view {view} is {literal(comment)}",
        *(
            f"comment on column {view}.{identifier(column)} is {literal(meaning)}"
            for column, (_, meaning) in columns.items()
        ),
    ]


_EDGES = "One line per pair of a row (child) and a row it was made from (parent), over all tables."
_EDGE_COLUMNS = {
    "child": ("varchar", "id of the row that was made from the parent row"),
    "child_table": ("varchar", "table of the child row, as web.documents"),
    "parent": ("varchar", "id of the row that the child row was made from"),
    "parent_table": (
        "varchar",
        "table of the parent row, as snapshots.pages; null if it could be in several tables and is in none of them",
    ),
}
_VERSION_EDGES = "One line per pair of a row (a model or a score, say) and a table version that it was made from."
_VERSION_COLUMNS = {
    "child": ("varchar", "id of the row that was made from the table version, of a model or a score, say"),
    "child_table": ("varchar", "table of the child row, as models.base"),
    "parent_table": ("varchar", "table that was read to make the child row, as blend.token_shards"),
    "parent_version": ("bigint", "Delta version of parent_table that was read"),
}
_ROW_COLUMNS = {
    "id": ("varchar", "id of the row"),
    "table_name": ("varchar", "table of the row, as web.documents"),
}
_MODEL_COLUMNS = {
    "model_table": ("varchar", "table of the model, as models.base"),
    "id": ("varchar", "id of the model version"),
    "name": ("varchar", "name of the model"),
    "version": ("varchar", "version of the model: 1, 2, ... counts the versions of a name"),
    "parents": (
        "varchar[]",
        "ids of the models this model was made from, such as a base and a teacher; empty for a model from scratch",
    ),
    "uri": ("varchar", "folder of the weights, relative to the root of the lake"),
    "sha256": ("varchar", "sha256 over the names and contents of the model's files"),
    "parameters": ("bigint", "number of parameters; null if it is unknown"),
    "tokens_seen": ("bigint", "number of training tokens in all; null for a model that was not trained here"),
    "steps": ("bigint", "number of optimizer steps of its last training; null for a model that was not trained here"),
    "final_loss": (
        "double",
        "training loss of the last step, in nats per token; null for a model that was not trained here",
    ),
    "source_versions": (
        "varchar[]",
        "tables that the training sequences were packed from, each with its Delta version, as code.curated@3; null "
        "for a model that was not trained here",
    ),
    "at": ("timestamp with time zone", "when the model version was stored, or last came into use again"),
}
_FILE_COLUMNS = {
    "table_name": ("varchar", "table the file belongs to, as web.documents"),
    "file": ("varchar", "path or URL of the file"),
    "bytes": ("bigint", "size of the file in bytes"),
    "rows": ("bigint", "number of rows in the file; null for a file that the newest version does not use"),
    "live": (
        "boolean",
        "true if the newest version of the table uses the file; false for files of older versions and leftovers of "
        "killed writers",
    ),
}


def _union(selects: list[str], columns: Mapping[str, tuple[str, str]]) -> str:
    """The union of several queries with the given columns; without queries, a relation of these types without rows."""
    empty = ", ".join(f"null::{dtype} as {identifier(name)}" for name, (dtype, _) in columns.items())
    return " union all ".join([*selects, f"select {empty} where false"])


def _name(full_name: str) -> str:
    """The quoted name of a table: web.documents becomes "web"."documents"."""
    return identifier(*full_name.split("."))


def _edges(tables: list[Table]) -> str:
    selects = []
    for link in links(tables):
        child, column = _name(link.child.full_name), identifier(link.column)
        parent = f"unnest({column})" if link.is_list else column
        name = literal(link.child.full_name)
        if link.sources or len(link.parents) == 1:
            table = f"unnest({identifier(link.sources)})" if link.sources else literal(link.parents[0])
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
        # read_blob fails if a pattern matches no file. The files of the Delta log are always there; they are removed
        # from the result again.
        folder = path if "://" in path else glob.escape(path)
        patterns = ", ".join(literal(f"{folder}/{pattern}") for pattern in ("**/*.parquet", "_delta_log/*.json"))
        selects.append(
            f"select {literal(name)} as table_name, f.filename as file, f.size::bigint as bytes, "
            "l.cardinality::bigint as rows, l.data_file is not null as live "
            f"from (select filename, size from read_blob([{patterns}]) where not contains(filename, '/_delta_log/')) f "
            f"left join {delta_files(path)} l on parse_filename(l.data_file) = parse_filename(f.filename)"
        )
    return _union(selects, _FILE_COLUMNS)
