"""`nemotron forget --verify`: searches everything that is stored for what was removed, and says what is not proven."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace

import click

from nemotron_assets.commands.console import printable
from nemotron_assets.definitions import lake
from nemotron_assets.rights.evidence import Evidence
from nemotron_assets.rights.targets import Target, targets
from nemotron_assets.rights.texts import not_remembered, remembered
from nemotron_assets.rights.verify import NOT_PROVEN, Finding, Verified, roots, verify
from nemotron_assets.table.counting import counted

_WIDTH, _FILES, _LINES = 120, 3, 4  # characters of a line; files of a store, and findings of a file that are printed
_EVERY = 2.0  # seconds between two reports of progress


def verify_command(words: Sequence[str], *, as_json: bool = False) -> bool:
    """Search for what the words name, and for what all removals of this lake took; returns whether nothing was found
    and everything could be read."""
    wanted, evidence, missing = targets(words) if words else [], remembered(lake), not_remembered(lake)
    if not wanted and not evidence.ids and not missing:
        raise click.UsageError("nothing was removed from this lake yet: name what to search for")
    found = search(wanted, evidence)
    found = replace(found, unread=found.unread | missing)
    if as_json:
        document = asdict(found) | {"not_proven": NOT_PROVEN, "is_clean": found.is_clean}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print_verified(found, wanted, evidence)
    return found.is_clean


def search(wanted: Iterable[Target], evidence: Evidence) -> Verified:
    """The result of `verify` for this lake and home, with progress on the standard error of a terminal."""
    return verify(
        wanted, evidence, roots() | {"lake": lake.root}, _progress() if sys.stderr.isatty() else lambda *numbers: None
    )


def _progress() -> Callable[[int, int, int], None]:
    shown = [time.monotonic()]

    def show(files: int, of: int, size: int) -> None:
        if time.monotonic() - shown[0] > _EVERY:
            shown[0] = time.monotonic()
            click.echo(f"{files:,} of {of:,} files read, {size / 1e6:,.0f} MB", err=True)

    return show


def print_verified(found: Verified, wanted: Sequence[Target], evidence: Evidence) -> None:
    """Print what was searched for, what was found in which store, and what is not proven."""
    parts = [counted(len(evidence.ids), "id"), counted(len(evidence.pieces), "piece") + " of texts"]
    share = f" (one in {evidence.every} of them)" if evidence.every > 1 else ""
    click.echo(
        f"searched {counted(found.files, 'file')}, {found.bytes / 1e6:,.1f} MB, for {' and '.join(parts)}{share}"
    )
    for target in wanted:
        click.echo(f"  and for {printable(str(target))}")
    if wanted and not evidence.ids:
        click.echo("no removal is remembered in this lake, so only addresses and ids were searched for")
    for path, problem in found.unread.items():
        click.echo(f"not read to the end: {path}: {printable(problem)}")
    _print_findings(found.findings)
    click.echo()
    click.echo("not proven:")
    for sentence in NOT_PROVEN:
        click.echo(f"  {sentence}")
    stores = len({finding.store for finding in found.findings})
    if found.findings:
        click.echo(f"\nfailed: {counted(len(found.findings), 'finding')} in {counted(stores, 'store')}")
    elif found.unread:
        click.echo(f"\nfailed: {counted(len(found.unread), 'file')} could not be read")
    else:
        click.echo("\nnothing was found")


def _print_findings(findings: Sequence[Finding]) -> None:
    """The findings by store and file, as lines of at most 120 characters; of many files of a store the first ones."""
    for store in dict.fromkeys(finding.store for finding in findings):
        of_store = [finding for finding in findings if finding.store == store]
        paths = list(dict.fromkeys(finding.path for finding in of_store))
        click.echo(f"\n{store}: {counted(len(of_store), 'finding')} in {counted(len(paths), 'file')}")
        for path in paths[:_FILES]:
            click.echo(f"  {printable(path)}")
            inside = [finding for finding in of_store if finding.path == path]
            for finding in inside[:_LINES]:
                click.echo(f"    {_line(finding)}")
            if len(inside) > _LINES:
                click.echo(f"    ... and {counted(len(inside) - _LINES, 'further finding')}")
        if len(paths) > _FILES:
            click.echo(f"  ... and {counted(len(paths) - _FILES, 'further file')}; --json lists all")


def _line(finding: Finding) -> str:
    what = " ".join(filter(None, (finding.what, printable(finding.name))))
    rows = f" ({', '.join(finding.rows)})" if finding.rows else ""
    line = f"{what} in {finding.where or 'the file'}, {counted(finding.cells, 'cell')}{rows}"
    return line if len(line) <= _WIDTH - 4 else f"{line[: _WIDTH - 5]}…"
