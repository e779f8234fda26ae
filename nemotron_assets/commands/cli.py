"""The `nemotron` command group: every subcommand with its options and its help text.

A subcommand imports its body (nemotron_assets/commands/<subcommand>.py) when it is called, so that `nemotron --help`
is instant. An error is printed as one sentence; `--debug` shows the traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from nemotron_assets.commands.options import key_in, with_budget
from nemotron_assets.commands.removing import forget
from nemotron_assets.commands.results import RESULTS
from nemotron_assets.commands.signals import EXIT_STATUS, STOPPED, end_unread, handle, is_unread


class _ClosedPipe(Exception):
    """The other end of a pipe or socket was closed."""


@contextlib.contextmanager
def _closed_pipes() -> Iterator[None]:
    """Raise `_ClosedPipe` in the place of BrokenPipeError, by which click would end the program with status 1 and
    without a word."""
    try:
        yield
    except BrokenPipeError as error:
        raise _ClosedPipe(f"the other end of a pipe or connection was closed ({error})") from error


class _Commands(click.Group):
    """Lists the subcommands in the order of this file, in which a newcomer needs them, instead of by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        with _closed_pipes():  # printing --help
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _closed_pipes():
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show tracebacks, and the progress bars and warnings of libraries.")
@click.option("--recipe", metavar="NAME|FILE", help="Recipe to use: laptop, nano2 or a YAML file (NEMOTRON_RECIPE).")
def cli(debug: bool, recipe: str | None) -> None:
    """The data and model pipeline of Nemotron Nano 2 as one graph on Delta tables."""
    if recipe:
        os.environ["NEMOTRON_RECIPE"] = recipe


@cli.command()
@click.argument("selection", required=False)
@click.option("--partition", "partitions", multiple=True, metavar="SNAPSHOT", help="Only this snapshot; repeatable.")
@click.option("--force", is_flag=True, help="Also run assets that are up to date, and redo finished parts.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run N assets side by side (default: one per core, at most 4, and 4 GB of free memory for each).",
)
@click.pass_context
def run(
    context: click.Context, selection: str | None, partitions: tuple[str, ...], force: bool, jobs: int | None
) -> None:
    """Bring the graph, or a SELECTION of it, up to date.

    SELECTION is Dagster's syntax: an asset (web/documents or web.documents), an asset and everything it is made from
    (+web/documents), a group (group:web), or several joined by "or". Only missing and stale assets run.
    """
    from nemotron_assets.commands.run import run_command

    if not run_command(selection, partitions, force=force, jobs=jobs, quiet=not context.parent.params["debug"]):
        sys.exit(1)


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--snapshot", required=True, metavar="NAME", help="Name of the snapshot that the files become.")
@click.option("--text-column", metavar="COLUMN", help="Column with plain text (Parquet, JSON lines).")
@click.option("--html-column", metavar="COLUMN", help="Column with HTML (Parquet, JSON lines).")
@click.option("--url-column", metavar="COLUMN", help="Column with addresses (default: url, uri or link).")
@click.option("--strict", is_flag=True, help="Fail if a file is empty or damaged, instead of counting it.")
def ingest(paths: tuple[Path, ...], snapshot: str, strict: bool, **columns: str | None) -> None:
    """Store files of your own as a snapshot.

    PATHS are WARC, Parquet and JSON-lines files, or folders that are searched for them; WARC and JSON lines may be
    compressed with gzip or Zstandard. If the snapshot exists already, its files are replaced; files that did not change
    are not read again. The exit code is 1 if a check fails or if the snapshot has no page.
    """
    from nemotron_assets.commands.ingest import ingest_command

    if not ingest_command(paths, snapshot, strict=strict, **columns):
        sys.exit(1)


