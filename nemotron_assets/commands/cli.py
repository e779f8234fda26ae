"""The `nemotron` command: run the graph, look into the lake, trace a row, keep the tables in shape.

Every command imports what it needs when it is called, so that `nemotron --help` is instant. Errors are one sentence;
`--debug` shows the traceback.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import click


class _Commands(click.Group):
    """Commands in the order a newcomer needs them, not in the alphabet's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--recipe", metavar="NAME|FILE", help="Recipe to use: laptop, nano2 or a YAML file (NEMOTRON_RECIPE).")
def cli(debug: bool, recipe: str | None) -> None:
    """The data and model pipeline of Nemotron Nano 2 as one graph on Delta tables."""
    if recipe:
        os.environ["NEMOTRON_RECIPE"] = recipe


@cli.command()
@click.argument("selection", required=False)
@click.option("--partition", "partitions", multiple=True, metavar="SNAPSHOT", help="Only this snapshot; repeatable.")
@click.option("--force", is_flag=True, help="Run what is up to date as well, and redo finished parts.")
def run(selection: str | None, partitions: tuple[str, ...], force: bool) -> None:
    """Bring the graph, or a SELECTION of it, up to date.

    SELECTION is Dagster's syntax: an asset (web/documents), with everything above it (+web/documents), a group
    (group:web). Only what is missing or stale runs.
    """
    from nemotron_assets.commands.report import next_steps, run_table
    from nemotron_assets.commands.runner import Runner
    from nemotron_assets.definitions import lake
    from resources.warehouse import Warehouse

    # Libraries draw their own bars and warnings over ours; `--debug` lets them.
    if not click.get_current_context().parent.params["debug"]:
        for name, value in {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}.items():
            os.environ.setdefault(name, value)
        warnings.simplefilter("ignore")
    runner = Runner(progress=lambda line: click.echo(line), force=force)
    fine = runner.run(runner.select(selection), partitions or None)
    warehouse = Warehouse(root=lake.root, storage_options=lake.storage_options)
    if not warehouse.current():
        warehouse.refresh()  # plain DuckDB clients see tables that were made for the first time
    click.echo()
    run_table(runner.outcomes.values())
    if not fine:
        sys.exit(1)
    next_steps()


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--snapshot", required=True, metavar="NAME", help="Name of the snapshot the files become.")
@click.option("--text-column", metavar="COLUMN", help="Column with plain text (Parquet, JSON lines).")
@click.option("--html-column", metavar="COLUMN", help="Column with HTML (Parquet, JSON lines).")
@click.option("--url-column", metavar="COLUMN", help="Column with addresses; without it url, uri or link is used.")
def ingest(paths: tuple[Path, ...], snapshot: str, **columns: str | None) -> None:
    """Bring own data in: WARC, Parquet and JSON-lines files or folders of them become a snapshot.

    The same name again replaces the snapshot's files; those that did not change are not read again.
    """
    from nemotron_assets.snapshots.ingest import ingest_and_run
    from nemotron_assets.snapshots.warc import FATES

    fine, fates = ingest_and_run(paths, snapshot, click.echo, **columns)
    for fate, (records, size) in fates.items():
        click.echo(f"{records:>12,} records {size / 1e6:>10,.1f} MB  {fate:18} {FATES[fate]}")
    if not fine:
        sys.exit(1)
    click.echo(f"snapshot {snapshot} is in; `nemotron run --partition {snapshot}` takes it through the graph")


@cli.command()
@click.argument("query", required=False)
@click.option("--report", metavar="NAME", help="Run a report of sql/reports instead of a QUERY.")
@click.option("--reports", "list_reports", is_flag=True, help="List the reports and their parameters.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A report's parameter; repeatable.")
@click.option("--csv", "csv", metavar="FILE|-", help="Write all rows as CSV instead of printing them.")
@click.option("--parquet", metavar="FILE", help="Write all rows as Parquet instead of printing them.")
@click.option("--limit", default=100, show_default=True, help="Most rows printed; 0 for all.")
def sql(
    query: str | None,
    report: str | None,
    list_reports: bool,
    params: tuple[str, ...],
    csv: str | None,
    parquet: str | None,
    limit: int,
) -> None:
    """Ask the lake in SQL (DuckDB, read only): a QUERY, "-" for one on standard input, or a report.

    Every table is there under its name, as web.documents; lineage.edges says which row was made from which.
    """
    from nemotron_assets.commands.sql import answer, print_reports

    if list_reports:
        print_reports()
        return
    if (query is None) == (report is None):
        raise click.UsageError('give one of a QUERY, as "select * from web.documents", or --report NAME')
    text = sys.stdin.read() if query == "-" else query
    answer(text, report, params, csv=csv, parquet=parquet, limit=limit)


