"""`nemotron export`: writes a published table into a folder as a Hugging Face dataset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from nemotron_assets.commands.console import print_table
from nemotron_assets.commands.tables import find
from nemotron_assets.definitions import lake
from nemotron_assets.export import export
from nemotron_assets.recipe import current_recipe


def export_command(table: str, directory: Path, partitions: Sequence[str], force: bool) -> None:
    """Export a table by name (web.nemotron_cc_v2 or web/nemotron_cc_v2), and print the rows of each config."""
    started = time.perf_counter()
    done = export(
        lake, find(table), directory, current_recipe(), partitions=partitions, force=force, progress=click.echo
    )
    print_table(
        ("config", "rows", "tokens (estimated)", "MB", "languages"),
        [(c, n.rows, n.tokens, round(n.file_bytes / 1e6, 1), len(n.languages)) for c, n in done.configs.items()],
    )
    if empty := [config for config, counts in done.configs.items() if not counts.rows]:
        click.echo(
            f"without rows: {', '.join(empty)}. datasets.load_dataset refuses a config without rows; with "
            "streaming=True it reads the files of those that have any. `nemotron sql --report sft_outcomes` shows why "
            "SFT tables have no usable rows."
        )
    if done.moved_aside:
        click.echo(f"the earlier content of {directory} is now in {done.moved_aside}")
    seconds = time.perf_counter() - started
    click.echo(f"{done.directory}: {f'written in {seconds:.1f} s' if done.written else 'up to date, nothing to do'}")
