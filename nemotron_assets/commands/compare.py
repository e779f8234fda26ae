"""`nemotron compare`: compares two models of the lake item by item, and lists the items that flipped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from nemotron_assets.commands.console import print_table, printable_line
from nemotron_assets.commands.models import find_model
from nemotron_assets.definitions import lake
from nemotron_assets.evaluate.results.comparing import (
    Comparison,
    NothingInCommon,
    compared,
    flipped,
    item_scores,
    pairs,
)


def compare_command(first: str, second: str, *, task: str | None, most: int, as_json: bool) -> None:
    """Print the comparison of two models. Raises `ModelError` for a model that the lake does not have, and
    `NothingInCommon` for models without a common item."""
    import polars as pl

    rows = [find_model(lake, wanted)[1] for wanted in (first, second)]
    found = pairs(*(item_scores(lake, row["id"]) for row in rows))
    if task is not None:
        wanted = pl.col("task").str.starts_with("suite_") if task == "suite" else pl.col("task") == task
        known, found = sorted(set(found["task"])), found.filter(wanted)
        if found.is_empty():
            raise NothingInCommon(f"the models have no item of the task {task!r} in common, only of {', '.join(known)}")
    results, items = list(compared(found)), flipped(found)
    if as_json:
        models = [{name: row[name] for name in ("id", "name", "version")} for row in rows]
        said = {"models": models, "tasks": [asdict(one) for one in results], "flipped": items}
        print(json.dumps(said, indent=2, ensure_ascii=False))
        return
    for name, row in zip(("first", "second"), rows, strict=True):
        click.echo(printable_line(f"{name}: {row['name']} {row['version']}, id {row['id']}"))
    _print(results, items, most)


def _print(results: Sequence[Comparison], items: Sequence[Mapping[str, Any]], most: int) -> None:
    heads = ("task", "metric", "items", "first", "second", "difference", "95% interval", "p", "test", "better", "worse")
    lines = []
    for one in results:
        task = one.task if one.length is None else f"{one.task} {one.length}"
        interval, scores = f"{one.low:+.4f} to {one.high:+.4f}", (round(one.first, 4), round(one.second, 4))
        probability = f"{one.p:.2g}" if one.p < 0.001 else f"{one.p:.3f}"
        tested = (f"{one.difference:+.4f}", interval, probability, one.test, one.better, one.worse)
        lines.append((task, one.metric, one.items, *scores, *tested))
    print_table(heads, lines)
    if not items or not most:
        return
    click.echo(f"\n{len(items):,} items flipped{f', of which {most} are shown' if len(items) > most else ''}:")
    shown = [("gained" if i["gained"] else "lost", i["task"], i["metric"], i["item"]) for i in items[:most]]
    answers = [(i["first_answer"], i["second_answer"]) for i in items[:most]]
    heads = ("flip", "task", "metric", "item", "answer of the first", "answer of the second")
    print_table(heads, [(*row, *both) for row, both in zip(shown, answers, strict=True)])
