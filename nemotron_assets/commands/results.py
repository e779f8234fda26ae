"""The subcommands about results, with their options and help texts: the report, and ablations. See cli.py."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def report(file: Path | None) -> None:
    """Make the report of the lake as it is now: one page of HTML, which opens without a network.

    It is written to FILE, or to report.html in the home. `nemotron run` makes it too, after everything else.
    """
    from nemotron_assets.commands.report import report_command

    report_command(file)


@click.command()
@click.argument("ablation", metavar="NAME|FILE")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="As in `nemotron run`.")
def ablate(ablation: str, jobs: int | None) -> None:
    """Measure one change of the recipe: models with and without it, on the same tokens and with several seeds.

    NAME is an ablation of nemotron_assets/recipes/ablations, FILE a YAML file of your own of this form. Everything that
    the change does not concern is read from the lake, and nothing of the lake is changed. The result, with intervals,
    is stored in evaluate.ablations and shown in the report.
    """
    from nemotron_assets.commands.ablate import ablate_command

    ablate_command(ablation, jobs)


RESULTS = (report, ablate)
