"""The subcommand that removes data, with its options and help text. See cli.py."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("targets", nargs=-1, metavar="TARGET...")
@click.option("--reason", default="on request", show_default=True, help="Stored as it is: name no target in it.")
@click.option("--dry-run", is_flag=True, help="Only print what would go, what would come back, and what contains it.")
@click.option("--vacuum", is_flag=True, help="Also delete all old versions of the tables, and search what is left.")
@click.option("--verify", is_flag=True, help="Remove nothing; search for the targets and for all that was removed.")
@click.option("--json", "as_json", is_flag=True, help="With --verify: print JSON.")
def forget(targets: tuple[str, ...], reason: str, dry_run: bool, vacuum: bool, verify: bool, as_json: bool) -> None:
    """Take a host, a page, a repository or a row out of everything made from it.

    A TARGET is an address (https://example.org/a), a host (example.org), a repository (owner/name), the id of a row of
    snapshots.pages or code.repositories, or a file with a target on each line. What was dropped because of it comes
    back, and later snapshots leave it out. Models and scores stay; the receipt lists those that contain it. A removal
    that was stopped is finished by the same command.

    With --verify everything that is stored is searched, and the exit code is 1 if something was found.
    """
    if as_json and not verify:
        raise click.UsageError("--json prints what --verify finds: give it together with --verify")
    if verify and (dry_run or vacuum):
        raise click.UsageError("--verify removes nothing: give it without --dry-run and --vacuum")
    if verify:
        from nemotron_assets.commands.verify_removal import verify_command

        is_done = verify_command(targets, as_json=as_json)
    else:
        from nemotron_assets.commands.forget import forget_command

        is_done = forget_command(targets, reason=reason, dry_run=dry_run, vacuum=vacuum)
    if not is_done:
        sys.exit(1)