@cli.command()
@click.argument("query", required=False)
@click.option("--report", metavar="NAME", help="Run a report of sql/reports instead of a QUERY.")
@click.option("--reports", "list_reports", is_flag=True, help="List the reports and their parameters.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Parameter of the report; repeatable.")
@click.option("--csv", "csv", metavar="FILE|-", help="Write all rows as CSV instead of printing them.")
@click.option("--csv-safe", is_flag=True, help="In CSV, put ' before texts that a spreadsheet takes for formulas.")
@click.option("--parquet", metavar="FILE", help="Write all rows as Parquet instead of printing them.")
@click.option("--limit", default=100, show_default=True, help="Print at most this number of rows; 0 for all.")
def sql(
    query: str | None,
    report: str | None,
    list_reports: bool,
    params: tuple[str, ...],
    csv: str | None,
    csv_safe: bool,
    parquet: str | None,
    limit: int,
) -> None:
    """Query the lake in SQL, read only.

    QUERY is in DuckDB's SQL; "-" reads it from standard input. --report runs a prepared query instead. Without either,
    a shell starts, which also reads statements from a pipe. Every table has the name of its asset (web.documents for
    web/documents). The view lineage.edges lists, for every row, the rows it was made from.
    """
    from nemotron_assets.commands.sql import print_reports, sql_command

    if list_reports:
        print_reports()
        return
    if query is not None and report is not None:
        raise click.UsageError("give either a QUERY or --report NAME, not both")
    if csv_safe and not csv:
        raise click.UsageError("--csv-safe needs --csv FILE")
    if query is None and report is None:
        if csv or parquet:
            raise click.UsageError(
                '--csv and --parquet need a QUERY, as "select * from web.documents", or --report NAME'
            )
        from nemotron_assets.commands.shell import shell_command

        if not shell_command(params, limit):
            sys.exit(1)
        return
    text = sys.stdin.read() if query == "-" else query
    sql_command(text, report, params, csv=csv, parquet=parquet, limit=limit, safe=csv_safe)


@cli.command()
@click.argument("name", required=False)
def tables(name: str | None) -> None:
    """List the tables of the lake, or describe one.

    The list has rows, bytes and versions. For the table NAME (web.documents), the columns with their meanings and the
    last commits are printed.
    """
    from nemotron_assets.commands.tables import tables_command

    tables_command(name)


@cli.command()
@click.argument("target")
@click.option("--limit", default=20, show_default=True, help="Show at most this number of relatives of a row.")
@click.option(
    "--backward/--forward", default=None, help="Only the rows TARGET was made from / only the rows made from it."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--read", is_flag=True, help="Read the WARC records again and compare them with the pages.")
def trace(target: str, limit: int, backward: bool | None, as_json: bool, read: bool) -> None:
    """Follow a row back to its sources and forward to models.

    TARGET is a row id, the URL of a page, a table version (blend.token_shards@3), or a table (models.base) for its
    newest version or model. The sources of a row are WARC records, or files of code repositories.
    """
    from nemotron_assets.commands.trace import trace_command

    if not trace_command(target, limit=limit, backward=backward, as_json=as_json, read=read):
        sys.exit(1)


@cli.command()
@click.argument("table")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--partition", "partitions", multiple=True, metavar="SNAPSHOT", help="Only this snapshot; repeatable.")
@click.option(
    "--version",
    metavar="VERSION",
    help="Version of a model: 2, laptop-base@2 or the beginning of an id. Default: the version in use.",
)
@click.option("--force", is_flag=True, help="Write again, and move other files in DIRECTORY aside.")
def export(table: str, directory: Path, partitions: tuple[str, ...], version: str | None, force: bool) -> None:
    """Write a table as a Hugging Face dataset, or a model for transformers and vLLM.

    DIRECTORY gets Parquet shards for every config of TABLE (web.nemotron_cc_v2), and a dataset card. An interrupted
    export goes on where it stopped. Of a table of models (models/base), it gets the files of one version, and a model
    card. It appears when the export is complete.
    """
    from nemotron_assets.commands.export import export_command

    export_command(table, directory, partitions, version, force)


for command in (*RESULTS, forget):
    cli.add_command(command)


@cli.group()
def code() -> None:
    """The code corpus: make its texts again from its metadata."""


@code.command()
@click.argument("metadata")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="PATH|URL",
    help="Parquet dump, git repositories or bundles, archives, or a server of archives; repeatable.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Parquet file for the texts.")
