"""Writes the whole result of a query as CSV or Parquet, to a file or to the standard output."""

from __future__ import annotations

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.table.quoting import identifier
from resources.home import dagster_home, home, lake_root
from resources.warehouse import WarehouseError
from resources.warehouse.reading import read_only_statements

if TYPE_CHECKING:
    import duckdb

#: Types of columns whose values a spreadsheet never takes for a formula.
_NUMBERS = {
    "boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint",
    "uhugeint", "float", "double", "decimal", "date", "time", "timestamp", "timestamp with time zone",
}  # fmt: skip

#: A text that a spreadsheet may take for a formula: it begins with one of these characters, also after white space.
#: The last four are the wide forms that East Asian versions accept.
_FORMULA = r"^[\s]*[=+\-@＝＋－＠]|^[\t\r\n]"


class ResultFile:
    """A place for a result: a file, or the standard output if the name is "-" (CSV only).

    `path` is what DuckDB opens: a temporary file beside the file, or the end of a pipe. DuckDB truncates what it opens.
    If it opened /dev/stdout, `nemotron sql --csv - … >> all.csv` would lose the earlier content of all.csv.
    """

    def __init__(self, name: str, file_format: str) -> None:
        if name == "-" and file_format == "parquet":
            raise WarehouseError("Parquet needs a file name; only CSV can go to the standard output")
        self.name, self.file_format = name, file_format
        _check_place(name)
        if name == "-":
            self._reading, self._writing = os.pipe()
            self.path = f"/dev/fd/{self._writing}"
        else:
            self.path = f"{Path(name).absolute()}.{os.getpid()}.tmp"

    def write(self, connection: duckdb.DuckDBPyConnection, query: str, safe: bool = False) -> None:
        """Stream the result of a query into the file, which appears when it is complete; a query that fails leaves no
        file. With `safe`, texts that a spreadsheet would take for formulas get an apostrophe in front."""
        statements = read_only_statements(connection, query)
        if len(statements) > 1:
            raise WarehouseError(
                f"only the result of one statement can be written, and the query has {len(statements)}"
            )
        relation = connection.sql(statements[0])
        if relation is None:
            raise WarehouseError("this statement has no result to write")
        if safe:
            relation = without_formulas(relation)
        if self.name == "-":
            self._print(relation)
            return
        try:
            getattr(relation, f"write_{self.file_format}")(self.path)
            os.replace(self.path, self.name)
        finally:
            Path(self.path).unlink(missing_ok=True)

    def _print(self, relation: duckdb.DuckDBPyRelation) -> None:
        """Copy what DuckDB writes into the pipe to the standard output."""
        with ThreadPoolExecutor(1) as pool:
            copied = pool.submit(_copy_to_standard_output, self._reading)
            try:
                relation.write_csv(self.path, header=True)
            finally:
                os.close(self._writing)
                copied.result()  # raises what the copying raised, such as BrokenPipeError


def _check_place(name: str) -> None:
    """Raise `WarehouseError` for a file inside the lake or beside it, where a result could replace what a table is made
    of."""
    for folder in (lake_root(), str(dagster_home()), str(home() / "cache")):
        if name != "-" and "://" not in folder and Path(name).resolve().is_relative_to(Path(folder).resolve()):
            raise WarehouseError(
                f"{name} is inside {folder}, where only the program itself writes: choose another folder"
            )


def _copy_to_standard_output(descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def without_formulas(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with an apostrophe before every text and every name of a column that looks like a formula. Numbers
    and times stay as they are.

    A page of the web can hold a text such as =HYPERLINK(…), which a spreadsheet would run when it opens the file.
    """
    columns = []
    for name, kind in zip(relation.columns, relation.types, strict=True):
        column = identifier(name)
        shown = identifier(f"'{name}" if re.match(_FORMULA, name) else name)
        if kind.id not in _NUMBERS:
            text = f"{column}::varchar"
            column = f"case when regexp_matches({text}, '{_FORMULA}') then '''' || {text} else {text} end"
        columns.append(f"{column} as {shown}")
    return relation.project(", ".join(columns))
