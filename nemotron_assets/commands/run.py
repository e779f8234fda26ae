"""`nemotron run`: brings a selection of assets up to date, then prints what became of each asset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import click
import dagster as dg

from nemotron_assets.commands.console import console
from nemotron_assets.commands.progress import progress
from nemotron_assets.commands.runner import Outcome, Runner
from nemotron_assets.commands.stop import stoppable
from nemotron_assets.commands.workers import default_jobs
from nemotron_assets.definitions import lake
from nemotron_assets.table.counting import counted
from resources.home import report_file
from resources.warehouse import Warehouse

#: The asset of the page that shows everything that a run has made.
REPORT = dg.AssetKey(["evaluate", "report"])
#: Settings that silence the progress bars and warnings of libraries, which would be mixed with the run's own lines.
_QUIET = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}


def run_command(
    selection: str | None, partitions: Sequence[str], *, force: bool, jobs: int | None = None, quiet: bool = True
) -> bool:
    """Run a selection, `jobs` units at a time; True when no asset and no check failed. `quiet` silences libraries."""
    if quiet:
        silence()
    runner = Runner(progress(), force=force)
    succeeded = runner.run(runner.select(selection), partitions or None, jobs or default_jobs())
    warehouse = Warehouse(root=lake.root, storage_options=lake.storage_options)
    with stoppable(runner.instance):
        if not warehouse.current():
            warehouse.refresh()  # plain DuckDB programs see tables that this run made for the first time
    click.echo()
    print_outcomes(runner.outcomes.values())
    for line in summary(list(runner.outcomes.values())):
        click.echo(line)
    if succeeded:
        click.echo(_NEXT_STEPS)
    if REPORT in {outcome.unit.key for outcome in runner.outcomes.values() if not outcome.is_bad}:
        click.echo(f"\nThe report: {report_file()}")
    return succeeded


def silence() -> None:
    """Silence the progress bars and warnings of libraries, in this process and those that it starts."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """What a reader must not overlook: warnings of checks, tables without rows, and in the last line what is wrong."""
    lines = [f"warning: {outcome.unit}: {outcome.warning}" for outcome in outcomes if outcome.warning]
    empty = [str(outcome.unit) for outcome in outcomes if outcome.status == "done" and outcome.rows == 0]
    if empty:
        lines.append(f"warning: no rows in {', '.join(empty)}")
    wrong = [outcome for outcome in outcomes if outcome.is_wrong and outcome.status != "skipped"]
    skipped = sum(outcome.status == "skipped" for outcome in outcomes)
    if wrong or skipped:
        what = "; ".join(f"{outcome.unit}: {outcome.note}" for outcome in wrong)
        also = f"skipped: {counted(skipped, 'other asset')}" if skipped else ""
        lines.append(f"failed: {'; '.join(filter(None, (what, also)))}")
    return lines


def print_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Print one line per asset and partition: what happened, rows, tokens, seconds."""
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("asset", "partition", ""):
        table.add_column(name)
    for name in ("rows", "tokens", "seconds"):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        status = "check failed" if outcome.status == "done" and outcome.note else outcome.status
        colour = {"failed": "red", "check failed": "red", "skipped": "yellow", "fresh": "dim"}.get(status, "green")
        table.add_row(
            outcome.unit.key.to_user_string(),
            outcome.unit.partition or "",
            f"[{colour}]{status}[/]",
            _number(outcome.rows),
            _number(outcome.tokens),
            "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
        )
    console().print(table)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


_NEXT_STEPS = (
    "\nNext:\n"
    "  make ui                                   the graph, its plots and checks, on http://127.0.0.1:3000\n"
    "  .venv/bin/nemotron sql --report funnel    from pages to tokens, in DuckDB (--reports lists all reports)\n"
    "  .venv/bin/nemotron trace \"$(.venv/bin/nemotron sql --csv - 'select id from blend.sequences limit 1'"
    ' | tail -1)"   from a training sequence back to WARC records and source files'
)
