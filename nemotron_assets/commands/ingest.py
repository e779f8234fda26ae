"""`nemotron ingest`: stores a user's own files as a snapshot, and makes the pages of that snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.ingest import (
    describe,
    ingest,
    refuse_crawl_snapshot,
    refuse_file,
    whole_file,
)
from nemotron_assets.table.counting import counted
from nemotron_assets.warc.limits import limits_of
from resources.warehouse import Warehouse
from resources.warehouse.facts import open_table

if TYPE_CHECKING:
    from nemotron_assets.commands.runner import Outcome

#: Files that cannot be used are named up to this number; the others are counted.
_NAMED = 20


def ingest_command(paths: Sequence[Path], snapshot: str, *, strict: bool, **columns: str | None) -> bool:
    """Ingest files and print what became of their records; True when the snapshot has pages and no check failed.

    `columns` are `text_column`, `html_column` and `url_column` of `snapshots.ingest.describe`. With `strict`, a file
    that cannot be used is an error.
    """
    unusable: dict[Path, str] = {}
    on_unusable = refuse_file if strict else unusable.__setitem__
    # Before the imports, so that a mistake is found at once.
    recipe = current_recipe().snapshots
    bounds = {"part_bytes": recipe.ingest.part_mb << 20, "limits": limits_of(recipe.pages)}
    rows = describe(paths, snapshot, on_unusable=on_unusable, **bounds, **columns)
    refuse_crawl_snapshot(partial(open_table, Warehouse()), snapshot)
    files = {row["file"]: whole_file(row) for row in rows}
    in_parts = f" in {len(rows)} parts" if len(rows) > len(set(files.values())) else ""
    click.echo(f"{counted(len(set(files.values())), 'file')}{in_parts} for snapshot {snapshot}")
    for why in list(unusable.values())[:_NAMED]:
        click.echo(f"not usable: {why}")
    if len(unusable) > _NAMED:
        click.echo(f"not usable: {counted(len(unusable) - _NAMED, 'further file')}")

    from nemotron_assets.commands.progress import Progress
    from nemotron_assets.commands.runner import Runner, Unit
    from nemotron_assets.definitions import lake
    from nemotron_assets.snapshots.report import damaged_files, fates
    from nemotron_assets.snapshots.tables import PAGES, RECORDS
    from nemotron_assets.warc.reader import FATES

    runner, unit = Runner(Progress()), Unit(PAGES.asset_key, snapshot)
    ingest(lake, runner.instance, snapshot, rows)
    runner.refresh([unit])
    for fate, (records, size) in fates(lake.read(RECORDS, snapshot)).items():
        click.echo(f"{records:>12,} records {size / 1e6:>10,.1f} MB  {fate:18} {FATES[fate]}")
    outcome = runner.outcomes[unit]
    known = {row["file"] for row in rows if Path(row["path"]) in unusable}
    damaged = {files[part] for part in damaged_files(lake.read(RECORDS, snapshot)) if part in files} - known
    pages = lake.read(PAGES, snapshot).rows
    failed, line = conclusion(snapshot, outcome, pages, len(unusable), len(damaged), strict=strict)
    click.echo(line)
    return not failed


def conclusion(
    snapshot: str, outcome: Outcome, pages: int, unusable: int, damaged: int = 0, *, strict: bool = False
) -> tuple[bool, str]:
    """(whether the ingestion failed, the last line to print). `outcome` is that of the snapshot's pages, and `damaged`
    the number of files of which a part could not be read."""
    wrong = [outcome.note] if outcome.note or outcome.status != "done" else []
    if not pages and not outcome.note:  # the note of the failed check says it
        wrong.append("it has no page, because none of its records can be used as a page")
    if damaged and strict:
        wrong.append(f"{_files(damaged)} damaged (--strict refuses such a file)")
    if wrong:
        return True, f"snapshot {snapshot} is not ready for use: {'; '.join(filter(None, wrong))}"
    beside = [outcome.warning] if outcome.warning else []
    if unusable:
        beside.append(f"{unusable} file{'s' * (unusable != 1)} could not be used")
    if damaged:
        beside.append(f"{_files(damaged)} damaged, and what could not be read is missing")
    also = f" ({'; '.join(beside)})" if beside else ""
    return (
        False,
        f"snapshot {snapshot} is stored{also}; `nemotron run --partition {snapshot}` takes it through the graph",
    )


def _files(number: int) -> str:
    return "1 file is" if number == 1 else f"{number} files are"
