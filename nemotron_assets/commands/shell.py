"""`nemotron sql` without a query: a shell that reads statements and commands until the input ends.

At a terminal it has a prompt, a history and completion of table names. Input through a pipe is read in the same way
without them. A statement ends with a semicolon and may take several lines. An error is printed, and the shell goes on.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from nemotron_assets.commands.console import print_table
from nemotron_assets.commands.sql import (
    Result,
    fetch,
    find_report,
    parameters_of,
    print_reports,
    print_result,
    set_parameters,
)
from resources.home import cache_dir
from resources.warehouse import Warehouse, WarehouseError
from resources.warehouse.outdated import notes
from resources.warehouse.reading import read_only_statements

if TYPE_CHECKING:
    import duckdb

HELP = """A statement in DuckDB's SQL ends with a semicolon and may take several lines.
  .tables [TEXT]               tables and views with their descriptions; only names that hold TEXT
  .schema NAME                 columns of a table or view, with their types and meanings
  .reports                     ready-made questions
  .report NAME [PARAM=VALUE]   answer one of them
  .help                        this text
  .quit                        leave; so does the end of the input (Ctrl-D)
Ctrl-C drops a statement that you are typing, or stops a query that is running."""

_PROMPT, _MORE = "nemotron> ", "     ...> "

#: The parts of a text that decide whether it is a complete statement: quoted texts and comments are taken whole; an
#: opening sign without its end is taken alone.
_PART = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$ | ['"] | /\* | \$\w*\$ | \s+ | .""",
    re.DOTALL | re.VERBOSE,
)


def shell_command(params: Sequence[str], limit: int) -> bool:
    """Read statements and commands until the input ends; False if one of them failed and nobody saw it. `params` are
    variables for the statements, such as "rows=20"."""
    with Warehouse().connect() as connection:
        set_parameters(connection, None, dict(param.partition("=")[::2] for param in params))
        return Shell(connection, limit or None).run()


def is_complete(text: str) -> bool:
    """Whether a text ends with a semicolon that is neither in a quoted text nor in a comment."""
    ended = False
    for match in _PART.finditer(text):
        part = match.group()
        if part in ("'", '"', "/*") or re.fullmatch(r"\$\w*\$", part):
            return False
        if not part.isspace() and not part.startswith(("--", "/*")):
            ended = part == ";"
    return ended


class Shell:
    """A shell on a connection of the warehouse. `limit` is the largest number of rows that are printed; None for all.
    `failed` says whether any statement or command failed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, limit: int | None) -> None:
        self.connection, self.limit, self.failed = connection, limit, False
        self._commands: dict[str, Callable[[list[str]], None]] = {
            ".tables": self._tables,
            ".schema": self._schema,
            ".reports": lambda _: print_reports(),
            ".report": self._report,
            ".help": lambda _: print(HELP),
        }

    def run(self) -> bool:
        """Read and answer until the input ends; True if everything succeeded. At a terminal, errors do not count."""
        terminal = sys.stdin.isatty()
        if terminal:
            print("nemotron sql: read-only SQL on the lake. .help explains the commands, .quit or Ctrl-D leaves.")
        with self._history() if terminal else contextlib.nullcontext():
            for text in self._texts(terminal):
                if text in (".quit", ".exit"):
                    break
                self._answer(text)
        return terminal or not self.failed

    def _texts(self, terminal: bool) -> Iterator[str]:
        """Commands and complete statements, as they are read."""
        waiting = ""
        while True:
            try:
                line = input(_MORE if waiting else _PROMPT) if terminal else sys.stdin.readline()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print()
                waiting = ""
                continue
            if not terminal and not line:  # the end of the pipe; the last statement may lack its semicolon
                if waiting.strip():
                    yield waiting
                return
            if not waiting and line.strip().startswith("."):
                yield line.strip()
                continue
            waiting = f"{waiting}{line.rstrip()}\n" if waiting or line.strip() else ""
            if is_complete(waiting):
                yield waiting
                waiting = ""

    def _answer(self, text: str) -> None:
        """Run one command or the statements of one text, and print the results or the error."""
        import duckdb

        try:
            if text.startswith("."):
                name, *arguments = text.split()
                if name not in self._commands:
                    raise WarehouseError(f"the shell does not know the command {name}; .help lists its commands")
                self._commands[name](arguments)
                return
            for statement in read_only_statements(self.connection, text):
                print_result(fetch(self.connection, statement.query, self.limit))
            for note in notes(self.connection, text):
                click.echo(note, err=True)
        except (KeyboardInterrupt, duckdb.InterruptException):
            self._failed("interrupted")
        except (WarehouseError, duckdb.Error) as error:
            from resources.lakehouse.errors import with_way_out

            self._failed(with_way_out(error))

    def _failed(self, message: str) -> None:
        self.failed = True
        sys.stdout.flush()
        click.echo(message, err=True)

    # -- commands -----------------------------------------------------------------------------------------------

    def _tables(self, arguments: list[str]) -> None:
        wanted = (arguments or [""])[0].replace("/", ".")
        query = (
            "select schema_name || '.' || view_name as name, comment as description from duckdb_views() "
            "where not internal and contains(schema_name || '.' || view_name, ?) order by 1"
        )
        found = self.connection.execute(query, [wanted]).fetchall()
        print_result(Result(["table", "description"], found, more=False))

    def _schema(self, arguments: list[str]) -> None:
        if len(arguments) != 1:
            raise WarehouseError(".schema takes the name of one table: .schema web.documents")
        name = arguments[0].replace("/", ".")
        query = (
            "select column_name, data_type, comment from duckdb_columns() "
            "where not internal and schema_name || '.' || table_name = ? order by column_index"
        )
        found = self.connection.execute(query, [name]).fetchall()
        if not found:
            raise WarehouseError(f"the lake does not have a table or view {name!r}; .tables lists its tables and views")
        print_table(("column", "type", "meaning"), found)

    def _report(self, arguments: list[str]) -> None:
        if not arguments:
            raise WarehouseError(".report takes the name of a report: .report funnel; .reports lists them")
        report = find_report(arguments[0])
        with parameters_of(self.connection, report, arguments[1:]):
            print_result(fetch(self.connection, report.sql, self.limit), report=True)

    # -- the terminal -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _history(self) -> Iterator[None]:
        """Keep what is typed in the cache folder, and complete the names of tables and commands."""
        import readline

        file = cache_dir("sql") / "history"
        with contextlib.suppress(OSError):
            readline.read_history_file(file)
        readline.set_history_length(1_000)
        query = "select distinct schema_name || '.' || table_name from duckdb_columns() where not internal"
        names = sorted([*self._commands, ".quit", *(row[0] for row in self.connection.execute(query).fetchall())])
        readline.set_completer_delims(" \t\n,()=<>")
        readline.set_completer(lambda text, n: next(iter([x for x in names if x.startswith(text)][n : n + 1]), None))
        readline.parse_and_bind("tab: complete")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                readline.write_history_file(file)