def rebuild(metadata: str, sources: tuple[str, ...], out: Path | None) -> None:
    """Make the texts of METADATA again from the sources, and prove by their hashes that they are the same.

    METADATA is a Parquet file, a folder of them as `nemotron export` writes it, or code.metadata for the lake's own
    table. Without --source the recipe's sources are read. Fails when a text could not be made again.
    """
    from nemotron_assets.commands.rebuild import rebuild_command

    if not rebuild_command(metadata, sources, out):
        sys.exit(1)


@cli.command()
@click.option("--explain", is_flag=True, help="Also print what each value means and which values are allowed.")
@click.argument("section", required=False)
def recipe(section: str | None, explain: bool) -> None:
    """Print the recipe in force, or one SECTION of it (web.quality)."""
    from nemotron_assets.commands.recipe import recipe_command

    recipe_command(section, explain)


@cli.command()
@click.argument("selection", required=False)
@click.option("--compare", "comparing", is_flag=True, help="Show derived totals beside the published ones.")
@click.option("--explain", is_flag=True, help="Show which inputs every figure is derived from, with their sources.")
@click.option("--change", multiple=True, metavar="KEY=VALUE", help="What this change of the recipe costs; repeatable.")
@click.option("--against", metavar="NAME|FILE", help="What changing to another recipe costs.")
@click.option(
    "--recipe", metavar="NAME|FILE", help="Recipe to plan, as before the command: nemotron --recipe nano2 plan."
)
def plan(
    selection: str | None,
    comparing: bool,
    explain: bool,
    change: tuple[str, ...],
    against: str | None,
    recipe: str | None,
) -> None:
    """Estimate what the recipe makes and costs, before anything runs.

    For every asset, or those of a SELECTION as in `nemotron run`: rows, tokens, bytes, tokens of language models, hours
    of cores and GPUs, and money, each with a range. --change and --against list the assets that become stale instead,
    and what making them again takes.
    """
    if recipe:
        os.environ["NEMOTRON_RECIPE"] = recipe
    from nemotron_assets.commands.plan import plan_command

    plan_command(selection, explain=explain, comparing=comparing, change=change, against=against)


@cli.command()
@click.option(
    "--set-aside",
    metavar="TABLE",
    help="Rename a table of another schema version, or a table with a damaged log, to build it again.",
)
@click.option("--migrate", is_flag=True, help="Convert tables of an older schema version, in place.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--verify", is_flag=True, help="Read all data files and compare them with their recorded hashes.")
def maintain(set_aside: str | None, migrate: bool, dry_run: bool, verify: bool) -> None:
    """Compact the tables and delete old files.

    Small files are compacted. Versions that are older than the recipe's retention are deleted, unless a model or a
    score names them, and so are files that killed writers left behind.

    With --verify nothing is changed: a line tells about each damaged file, and the exit code is 1 if there is one.
    """
    from nemotron_assets.commands.maintain import maintain_command

    if not maintain_command(set_aside, migrate=migrate, dry_run=dry_run, verify=verify):
        sys.exit(1)


@cli.command()
@click.argument("model")
@click.option("--port", type=click.IntRange(1, 65_535), metavar="N", help="Default: the first free port from 8000 on.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; others than this machine's own need a key.",
)
@click.option(
    "--context",
    type=click.IntRange(min=256),
    metavar="N",
    help="Tokens of a prompt with its answer; default: the model's.",
)
@with_budget
def serve(
    model: str,
    port: int | None,
    host: str,
    context: int | None,
    budget: int | None,
    grace: int,
    answer_room: int,
    api_key_env: str | None,
) -> None:
    """Serve a model of the lake to clients of OpenAI's protocol, until Ctrl-C.

    MODEL is a table of models (models/sft_3, its newest version, or models/sft_3@2), the name of a model, or the
    beginning of an id. The server is vLLM with the chat template, tool calls, thoughts and the thinking budget of this
    project. A request may name a budget of its own: "vllm_xargs": {"thinking_budget": 512}.
    """
    key = key_in(api_key_env)
    from nemotron_assets.chat.serving import Limits
    from nemotron_assets.commands.serve import serve_command
    from resources.server import Place

    serve_command(model, Place(host, port, key), Limits(budget, grace, answer_room), context)


