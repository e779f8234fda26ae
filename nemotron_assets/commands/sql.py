"""`nemotron sql`: runs a query or a report on the lake, and prints the result or writes it as CSV or Parquet.

A report is a plain SQL file in sql/reports, which also runs in the `duckdb` program. Its first comment is the question
it answers. A comment line `-- $name = default: meaning` declares a parameter; the query reads it with
`getvariable('name')`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nemotron_assets.commands.console import print_table, printable_line
from nemotron_assets.commands.result_files import ResultFile
from resources.warehouse import SQL_FOLDER, Warehouse, WarehouseError
from resources.warehouse.interrupting import interruptible
from resources.warehouse.outdated import notes
from resources.warehouse.reading import read_only_statements

if TYPE_CHECKING:
    import duckdb

#: Reports are made for terminals of this width.
REPORT_WIDTH = 120

#: Parameters of reports whose default is the value of the same name in the recipe's section llm.
PRICES = {"prompt_price", "output_price"}

_PARAMETER = re.compile(r"--\s*\$(\w+)\s*=\s*(.*?):\s+(.+)")


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
                number("0.0" if self.name in PRICES else self.default)
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
    """Set the parameters of a report as DuckDB variables; prices default to those of the recipe. Without a report,
    `given` are the variables of a query.

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
    for name in declared.keys() & PRICES - given.keys():
        from nemotron_assets.recipe import current_recipe

        connection.execute(f'set variable "{name}" = ?', [getattr(current_recipe().llm, name)])


@dataclass
class Result:
    """Column names and the first rows of a result. `more` says whether there are further rows."""

    columns: list[str]
    rows: list[tuple]
    more: bool


def fetch(connection: duckdb.DuckDBPyConnection, query: str, limit: int | None) -> Result:
    """Run a query and fetch at most `limit` rows (None: all) of its last statement."""
    with interruptible(connection):
        for statement in read_only_statements(connection, query):
            cursor = connection.execute(statement)
        columns = [column[0] for column in cursor.description]
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    more = limit is not None and len(rows) > limit
    return Result(columns, rows[:limit], more)


def print_result(result: Result, report: bool = False) -> None:
    """Print a result, and a note when there are more rows than are printed. Reports fit a narrow terminal."""
    if result.columns == ["explain_key", "explain_value"]:
        for _, plan in result.rows:
            print("\n".join(map(printable_line, plan.splitlines())))
        return
    print_table(result.columns, result.rows, REPORT_WIDTH if report else None)
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
    print_table(("report", "question", "parameters"), rows, REPORT_WIDTH)


@contextlib.contextmanager
def parameters_of(connection: duckdb.DuckDBPyConnection, report: Report, params: Sequence[str]) -> Iterator[None]:
    """Set the parameters of a report ("rows=20") for a block, and remove them afterwards."""
    given = dict(param.partition("=")[::2] for param in params)
    set_parameters(connection, report, given)
    try:
        yield
    finally:
        for name in given:
            connection.execute(f'reset variable "{name}"')


def sql_command(
    query: str | None,
    report: str | None,
    params: Sequence[str],
    *,
    csv: str | None,
    parquet: str | None,
    limit: int,
    safe: bool = False,
) -> None:
    """Run a query or a report; print its result, or write it to the files `csv` and `parquet`.

    `params` are texts such as "rows=20". `limit` is the largest number of rows that are printed; 0 prints all. With
    `safe`, the CSV file holds no text that a spreadsheet takes for a formula.
    """
    found = find_report(report) if report else None
    files = [ResultFile(name, file_format) for name, file_format in ((csv, "csv"), (parquet, "parquet")) if name]
    with Warehouse().connect(files=[file.path for file in files]) as connection, interruptible(connection):
        set_parameters(connection, found, dict(param.partition("=")[::2] for param in params))
        text = found.sql if found else query
        for file in files:
            file.write(connection, text, safe=safe and file.file_format == "csv")
        if not files:
            print_result(fetch(connection, text, limit or None), report=found is not None)
        for note in notes(connection, text):
            click.echo(note, err=True)
