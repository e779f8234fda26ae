"""`nemotron maintain`: compacts, vacuums and cleans up the tables of the lake, or moves one table aside."""

from __future__ import annotations

import click

from nemotron_assets.definitions import lake
from nemotron_assets.lake.upkeep import maintain_all, set_aside
from nemotron_assets.recipe import current_recipe


def maintain_command(table: str | None, dry_run: bool) -> None:
    """Move `table` aside if it is given; else maintain every table and print one line per table."""
    if table:
        click.echo(set_aside(lake, table))
        return
    for result in maintain_all(lake, current_recipe().maintenance, dry_run=dry_run):
        click.echo(str(result))
