"""`nemotron sql`: runs a query or a report on the lake, and prints the result or writes it as CSV or Parquet.

A report is a plain SQL file in sql/reports, which also runs in the `duckdb` program. Its first comment is the question
it answers. A comment line `-- $name = default: meaning` declares a parameter; the query reads it with
`getvariable('name')`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.commands.console import print_table
from resources.warehouse import SQL_FOLDER, Warehouse, WarehouseError

if TYPE_CHECKING:
    import duckdb

_PARAMETER = re.compile(r"--\s*\$(\w+)\s*=\s*(.*?):\s+(.+)")
_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?(?:\([^)]*\)\s*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Parameter:
    """A value that a report takes. If `default` is a number, the value must be one; an empty default means "all"."""

    name: str
    default: str
    meaning: str

    def value(self, text: str) -> int | float | str:
        """The value of a text given on the command line. Raises `WarehouseError` for a text that is not a number."""
        for number in (int, float):
            try:
                number(self.default)
            except ValueError:
                continue
            try:
                return number(text)
            except ValueError:
                raise WarehouseError(f"{self.name} must be a number, not {text!r}: {self.meaning}") from None
        return text


@dataclass(frozen=True)
class Report:
    """One file of sql/reports: the question it answers, its parameters, its query."""

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    sql: str


def reports(folder: Path = SQL_FOLDER / "reports") -> dict[str, Report]:
    """All reports by name."""
    return {file.stem: _report(file) for file in sorted(folder.glob("*.sql"))}


def _report(file: Path) -> Report:
    text = file.read_text(encoding="utf-8")
    question: list[str] = []
    parameters = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := _PARAMETER.fullmatch(line.rstrip()):
            parameters.append(Parameter(*match.groups()))
        else:
            question.append(line.removeprefix("--").strip())
    return Report(file.stem, " ".join(question), tuple(parameters), text)


def find_report(name: str) -> Report:
    """A report by name. Raises `WarehouseError`, which lists the reports, for an unknown name."""
    known = reports()
    if name not in known:
        raise WarehouseError(f"there is no report {name!r}; there are {', '.join(known)}")
    return known[name]


def set_parameters(connection: duckdb.DuckDBPyConnection, report: Report | None, given: Mapping[str, str]) -> None:
    """Set the parameters of a report as DuckDB variables. Without a report, `given` are the variables of a query.

    Raises `WarehouseError` for a parameter that the report does not have.
    """
    declared = {p.name: p for p in report.parameters} if report else {}
    for name, text in given.items():
        if report and name not in declared:
            raise WarehouseError(
                f"report {report.name} has no parameter {name!r}; it takes {', '.join(declared) or 'no parameters'}"
            )
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise WarehouseError(
                f"{name!r} is not a parameter name: use letters, digits and '_', and do not begin with a digit"
            )
        connection.execute(f'set variable "{name}" = ?', [declared[name].value(text) if report else text])


def read_only_statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[duckdb.Statement]:
    """The statements of a query. Raises `WarehouseError` unless every statement only reads."""
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
            read_only_statements(connection, statement.query[prefix.end() :])
        elif kind != duckdb.StatementType.SELECT:
            hint = " (--csv and --parquet write results to files)" if kind == duckdb.StatementType.COPY else ""
            raise WarehouseError(f"{kind.name} is refused: nemotron sql only reads, and only assets write{hint}")
    return statements


@dataclass
class Result:
    """Column names and the first rows of a result. `more` says whether there are further rows."""

    columns: list[str]
    rows: list[tuple]
    more: bool


def fetch(connection: duckdb.DuckDBPyConnection, query: str, limit: int | None) -> Result:
    """Run a query and fetch at most `limit` rows (None: all) of its last statement."""
    for statement in read_only_statements(connection, query):
        cursor = connection.execute(statement)
    columns = [column[0] for column in cursor.description]
    rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    more = limit is not None and len(rows) > limit
    return Result(columns, rows[:limit], more)


def write_result(connection: duckdb.DuckDBPyConnection, query: str, target: str, file_format: str) -> None:
    """Stream the whole result of a query into a file; `file_format` is "csv" or "parquet".

    The target "-" is the standard output, for CSV only. The file appears when it is complete; a query that fails
    leaves no file.
    """
    statements = read_only_statements(connection, query)
    if len(statements) > 1:
        raise WarehouseError(f"only the result of one statement can be written, and the query has {len(statements)}")
    if target == "-" and file_format == "parquet":
        raise WarehouseError("Parquet needs a file name; only CSV can go to the standard output")
    relation = connection.sql(statements[0])
    if relation is None:
        raise WarehouseError("this statement has no result to write")
    if target == "-":
        _print_csv(relation)
        return
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        getattr(relation, f"write_{file_format}")(temporary)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _print_csv(relation: duckdb.DuckDBPyRelation) -> None:
    """Stream a result to the standard output as CSV, through a pipe.

    DuckDB opens files by name and truncates them. If it opened /dev/stdout, `nemotron sql --csv - … >> all.csv` would
    lose the earlier content of the file.
    """
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        copied = pool.submit(_copy_to_standard_output, reading)
        try:
            relation.write_csv(f"/dev/fd/{writing}", header=True)
        finally:
            os.close(writing)
            copied.result()  # raises what the copying raised, such as BrokenPipeError


def _copy_to_standard_output(descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def print_result(result: Result) -> None:
    """Print a result, and a note when there are more rows than are printed."""
    print_table(result.columns, result.rows)
    if result.more:
        print(f"first {len(result.rows)} rows; there are more: --limit N (0: all), or --csv FILE / --parquet FILE")
    elif len(result.rows) != 1:
        print(f"{len(result.rows)} rows")


def print_reports() -> None:
    """Print all reports with their questions and parameters."""
    rows = []
    for report in reports().values():
        takes = ", ".join(f"{p.name}={p.default}" for p in report.parameters)
        rows.append((report.name, report.question, takes))
    print_table(("report", "question", "parameters"), rows)


def sql_command(
    query: str | None, report: str | None, params: Sequence[str], *, csv: str | None, parquet: str | None, limit: int
) -> None:
    """Run a query or a report; print its result, or write it to the files `csv` and `parquet`.

    `params` are texts such as "rows=20". `limit` is the largest number of rows that are printed; 0 prints all.
    """
    found = find_report(report) if report else None
    given = dict(param.partition("=")[::2] for param in params)
    with Warehouse().connect() as connection:
        set_parameters(connection, found, given)
        text = found.sql if found else query
        for target, file_format in ((csv, "csv"), (parquet, "parquet")):
            if target:
                write_result(connection, text, target, file_format)
        if not csv and not parquet:
            print_result(fetch(connection, text, limit or None))
