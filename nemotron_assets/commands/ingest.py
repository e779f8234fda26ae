"""`nemotron ingest`: stores a user's own files as a snapshot, and makes the pages of that snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nemotron_assets.commands.progress import Progress
from nemotron_assets.commands.runner import Runner, Unit
from nemotron_assets.definitions import lake
from nemotron_assets.snapshots.ingest import describe, ingest
from nemotron_assets.snapshots.report import fates
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.warc.reader import FATES


def ingest_command(paths: Sequence[Path], snapshot: str, **columns: str | None) -> bool:
    """Ingest files and print what became of their records; True when the snapshot was made.

    `columns` are `text_column`, `html_column` and `url_column` of `snapshots.ingest.describe`.
    """
    rows = describe(paths, snapshot, **columns)
    click.echo(f"{len(rows)} files for snapshot {snapshot}")
    runner = Runner(Progress())
    ingest(lake, runner.instance, snapshot, rows)
    succeeded = runner.refresh([Unit(PAGES.asset_key, snapshot)])
    for fate, (records, size) in fates(lake.read(RECORDS, snapshot)).items():
        click.echo(f"{records:>12,} records {size / 1e6:>10,.1f} MB  {fate:18} {FATES[fate]}")
    if succeeded:
        click.echo(f"snapshot {snapshot} is stored; `nemotron run --partition {snapshot}` takes it through the graph")
    return succeeded
