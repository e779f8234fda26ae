"""The subcommand that removes data, with its options and help text. See cli.py."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--reason", default="on request", show_default=True, help="Stored with tombstones and commits.")
@click.option("--dry-run", is_flag=True, help="Only print what would go, what would come back, and what contains it.")
@click.option("--vacuum", is_flag=True, help="Also delete all old versions of the tables from the disk.")
def forget(targets: tuple[str, ...], reason: str, dry_run: bool, vacuum: bool) -> None:
    """Take a host, a page, a repository or a row out of everything made from it.

    A TARGET is an address (https://example.org/a), a host (example.org), a repository (owner/name), the id of a row of
    snapshots.pages or code.repositories, or a file with a target on each line. What was dropped because of it comes
    back, and later snapshots leave it out. Models and scores stay; the receipt lists those that contain it. A removal
    that was stopped is finished by the same command.
    """
    from nemotron_assets.commands.forget import forget_command

    if not forget_command(targets, reason=reason, dry_run=dry_run, vacuum=vacuum):
        sys.exit(1)
