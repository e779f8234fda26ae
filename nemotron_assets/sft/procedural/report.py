"""The metadata of `sft.procedural` in the Dagster UI."""

from __future__ import annotations

from typing import Any

import polars as pl

from nemotron_assets.generation.asking import example_markdown
from nemotron_assets.plots import bars, markdown
from nemotron_assets.recipe.sft.procedural import DIFFICULTIES, Procedural
from nemotron_assets.sft.procedural.making import SPLITS
from nemotron_assets.table.markdown import markdown_row


def metadata(rows: pl.LazyFrame, recipe: Procedural, disqualified: dict[str, str]) -> dict[str, Any]:
    """Rows by task, difficulty and split, groups with fewer rows than the recipe wants, and tasks that are not used.

    `disqualified` are the reasons by task and difficulty, of the tasks that this run looked at.
    """
    counted = rows.group_by("task", "difficulty", "split").len().collect(engine="streaming")
    counts = {tuple(row[:3]): row[3] for row in counted.iter_rows()}
    groups = [(level, split) for level in DIFFICULTIES for split in SPLITS]
    wanted = {"train": recipe.train_items, "test": recipe.test_items}
    lines = [
        markdown_row(["task", *(f"{level}, {split}" for level, split in groups)]),
        "|---" + "|--:" * len(groups) + "|",
    ]
    lines += [
        markdown_row([task, *(f"{counts.get((task, *group), 0):,}" for group in groups)]) for task in recipe.tasks
    ]
    short = {
        f"{task}, {level}, {split}": counts.get((task, level, split), 0)
        for task in recipe.tasks
        for level, split in groups
        if counts.get((task, level, split), 0) < wanted[split]
    }
    example = rows.filter(pl.col("split") == "train").select("text").head(1).collect()["text"]
    by_task = counted.group_by("task").agg(pl.col("len").sum()).sort("task")
    return {
        "rows": sum(counts.values()),
        "verified": sum(counts.values()),
        "tasks": by_task.height,
        "rows_by_task": markdown("\n".join(lines)),
        "fewer_than_wanted": short,
        "disqualified_tasks": disqualified,
        "plot": bars(dict(by_task.iter_rows()), "rows by task", "rows"),
        "example": markdown(example_markdown(example[0] if len(example) else "no row")),
    }
