"""`nemotron run`: brings a selection of assets up to date, then prints what became of each asset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import click

from nemotron_assets.commands.console import console
from nemotron_assets.commands.runner import Outcome, Runner
from nemotron_assets.definitions import lake
from resources.warehouse import Warehouse

#: Settings that silence the progress bars and warnings of libraries, which would be mixed with the run's own lines.
_QUIET = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}


def run_command(selection: str | None, partitions: Sequence[str], *, force: bool, quiet: bool) -> bool:
    """Run a selection; True when no asset failed. `quiet` silences libraries."""
    if quiet:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        warnings.simplefilter("ignore")
    runner = Runner(progress=click.echo, force=force)
    succeeded = runner.run(runner.select(selection), partitions or None)
    warehouse = Warehouse(root=lake.root, storage_options=lake.storage_options)
    if not warehouse.current():
        warehouse.refresh()  # plain DuckDB programs see tables that this run made for the first time
    click.echo()
    print_outcomes(runner.outcomes.values())
    if succeeded:
        click.echo(_NEXT_STEPS)
    return succeeded


def print_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Print one line per asset and partition: what happened, rows, tokens, seconds."""
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("asset", "partition", ""):
        table.add_column(name)
    for name in ("rows", "tokens", "seconds"):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        colour = {"failed": "red", "skipped": "yellow", "fresh": "dim"}.get(outcome.status, "green")
        table.add_row(
            outcome.unit.key.to_user_string(),
            outcome.unit.partition or "",
            f"[{colour}]{outcome.status}[/]",
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
    "  .venv/bin/nemotron trace \"$(.venv/bin/nemotron sql --csv - 'select id from blend.token_shards limit 1'"
    ' | tail -1)"   from a training sequence back to WARC records and source files'
)
