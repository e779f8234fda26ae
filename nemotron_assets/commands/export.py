"""`nemotron export`: writes a published table or a model into a folder, in the form of Hugging Face."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from nemotron_assets.commands.console import print_table
from nemotron_assets.commands.tables import find
from nemotron_assets.definitions import lake
from nemotron_assets.export import export
from nemotron_assets.export.model import ExportedModel, export_model
from nemotron_assets.export.written import Exported, ExportError
from nemotron_assets.recipe import current_recipe
from nemotron_assets.table.schema import Table


def export_command(table: str, directory: Path, partitions: Sequence[str], version: str | None, force: bool) -> None:
    """Export a table by name (web.nemotron_cc_v2 or web/nemotron_cc_v2), and print the rows of each config; or a model
    version of a table of models."""
    started, found = time.perf_counter(), find(table)
    if found.is_model:
        return _export_model(found, directory, partitions, version, force)
    if version is not None:
        raise ExportError(f"{found.full_name} is not a table of models: leave --version out")
    done = export(lake, found, directory, current_recipe(), partitions=partitions, force=force, progress=click.echo)
    print_table(
        ("config", "rows", "tokens (estimated)", "MB", "languages"),
        [(c, n.rows, n.tokens, round(n.file_bytes / 1e6, 1), len(n.languages)) for c, n in done.configs.items()],
    )
    if empty := [config for config, counts in done.configs.items() if not counts.rows]:
        click.echo(
            f"without rows: {', '.join(empty)}. datasets.load_dataset reads a config without rows only with "
            "streaming=True. `nemotron sql --report sft_outcomes` shows why SFT tables have no usable rows."
        )
    _print_end(done, started)


def _export_model(table: Table, directory: Path, partitions: Sequence[str], version: str | None, force: bool) -> None:
    """Export a version of a model, and print what it is."""
    started = time.perf_counter()
    if partitions:
        raise ExportError(f"{table.full_name} is a table of models and has no partitions: leave --partition out")
    recipe = current_recipe()
    done = export_model(lake, table, directory, recipe, version=version, force=force, progress=click.echo)
    model = done.model
    print_table(
        ("model", "version", "id", "parameters", "MB"),
        [(model["name"], model["version"], model["id"], model.get("parameters"), round(done.bytes / 1e6, 1))],
    )
    _print_end(done, started)


def _print_end(done: Exported | ExportedModel, started: float) -> None:
    if done.moved_aside:
        click.echo(f"the earlier content of {done.directory} is now in {done.moved_aside}")
    seconds = time.perf_counter() - started
    click.echo(f"{done.directory}: {f'written in {seconds:.1f} s' if done.written else 'up to date, nothing to do'}")