@cli.command()
@click.argument("first")
@click.argument("second")
@click.option("--task", metavar="NAME", help="Only this task: gsm8k, suite_reverse, held_out_code, ...")
@click.option("--items", default=20, show_default=True, type=click.IntRange(min=0), help="Flipped items to list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all flipped items.")
def compare(first: str, second: str, task: str | None, items: int, as_json: bool) -> None:
    """Compare two models on the items that both have answered.

    FIRST and SECOND are as in `nemotron serve`. Every task has the scores of both, the difference with its 95% interval
    (paired bootstrap over items), and the probability of such a difference by chance. The items that flipped from right
    to wrong, or from wrong to right, are listed.
    """
    from nemotron_assets.commands.compare import compare_command

    compare_command(first, second, task=task, most=items, as_json=as_json)


@cli.command()
@click.argument("model", required=False)
@click.option("--url", metavar="URL", help="A server that runs (http://127.0.0.1:8000/v1), instead of starting one.")
@click.option("-m", "--message", "messages", multiple=True, metavar="TEXT", help="Send this and end; repeatable.")
@click.option("--temperature", type=click.FloatRange(min=0), metavar="T", help="Default: the server's.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens of a thought and its answer.")
@with_budget
def chat(
    model: str | None,
    url: str | None,
    messages: tuple[str, ...],
    temperature: float | None,
    max_tokens: int | None,
    budget: int | None,
    grace: int,
    answer_room: int,
    api_key_env: str | None,
) -> None:
    """Talk with a model of the lake, or with the server at --url.

    MODEL is as in `nemotron serve`; its server runs as long as the talk. Thoughts are dimmed, with the number of their
    tokens beside them. /think and /no_think switch thinking, /help lists further commands. In a pipe, the whole input
    is one message, and only the answer goes to the standard output.
    """
    key = key_in(api_key_env)
    from nemotron_assets.chat.serving import Limits
    from nemotron_assets.commands.chat import chat_command

    chat_command(model, url, Limits(budget, grace, answer_room), key, messages, temperature, max_tokens)


@cli.command()
@click.option("--port", default=3000, show_default=True, help="Port of the web UI on 127.0.0.1.")
def ui(port: int) -> None:
    """Start the Dagster web UI and its daemon on this lake."""
    from nemotron_assets.commands.ui import ui_command

    ui_command(port)


def main() -> None:
    """Run a command, and end with its exit code whatever signal comes after it."""
    try:
        try:
            execute()
        finally:
            sys.stdout.flush()
    except (BrokenPipeError, _ClosedPipe):
        if not is_unread():
            raise
        end_unread()
    finally:
        # While Python ends it would pass a signal on to the system, which would change the exit code.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def execute() -> None:
    """Run the command that `sys.argv` names; print an exception as one sentence unless `--debug` is given."""
    debug = "--debug" in sys.argv
    handle()
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BaseException as error:  # a panic of polars is not an Exception
        # DuckDB raises an error of its own because of KeyboardInterrupt.
        if isinstance(error, click.Abort | KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
            click.echo(STOPPED, err=True)
            sys.exit(EXIT_STATUS)
        if debug or isinstance(error, SystemExit) or (isinstance(error, _ClosedPipe) and is_unread()):
            raise
        from nemotron_assets.recipe.addresses import redacted
        from resources.lakehouse.errors import with_way_out

        text = redacted(with_way_out(error))
        text = " ".join(text.split()) if len(text) < 200 else text
        click.echo(f"nemotron: {text or type(error).__name__}  (--debug shows the traceback)", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
