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


@click.command()
@click.argument("what", nargs=-1, metavar="TABLE VERSION VERSION | RECIPE RECIPE")
@click.option("--recipe", "recipes", multiple=True, metavar="NAME|FILE", help="A recipe, as an argument; repeatable.")
@click.option("--change", multiple=True, metavar="KEY=VALUE", help="Compare with this change of a recipe; repeatable.")
@click.option("--examples", default=3, show_default=True, type=click.IntRange(min=0), help="Examples of every change.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", metavar="FILE|-", help="Write every row or document that differs as CSV.")
def diff(
    what: tuple[str, ...],
    recipes: tuple[str, ...],
    change: tuple[str, ...],
    examples: int,
    as_json: bool,
    csv: str | None,
) -> None:
    """Show what differs between two versions of a table, or between two recipes.

    Of a TABLE (web.curated 3 newest): the rows that were added, removed and changed, by partition and reason. Of
    recipes: the documents that enter or leave a corpus because of each value, from the numbers that the lake has, and
    the values whose effect shows only when something is made again. With --change name one recipe, or no recipe to
    change the one in force.
    """
    from nemotron_assets.commands.diff import diff_command

    diff_command(what, recipes=recipes, change=change, examples=examples, as_json=as_json, csv=csv)


RESULTS = (report, ablate, diff)
