"""Keeps a connection to reading: it reads the tables of the lake, and it neither writes anything nor reads other files.

DuckDB's own settings do most of it (`lock`): files outside the lake cannot be opened, nothing can be attached,
installed or loaded, and no setting can be changed back. The settings do not govern two kinds of functions, which are
refused by name wherever they stand in a query (`read_only_statements`): those that the Delta extension brings for its
own tests, one of which writes files, and those that run another query, which could hide such a function.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.quoting import literal
from resources.warehouse.extensions import WarehouseError

if TYPE_CHECKING:
    import duckdb

_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?(?:\([^)]*\)\s*)?", re.IGNORECASE)

#: Functions of the Delta extension that read a table whose path is written in the query: only tables of this lake.
READING = {"delta_scan", "delta_list_files"}

#: Functions that are refused, with the reason.
REFUSED = dict.fromkeys(
    (
        "write_blob", "copy_dir", "delta_set_transaction_version", "delta_get_transaction_version",
        "delta_domain_metadata", "get_delta_test_expression", "delta_filter_pushdown_log",
        "delta_filter_pushdown_log_tpcds", "parse_delta_filter_logline",
    ),
    "it belongs to the tests of DuckDB's Delta extension, and may write files",
) | dict.fromkeys(
    ("query", "json_execute_serialized_sql"), "write the query itself instead of a text that holds it"
) | dict.fromkeys(
    ("enable_logging", "disable_logging", "truncate_duckdb_logs", "write_log", "checkpoint", "force_checkpoint"),
    "it changes the state of DuckDB",
) | dict.fromkeys(
    ("arrow_scan", "arrow_scan_dumb", "pandas_scan", "python_map_function", "seq_scan"), "it reads raw memory"
)  # fmt: skip


def lock(connection: duckdb.DuckDBPyConnection, folders: Sequence[str], files: Sequence[str] = ()) -> None:
    """Close a connection for everything but the files below `folders` (folders or URLs of lakes), the databases that
    are attached already, DuckDB's own temporary files, and `files`, to which results are written. It cannot be opened
    again."""
    # A path with a character like ? or [ is escaped in the patterns of lineage.files, and is then another text.
    bare = [folder.rstrip("/") for folder in folders]
    allowed = sorted({f"{name}/" for folder in bare for name in (folder, glob.escape(folder))})
    connection.execute(f"set allowed_directories = [{', '.join(map(literal, allowed))}]")
    connection.execute(f"set allowed_paths = [{', '.join(map(literal, files))}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def read_only_statements(
    connection: duckdb.DuckDBPyConnection, query: str, lake: str | None = None
) -> list[duckdb.Statement]:
    """The statements of a query. Raises `WarehouseError` unless every statement only reads. `lake` is the lake whose
    tables delta_scan may name; without it, the lake of the catalog in use."""
    import duckdb

    statements = connection.extract_statements(query)
    if not statements:
        raise WarehouseError("the query is empty")
    if re.match(r"\s*pivot\b", query, re.IGNORECASE) and any(s.type.name == "CREATE" for s in statements):
        raise WarehouseError("PIVOT needs the values of its columns here: PIVOT … ON column IN ('a', 'b') USING …")
    for statement in statements:
        kind = statement.type
        if kind == duckdb.StatementType.EXPLAIN:
            prefix = _EXPLAIN.match(statement.query)
            if not prefix:
                raise WarehouseError("EXPLAIN after a comment is refused: put EXPLAIN first")
            read_only_statements(connection, statement.query[prefix.end() :], lake)
        elif kind != duckdb.StatementType.SELECT:
            hint = " (--csv and --parquet write results to files)" if kind == duckdb.StatementType.COPY else ""
            raise WarehouseError(f"{kind.name} is refused: nemotron sql only reads, and only assets write{hint}")
        else:
            _check_functions(connection, statement.query, lake)
    return statements


def nodes(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    """Every node of the syntax tree of a SELECT statement. Raises `WarehouseError` if DuckDB gives no tree."""
    tree = json.loads(connection.execute("select json_serialize_sql(?)", [query]).fetchone()[0])
    if tree["error"]:
        raise WarehouseError(f"DuckDB gives no syntax tree of this statement: {tree.get('error_message')}")
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _check_functions(connection: duckdb.DuckDBPyConnection, query: str, lake: str | None) -> None:
    """Raise `WarehouseError` if a statement calls a function that is refused, anywhere in it."""
    for call in nodes(connection, query):
        name = str(call.get("function_name", "")).lower()
        if name in REFUSED:
            raise WarehouseError(f"the function {name} is refused: nemotron sql only reads, and {REFUSED[name]}")
        if name in READING:
            root = lake or connection.execute("select lake from lineage.catalog").fetchone()[0]
            paths = [_constant(child) for child in call["children"] if not child.get("alias")]
            if len(paths) != 1 or ".." in paths[0] or not paths[0].startswith(root.rstrip("/") + "/"):
                raise WarehouseError(
                    f"{name} of {paths[:1]} is refused: it reads only a table below {root}, and the path must be a "
                    "text in quotes"
                )


def _constant(node: dict[str, Any]) -> str:
    """The text of a constant in a syntax tree; empty for anything else."""
    value = node.get("value") if node.get("class") == "CONSTANT" else None
    return value["value"] if isinstance(value, dict) and isinstance(value.get("value"), str) else ""
