"""Compares the answers of each model with those of the models that it was made from, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.suite.tables import SUITE_COMPARISONS
from nemotron_assets.grading.paired import paired
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    import polars as pl

ALL = "all"


def comparison_rows(
    answers: pl.DataFrame, models: Sequence[Mapping[str, Any]], made: Mapping[str, Any]
) -> pl.DataFrame:
    """Rows of `evaluate.suite_comparisons`: `models` (rows of tables of models, with `stage`) against those of their
    parents that are among them. `made` has the columns that say how the rows were made."""
    import polars as pl

    by_id, rows = {model["id"]: model for model in models}, []
    for model in models:
        for parent in filter(None, map(by_id.get, model["parents"])):
            for task, figures in _tasks(answers, parent["id"], model["id"]):
                rows.append(
                    {
                        "id": row_id(SUITE_COMPARISONS.full_name, model["id"], parent["id"], task),
                        "model": model["name"],
                        "model_id": model["id"],
                        "model_version": str(model["version"]),
                        "stage": model["stage"],
                        "before_model": parent["name"],
                        "before_id": parent["id"],
                        "before_stage": parent["stage"],
                        "task": task,
                        **figures,
                        **made,
                    }
                )
    return pl.DataFrame(rows, SUITE_COMPARISONS.empty().schema)


def _tasks(answers: pl.DataFrame, before: str, after: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The comparison of two models for every task, and for all tasks together."""
    own = answers.filter(model_id=after).select("task", "item", after="right")
    pairs = own.join(answers.filter(model_id=before).select("item", before="right"), on="item").sort("task", "item")
    for task in (*pairs["task"].unique().sort(), ALL) if pairs.height else ():
        rows = pairs if task == ALL else pairs.filter(task=task)
        old, new = rows["before"].cast(float), rows["after"].cast(float)
        found = paired(old.to_list(), new.to_list())
        yield (
            task,
            {
                "items": found.items,
                "before": old.mean(),
                "after": new.mean(),
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "p_value": found.p,
                "gained": int((new > old).sum()),
                "lost": int((new < old).sum()),
            },
        )


def summary(rows: pl.DataFrame) -> dict[str, Any]:
    """What the UI shows: every stage against the stage before."""
    from nemotron_assets.plots import markdown

    heads = ("stage", "before", "task", "items", "score before", "after", "difference", "95% interval", "p")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows.iter_rows(named=True):
        interval = f"{row['low']:+.1%} to {row['high']:+.1%}"
        scores = f"{row['before']:.1%}", f"{row['after']:.1%}", f"{row['difference']:+.1%}"
        cells = (
            row["model"],
            row["before_model"],
            row["task"],
            row["items"],
            *scores,
            interval,
            f"{row['p_value']:.4f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return {"comparisons": markdown("\n".join(lines)) if rows.height else "none"}
