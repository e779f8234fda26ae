"""`nemotron forget`: shows what a removal would take, or carries it out and prints its receipt."""

from __future__ import annotations

from collections.abc import Iterable

import click

from nemotron_assets.code.licences.answers import unused
from nemotron_assets.code.licences.tables import SCANS
from nemotron_assets.code.sources.tables import REPOSITORIES
from nemotron_assets.commands.progress import Progress
from nemotron_assets.commands.runner import Runner, Unit
from nemotron_assets.dagster_private import unfinished_statuses
from nemotron_assets.recipe import current_recipe
from nemotron_assets.rights import forgetting, receipt, removal, texts
from nemotron_assets.rights.containing import Contained, contained
from nemotron_assets.rights.made_again import RETURNING
from nemotron_assets.rights.plan import Plan, plan
from nemotron_assets.rights.targets import Target, targets
from nemotron_assets.rights.tombstones import Tombstones, tombstones
from nemotron_assets.table.counting import counted
from nemotron_assets.table.schema import Table
from resources.contract import LakeError
from resources.lakehouse import Lakehouse
from resources.lakehouse.removing import removing

#: Models and scores that are named; the others are counted.
_NAMED = 30


def forget_command(words: Iterable[str], *, reason: str, dry_run: bool, vacuum: bool) -> bool:
    """Remove what the words name, or with `dry_run` only say what would go; returns whether all was done."""
    from nemotron_assets.definitions import lake

    wanted = targets(words)
    click.echo("to be forgotten: " + ", ".join(map(str, wanted[:_NAMED])) + (", …" if len(wanted) > _NAMED else ""))
    if dry_run:
        _show(lake, wanted)
        return True
    with removing(lake):
        return _forget(lake, wanted, reason, vacuum)


def _show(lake: Lakehouse, wanted: list[Target]) -> None:
    """Print what would go."""
    if (begun := removal.begun(lake, wanted)) is not None:
        click.echo(
            f"a removal of it was begun on {begun.at:%Y-%m-%d %H:%M} UTC; the same command without --dry-run ends it"
        )
        return
    found = plan(lake, wanted, lake.identity)
    forgotten = Tombstones(tombstones(wanted, found.contents, salt=lake.identity))
    print_plan(found, list(contained(lake, found, forgotten)))


def _forget(lake: Lakehouse, wanted: list[Target], reason: str, vacuum: bool) -> bool:
    """Remove the targets, or what an earlier run left of them; returns whether nothing is found afterwards."""
    begun = removal.begun(lake, wanted)
    runner = Runner(Progress())
    _refuse_runs(runner)
    for at in removal.unfinished(lake) if begun is None else ():
        click.echo(f"the removal that was begun on {at:%Y-%m-%d %H:%M} UTC has not ended: repeat its command, too")
    if begun is None:
        begun = removal.begin(lake, wanted, reason)
        if not begun.found:
            click.echo("nothing in the lake fits; it is kept out from now on")
    else:
        click.echo(f"going on with the removal that was begun on {begun.at:%Y-%m-%d %H:%M} UTC")
    if not texts.is_remembered(lake, begun.receipt):  # then no row has gone yet
        returning = {table.full_name for table in RETURNING}  # their ids may come back
        ids = {name: found.rows.keys() for name, found in begun.found.items() if name not in returning}
        texts.remember(lake, begun.receipt, texts.evidence_of(lake, ids, wanted))
    inside = receipt.inside_of(lake, begun, wanted)  # before the old versions go
    done = forgetting.carry_out(
        lake,
        begun,
        lambda tables: remake(runner, tables),
        runner.instance,
        wanted=wanted,
        evidence=texts.remembered(lake, [begun.receipt]),
        unused={SCANS: lambda: unused(lake, current_recipe().code.licences)},
        vacuum=vacuum,
        say=click.echo,
    )
    verified = list(receipt.verified(lake, begun, wanted)) if vacuum else []  # old versions hold what was removed
    file = receipt.store(lake, begun, lines := list(receipt.lines_of(done, inside, verified)))
    for line in lines:
        click.echo(_shown(line))
    click.echo(f"receipt {begun.receipt}: {file}; `nemotron run` makes again what follows from the removed rows")
    return not any(line.kind == "found" for line in lines)


def remake(runner: Runner, tables: list[Table]) -> None:
    """List the repositories again, and make tables again as far as they are stale. Raises `LakeError` if one cannot be
    made."""
    # A runner of its own: what is below a failed asset would not run, and sources may be out of reach.
    if REPOSITORIES in tables and not Runner(Progress()).refresh([Unit(REPOSITORIES.asset_key)]):
        click.echo(f"{REPOSITORIES.full_name}: the sources could not be listed again, so it has only lost rows")
    if not runner.run([table.asset_key for table in tables if table != REPOSITORIES]):
        wrong = [f"{unit}: {outcome.note}" for unit, outcome in runner.outcomes.items() if outcome.is_bad]
        if wrong:
            raise LakeError(
                f"not made again: {'; '.join(wrong[:3])}. The rows that were named are gone already; when the cause "
                "is mended, repeat the command, and it removes the rest"
            )


def print_plan(found: Plan, inside: list[Contained]) -> None:
    """Print what would go, table by table, what would come back, and what contains it."""
    if not found.rows:
        click.echo("nothing in the lake fits; without --dry-run it would be kept out from now on")
    for name, rows in found.found.items():
        tokens = f", {rows.tokens:,} tokens" if rows.tokens else ""
        click.echo(f"{len(rows.rows):>12,} rows would go from {name}{tokens}")
    for name, number in found.returning.items():
        what = "spans would come back, which were cut out" if name.endswith("spans") else "rows would come back"
        click.echo(f"{number:>12,} {what} because of them ({name})")
    for c in inside[:_NAMED]:
        share = "" if c.share is None else f", {c.share:.2%} of its tokens or rows"
        which = "may be contained" if c.rows is None and not c.made_from.startswith("model ") else "contained"
        click.echo(f"    {which} in {c.table} {c.name}, made from {c.made_from}{share}")
    if len(inside) > _NAMED:
        click.echo(f"    contained in {counted(len(inside) - _NAMED, 'further row')} of models, scores and exports")


def _shown(line: receipt.Line) -> str:
    versions = "" if line.version_after is None else f" (version {line.version_before} to {line.version_after})"
    share = "" if line.share is None else f", {line.share:.2%} of its tokens or rows"
    return f"{line.kind:>12} {line.place}: {line.detail}{share}{versions}"


def _refuse_runs(runner: Runner) -> None:
    """Raise `LakeError` while runs are going on: they could store again what is removed."""
    import dagster as dg

    if runs := runner.instance.get_runs(dg.RunsFilter(statuses=unfinished_statuses()), limit=1):
        raise LakeError(
            f"run {runs[0].run_id} has not ended: stop it (`nemotron stop`) or wait, then repeat the command"
        )
