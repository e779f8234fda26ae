"""`nemotron maintain`: maintains or migrates the tables of the lake, or moves one table aside."""

from __future__ import annotations

import click

from nemotron_assets.definitions import lake
from nemotron_assets.lake.migrations import migrate_all
from nemotron_assets.lake.upkeep import maintain_all, set_aside
from nemotron_assets.recipe import current_recipe


def maintain_command(table: str | None, *, migrate: bool, dry_run: bool) -> None:
    """Migrate all tables, or move `table` aside if it is given, or maintain all tables; prints one line per table."""
    if migrate:
        lines = migrate_all(lake)
    elif table:
        lines = [set_aside(lake, table)]
    else:
        lines = map(str, maintain_all(lake, current_recipe().maintenance, dry_run=dry_run))
    for line in lines:
        click.echo(line)