@cli.command()
@click.argument("name", required=False)
def tables(name: str | None) -> None:
    """List the tables with rows, bytes and versions; or show one table's columns and history."""
    from nemotron_assets.commands.tables import print_tables

    print_tables(name)


@cli.command()
@click.argument("target")
@click.option("--limit", default=20, show_default=True, help="Most relatives of one row that are shown.")
@click.option("--backward/--forward", "backward", default=None, help="Only what it was made from / was made from it.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--read", is_flag=True, help="Read the WARC records again and compare them with the pages.")
def trace(target: str, limit: int, backward: bool | None, as_json: bool, read: bool) -> None:
    """Follow a row id, URL or table version (blend.token_shards@3) back to its WARC records and forward to models."""
    from nemotron_assets.commands.trace import show

    if not show(target, limit=limit, backward=backward, as_json=as_json, read=read):
        sys.exit(1)


@cli.command()
@click.argument("table")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--partition", "partitions", multiple=True, metavar="SNAPSHOT", help="Only this snapshot; repeatable.")
@click.option("--force", is_flag=True, help="Write anew; what others put into DIRECTORY is moved aside.")
def export(table: str, directory: Path, partitions: tuple[str, ...], force: bool) -> None:
    """Write TABLE into DIRECTORY as a Hugging Face dataset: Parquet shards per config and a dataset card.

    Goes on where an interrupted export stopped; nothing is visible in DIRECTORY before everything is there.
    """
    from nemotron_assets.export import export_command

    export_command(table, directory, partitions, force)


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
@click.option("--explain", is_flag=True, help="Also say what each value means and what is allowed.")
@click.argument("section", required=False)
def recipe(section: str | None, explain: bool) -> None:
    """Print the recipe in force, or one SECTION of it."""
    from nemotron_assets.commands.report import recipe_text
    from nemotron_assets.recipe import RecipeError, current_recipe

    try:
        click.echo(recipe_text(current_recipe(), section, explain))
    except KeyError as error:
        raise RecipeError(error.args[0]) from None


@cli.command()
@click.option("--set-aside", metavar="TABLE", help="Move a table of another schema version aside, to build it anew.")
@click.option("--migrate", is_flag=True, help="Bring tables of an older schema version up to date, in place.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def maintain(set_aside: str | None, migrate: bool, dry_run: bool) -> None:
    """Compact small files, vacuum old versions, sweep what killed writers left behind."""
    from nemotron_assets.definitions import lake
    from nemotron_assets.lake.upkeep import maintain_all
    from nemotron_assets.lake.upkeep import set_aside as move
    from nemotron_assets.recipe import current_recipe

    if migrate:
        from nemotron_assets.lake.migrations import migrate_all

        for line in migrate_all(lake):
            click.echo(line)
        return
    if set_aside:
        click.echo(move(lake, set_aside))
        return
    for result in maintain_all(lake, current_recipe().maintenance, dry_run=dry_run):
        click.echo(str(result))


@cli.command()
@click.option("--port", default=3000, show_default=True, help="Port of the web UI on 127.0.0.1.")
def ui(port: int) -> None:
    """Start the Dagster web UI and its daemon on this lake."""
    from nemotron_assets.commands.runner import PROJECT, instance

    instance().dispose()
    # exec, so that signals reach Dagster itself and nothing is left behind when the terminal closes.
    arguments = ["-m", "nemotron_assets.commands.ui", "--host", "127.0.0.1", "--port", str(port)]
    os.chdir(PROJECT)
    os.execv(sys.executable, [sys.executable, *arguments])


def main() -> None:
    """Entry point: run a command; turn an exception into one sentence unless `--debug` is given."""
    debug = "--debug" in sys.argv
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; what was finished is in the lake, run again to go on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        text = " ".join(str(error).split()) if len(str(error)) < 200 else str(error)
        click.echo(f"nemotron: {text or type(error).__name__}  (--debug shows where)", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
