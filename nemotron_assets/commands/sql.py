"""Questions in SQL: ad hoc queries and the reports in sql/reports, printed as a table or written as CSV or Parquet.

A report is a plain SQL file that also runs in the `duckdb` program. Its first comment is the question it answers; a
comment line `-- $name = default: meaning` declares a parameter, which the query reads with `getvariable('name')`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.warehouse import SQL_FOLDER, Warehouse, WarehouseError

if TYPE_CHECKING:
    import duckdb

_PARAMETER = re.compile(r"--\s*\$(\w+)\s*=\s*(.*?):\s+(.+)")
_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?(?:\([^)]*\)\s*)?", re.IGNORECASE)
_WIDEST = 240


@dataclass(frozen=True)
class Parameter:
    """A value a report takes; an empty default stands for "all". Numbers are given as numbers."""

    name: str
    default: str
    meaning: str

    def value(self, text: str) -> int | float | str:
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
    """A report by name; WarehouseError names what there is."""
    known = reports()
    if name not in known:
        raise WarehouseError(f"there is no report {name!r}; there are {', '.join(known)}")
    return known[name]


def bind(connection: duckdb.DuckDBPyConnection, report: Report | None, given: Mapping[str, str]) -> None:
    """Set a report's parameters, or any variables for an ad hoc query, as DuckDB variables."""
    declared = {p.name: p for p in report.parameters} if report else {}
    for name, text in given.items():
        if report and name not in declared:
            raise WarehouseError(
                f"report {report.name} has no parameter {name!r}; it takes {', '.join(declared) or 'none'}"
            )
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise WarehouseError(f"{name!r} is no parameter name")
        connection.execute(f'set variable "{name}" = ?', [declared[name].value(text) if report else text])


def read_only(connection: duckdb.DuckDBPyConnection, query: str) -> list[duckdb.Statement]:
    """The statements of a query, all of which only read; WarehouseError for any other."""
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
                raise WarehouseError("EXPLAIN is refused after a comment: put it first")
            read_only(connection, statement.query[prefix.end() :])
        elif kind != duckdb.StatementType.SELECT:
            hint = " (--csv and --parquet write results to files)" if kind == duckdb.StatementType.COPY else ""
            raise WarehouseError(f"{kind.name} is refused: nemotron sql only reads, assets write{hint}")
    return statements


@dataclass
class Result:
    """Column names and the first rows of an answer; `more` when there are further rows."""

    columns: list[str]
    rows: list[tuple]
    more: bool


def run(connection: duckdb.DuckDBPyConnection, query: str, limit: int | None) -> Result:
    """Run a query and fetch at most `limit` rows of its last statement (None: all)."""
    for statement in read_only(connection, query):
        cursor = connection.execute(statement)
    columns = [column[0] for column in cursor.description]
    rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    more = limit is not None and len(rows) > limit
    return Result(columns, rows[:limit], more)


def export(connection: duckdb.DuckDBPyConnection, query: str, target: str, form: str) -> None:
    """Write the whole answer to a file as "csv" or "parquet", streaming; "-" is the standard output (CSV only)."""
    statements = read_only(connection, query)
    if len(statements) > 1:
        raise WarehouseError("write the result of one statement, not of several")
    if target == "-" and form == "parquet":
        raise WarehouseError("Parquet needs a file name; only CSV can go to the standard output")
    relation = connection.sql(statements[0])
    if relation is None:
        raise WarehouseError("this statement has no result to write")
    if target == "-":
        relation.write_csv("/dev/stdout", header=True)
        return
    # Beside the target first, so that a failing query leaves no half file behind.
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        getattr(relation, f"write_{form}")(temporary)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def printable(value: Any) -> str:
    """A value as one line of text that cannot change the terminal: bytes counted, control characters shown as '?'."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple):
        value = ", ".join("" if item is None else str(item) for item in value[:_WIDEST])
    text = str(value)
    if len(text) > _WIDEST:
        text = text[: _WIDEST - 1] + "…"
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in " ".join(text.split()))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A plain aligned table; numbers stand right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(columns):
        values = [row[index] for row in rows if row[index] is not None]
        numeric = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        table.add_column(Text(printable(name)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    console().print(table)


def console() -> Any:
    """Where tables are printed: as wide as the terminal, and wide enough for a table when there is none."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=200, soft_wrap=False)


def print_result(result: Result) -> None:
    """An answer with a note on what is not shown."""
    print_table(result.columns, result.rows)
    if result.more:
        print(f"first {len(result.rows)} rows; there are more: --limit N (0: all), or --csv FILE / --parquet FILE")
    elif len(result.rows) != 1:
        print(f"{len(result.rows)} rows")


def print_reports() -> None:
    """The reports with their questions and parameters."""
    rows = []
    for report in reports().values():
        takes = ", ".join(f"{p.name}={p.default}" for p in report.parameters)
        rows.append((report.name, report.question, takes))
    print_table(("report", "question", "parameters"), rows)


def answer(
    query: str | None, report: str | None, params: Sequence[str], *, csv: str | None, parquet: str | None, limit: int
) -> None:
    """What `nemotron sql` does: run a query or report on the lake in use and print or write its answer."""
    found = find_report(report) if report else None
    given = dict(param.partition("=")[::2] for param in params)
    with Warehouse().connect() as connection:
        bind(connection, found, given)
        text = found.sql if found else query
        for target, form in ((csv, "csv"), (parquet, "parquet")):
            if target:
                export(connection, text, target, form)
        if not csv and not parquet:
            print_result(run(connection, text, limit or None))
