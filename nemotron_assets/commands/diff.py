"""`nemotron diff`: what differs between two versions of a table, or between two recipes.

The printed tables have a few examples; `--json` has the same as JSON, and `--csv` every row or document that differs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from nemotron_assets.commands.console import print_table, printable
from nemotron_assets.commands.plan import asset_nodes, assignments, short
from nemotron_assets.commands.recipe_diff import RecipeDiff, recipe_diff
from nemotron_assets.commands.result_files import ResultFile
from nemotron_assets.commands.table_diff import TableDiff, table_diff
from nemotron_assets.commands.tables import find
from nemotron_assets.definitions import lake
from nemotron_assets.recipe import Recipe, current_recipe, load_recipe
from nemotron_assets.recipe.load import changed_recipe
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted

#: Width of the output, in characters, when it does not go to a terminal.
_WIDTH = 120
_SHOWN = 30  # counts that are printed; --json has all


def diff_command(
    what: Sequence[str], *, recipes: Sequence[str], change: Sequence[str], examples: int, as_json: bool, csv: str | None
) -> None:
    """Compare what the arguments name: a table and two versions, or one or two recipes with changes.

    Raises `click.UsageError` for another number of arguments.
    """
    if len(what) == 3 and not (recipes or change):
        with table_diff(lake, find(what[0]), (what[1], what[2])) as found:
            _show(found, _table_document(found, examples), as_json, csv, _print_table_diff)
        return
    if what and (name := what[0].replace("/", ".")) in all_tables():
        raise click.UsageError(
            f"{name} is a table: give two of its versions and nothing else, for example {name} 0 newest; `nemotron "
            f"tables {name}` lists the last ones"
        )
    before, after = _recipes([*what, *recipes], change)
    with recipe_diff(lake, asset_nodes(), before, after) as found:
        _show(found, _recipe_document(found, examples), as_json, csv, _print_recipe_diff)


def _recipes(names: Sequence[str], change: Sequence[str]) -> tuple[Recipe, Recipe]:
    """The recipes before and after: two names, or one (else the recipe in force) and a changed copy of it."""
    if len(names) > 2 or (len(names) < 2) != bool(change):
        raise click.UsageError(
            "give a table and two versions (web.curated 3 newest), two recipes (laptop mine.yaml), or at most one "
            "recipe with --change KEY=VALUE"
        )
    before = load_recipe(names[0]) if names else current_recipe()
    return before, load_recipe(names[1]) if len(names) == 2 else changed_recipe(before, assignments(change))


def _show(found: TableDiff | RecipeDiff, document: dict[str, Any], as_json: bool, csv: str | None, show: Any) -> None:
    if csv:
        ResultFile(csv, "csv").write(found.connection, "select * from changes order by all", safe=True)
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))
    elif csv != "-":
        show(document)


# -- tables ------------------------------------------------------------------------------------------------------------


def _table_document(found: TableDiff, examples: int) -> dict[str, Any]:
    counts = ("change", "partition", "reason", "rows")
    return {
        "table": found.table.full_name,
        "before": {"version": found.versions[0], "at": found.times[0], "rows": found.rows[0]},
        "after": {"version": found.versions[1], "at": found.times[1], "rows": found.rows[1]},
        "files_read": sum(found.files),
        "counts": [dict(zip(counts, row, strict=True)) for row in found.counts()],
        "examples": [
            dict(zip(("change", "reason", "key", "label"), row, strict=True)) for row in found.examples(examples)
        ],
    }


def _print_table_diff(document: dict[str, Any]) -> None:
    for side in ("before", "after"):
        of = document[side]
        rows = "an unknown number of rows" if of["rows"] is None else counted(of["rows"], "row")
        at = f" of {of['at']:%Y-%m-%d %H:%M:%S} UTC" if of["at"] else ""
        click.echo(f"{side}: {document['table']} version {of['version']}{at}, {rows}")
    if not document["counts"]:
        click.echo("the rows are the same")
        return
    click.echo()
    _print_counts(document["counts"], ("change", "partition", "reason", "rows"))
    if document["examples"]:
        click.echo()
        _print(document["examples"], ("change", "reason", "key", "label"))


def _print_counts(counts: list[dict[str, Any]], columns: Sequence[str]) -> None:
    _print(counts[:_SHOWN], columns)
    if len(counts) > _SHOWN:
        click.echo(f"... and {counted(len(counts) - _SHOWN, 'other line')}; --json prints all")


def _print(rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    """A table of at most 120 columns: names and labels are cut, ids stay whole."""
    widths = {"reason": 34, "label": 40, "change": 44, "rule": 24, "partition": 24, "url": 40}
    cells = [[_cut(row[column], widths.get(column)) for column in columns] for row in rows]
    print_table(columns, cells, _WIDTH)


def _cut(value: Any, width: int | None) -> Any:
    text = printable(value) if isinstance(value, str) else value
    return f"{text[: width - 1]}…" if width and isinstance(text, str) and len(text) > width else text


# -- recipes -----------------------------------------------------------------------------------------------------------


def _recipe_document(found: RecipeDiff, examples: int) -> dict[str, Any]:
    counts = ("corpus", "change", "effect", "documents", "characters")
    shown = ("change", "effect", "rule", "number", "id", "label")
    return {
        "values": {key: {"before": old, "after": new} for key, (old, new) in found.values.items()},
        "counts": [dict(zip(counts, row, strict=True)) for row in found.counts()],
        "examples": [dict(zip(shown, row, strict=True)) for row in found.examples(examples)],
        "unevaluated": {
            key: {"stale": first, "stale_in_all": number} for key, (first, number) in found.unevaluated.items()
        },
        "missing": found.missing,
    }


def _print_recipe_diff(document: dict[str, Any]) -> None:
    if not document["values"]:
        click.echo("the recipes have the same values")
        return
    for key, value in document["values"].items():
        if key not in document["unevaluated"]:
            click.echo(f"{key}: {' -> '.join(map(short, _differing(value['before'], value['after'])))}")
    for corpus in document["missing"]:
        click.echo(f"{corpus}: not in the lake yet, so nothing can be said about it")
    for corpus in dict.fromkeys(row["corpus"] for row in document["counts"]):
        click.echo(f"\n{corpus}")
        rows = [row for row in document["counts"] if row["corpus"] == corpus]
        _print_counts(rows, ("change", "effect", "documents", "characters"))
    if len(document["values"]) > len(document["unevaluated"]) and not document["counts"]:
        click.echo("no document enters or leaves a corpus")
    if document["examples"]:
        click.echo()
        _print_examples(document["examples"])
    if document["unevaluated"]:
        click.echo("\nThese values change what is stored, so their effect shows when the assets are made again:")
        rows = [
            {"value": key, "before": short(old["before"])[:24], "after": short(old["after"])[:24], "stale": _stale(of)}
            for key, of in document["unevaluated"].items()
            if (old := document["values"][key])
        ]
        _print(rows, ("value", "before", "after", "stale"))
        click.echo("`nemotron plan --against` or `--change` says what making them again costs.")


def _differing(old: Any, new: Any) -> tuple[Any, Any]:
    """Two values; of two tables of values the entries that differ."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return old, new
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return tuple({name: side[name] for name in names if name in side} for side in (old, new))


def _print_examples(examples: list[dict[str, Any]]) -> None:
    """Examples below the value that decides them."""
    for change, effect in dict.fromkeys((row["change"], row["effect"]) for row in examples):
        click.echo(f"{change}: {effect}")
        rows = [row for row in examples if (row["change"], row["effect"]) == (change, effect)]
        _print(rows, ("rule", "number", "id", "label"))


def _stale(of: dict[str, Any]) -> str:
    """The first stale assets, and how many there are."""
    if not of["stale_in_all"]:
        return "nothing"
    more = of["stale_in_all"] - len(of["stale"][:2])
    return ", ".join(of["stale"][:2]) + (f" and {more:,} more" if more else "")
