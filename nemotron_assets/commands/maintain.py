"""`nemotron maintain`: maintains, verifies or migrates the tables of the lake, or moves one table aside."""

from __future__ import annotations

import click

from nemotron_assets.definitions import lake
from nemotron_assets.lake.migrations import migrate_all
from nemotron_assets.lake.upkeep import maintain_all, set_aside, verify_all
from nemotron_assets.recipe import current_recipe
from nemotron_assets.table.counting import counted
from resources.contract import LakeError
from resources.lakehouse.removing import is_removing


def maintain_command(table: str | None, *, migrate: bool, dry_run: bool, verify: bool) -> bool:
    """Migrate or verify all tables, or move `table` aside if it is given, or maintain all tables; prints one line per
    table. Returns whether every table is whole, as far as was looked."""
    if verify:
        return _verify()
    if is_removing(lake):
        raise LakeError("`nemotron forget` is removing rows from the lake: wait for its end, then repeat the command")
    whole = True
    if migrate:
        lines = migrate_all(lake)
    elif table:
        lines = [set_aside(lake, table)]
    else:
        lines = maintain_all(lake, current_recipe().maintenance, dry_run=dry_run)
    for line in lines:
        whole &= not isinstance(line, LakeError)
        click.echo(str(line))
    if not whole:
        click.echo("failed: some tables cannot be read; the lines above name them and say what to do")
    return whole


def _verify() -> bool:
    """Verify all tables; returns whether all could be checked and are whole."""
    states = []
    for is_whole, line in verify_all(lake):
        states.append(is_whole)
        click.echo(line)
    if False in states:
        click.echo("failed: the lake is damaged; the lines above name each damaged file and say what to do")
    elif None in states:
        tables = counted(states.count(None), "table")
        click.echo(
            f"failed: {tables} could not be checked, because another version of the program wrote them; run `nemotron "
            "maintain --migrate` first. Nothing that was checked is damaged."
        )
    else:
        click.echo("every file is as its commit recorded it")
    return all(states)
