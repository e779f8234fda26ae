"""Compares two models item by item: which items flipped, the interval of the difference, and whether it is chance.

The models must have answered the same items. Several answers of a model to one item count as their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.suite.tables import SUITE_ANSWERS
from nemotron_assets.evaluate.tables import RULER_ANSWERS
from nemotron_assets.grading.paired import mcnemar, paired

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Lakehouse

#: Of this metric a lower score is better; of all others a higher one.
BITS = "bits_per_byte"
#: How much worse than its teacher a compressed model may be: share of right answers, bits per byte.
MOST_LOST, MOST_BITS = 0.05, 0.03
MCNEMAR, PERMUTATION = "McNemar", "permutation"


class NothingInCommon(ValueError):
    """Two models have no result for the same item. The message says what each has results for."""


@dataclass(frozen=True)
class Comparison:
    """Two models on the items of a task that both have answered.

    `first` and `second` are their scores, `difference` is second - first, `low` to `high` its 95% interval (paired
    bootstrap over items). `better` and `worse` count the items on which the second model is better and worse. `p` is
    the two-sided probability of such a difference by chance: by McNemar's exact test where every answer is right or
    wrong, else by drawing the sign of each item's difference; `test` names the test.
    """

    task: str
    metric: str
    length: int | None
    items: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    test: str
    better: int
    worse: int


def item_scores(lake: Lakehouse, model_id: str) -> pl.DataFrame:
    """All results of a model by item, of benchmarks, texts, RULER and the suite, as the view `evaluate.item_scores`
    has them."""
    import polars as pl

    shown = {
        ITEM_RESULTS: {"length": pl.lit(None, pl.Int64)},
        RULER_ANSWERS: {
            "task": pl.format("ruler_{}", "task"),
            "metric": pl.lit("recall"),
            "run": pl.lit(0, pl.Int32),
            "shots": pl.lit(0, pl.Int32),
            "score": pl.col("recall"),
            "weight": pl.lit(1.0),
        },
        SUITE_ANSWERS: {
            "task": pl.format("suite_{}", "task"),
            "metric": pl.lit("right"),
            "length": pl.lit(None, pl.Int64),
            "run": pl.lit(0, pl.Int32),
            "shots": pl.lit(0, pl.Int32),
            "score": pl.col("right").cast(pl.Float64),
            "weight": pl.lit(1.0),
        },
    }
    columns = ("task", "metric", "length", "shots", "item", "run", "score", "weight", "answer")
    readers = {table: lake.read(table) for table in shown}
    frames = [
        readers[table].scan().filter(pl.col("model_id") == model_id).with_columns(**made).select(columns).collect()
        for table, made in shown.items()
        if readers[table].exists
    ]
    empty = pl.DataFrame(schema={name: ITEM_RESULTS.empty().schema.get(name, pl.Int64) for name in columns})
    return pl.concat([empty, *frames])


def pairs(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """The items of which both models have a result, after as many worked examples: task, metric, length, shots, item,
    weight, and `first` and `second` with the scores, `first_answer` and `second_answer`. Raises `NothingInCommon` if
    there is no such item."""
    import polars as pl

    key = ["task", "metric", "length", "shots", "item"]

    def by_item(rows: pl.DataFrame, name: str) -> pl.DataFrame:
        together = pl.col("score").mean().alias(name), pl.col("answer").first().alias(f"{name}_answer")
        return rows.sort("run").group_by(key).agg(*together, pl.col("weight").first())

    found = by_item(first, "first").join(by_item(second, "second").drop("weight"), on=key, nulls_equal=True).sort(key)
    if found.is_empty():
        raise NothingInCommon(
            f"the models have no item in common: the first has results for {_tasks(first)}, the second for "
            f"{_tasks(second)}. `nemotron run evaluate/item_results evaluate/suite_answers` measures the newest models."
            " An item whose content changed is another item, and so is an item after other worked examples"
        )
    return found


def _tasks(rows: pl.DataFrame) -> str:
    return ", ".join(rows["task"].unique().sort()) or "no item"


def compared(found: pl.DataFrame) -> Iterator[Comparison]:
    """The comparison of two models for every task and metric in the frame of `pairs`, and for all tasks of the suite
    together (`suite`)."""
    import polars as pl

    suite = found.filter(pl.col("task").str.starts_with("suite_")).with_columns(task=pl.lit("suite"))
    for (task, metric, length), rows in pl.concat([found, suite]).group_by(
        "task", "metric", "length", maintain_order=True
    ):
        weights = rows["weight"].to_list()
        result = paired(rows["first"].to_list(), rows["second"].to_list(), weights=weights)
        better, worse = _better(rows).sum(), _better(rows, "second", "first").sum()
        exact = right_or_wrong(rows)
        yield Comparison(
            task=task,
            metric=metric,
            length=length,
            items=result.items,
            first=(rows["first"] * rows["weight"]).sum() / sum(weights),
            second=(rows["second"] * rows["weight"]).sum() / sum(weights),
            difference=result.difference,
            low=result.low,
            high=result.high,
            p=mcnemar(better, worse) if exact else result.p,
            test=MCNEMAR if exact else PERMUTATION,
            better=int(better),
            worse=int(worse),
        )


def against_teacher(found: pl.DataFrame) -> tuple[bool, dict[str, str]]:
    """Whether a compressed model keeps up with its teacher in the frame of `pairs` (teacher, model), and the figures in
    words: the 95% interval of its right answers to the suite lies above -MOST_LOST, and its bits per byte are in the
    mean over the kinds of texts at most MOST_BITS above those of the teacher. Scores that are missing do not pass."""
    import polars as pl

    of_suite = found.filter(pl.col("task").str.starts_with("suite_")).with_columns(task=pl.lit("suite"))
    suite, texts = next(compared(of_suite), None), list(compared(found.filter(metric=BITS)))
    shown = {
        one.task: f"{one.difference / one.first:+.2%} ({one.low / one.first:+.2%} to {one.high / one.first:+.2%}), "
        f"{one.items} texts"
        for one in texts
    }
    if suite:
        shown["suite"] = f"{suite.difference:+.2%} ({suite.low:+.2%} to {suite.high:+.2%}), {suite.items} items"
    bits = sum(one.second for one in texts) / sum(one.first for one in texts) - 1 if texts else None
    return suite is not None and suite.low >= -MOST_LOST and bits is not None and bits <= MOST_BITS, shown


def _better(rows: pl.DataFrame, than: str = "first", one: str = "second") -> pl.Series:
    """Whether the score of `one` is better, by item."""
    lower = rows["metric"] == BITS
    return (lower & (rows[one] < rows[than])) | (~lower & (rows[one] > rows[than]))


def right_or_wrong(rows: pl.DataFrame) -> bool:
    """Whether every answer of both models is right or wrong."""
    import polars as pl

    return rows["metric"][0] != BITS and bool(
        rows.select((pl.col("first").is_in([0.0, 1.0]) & pl.col("second").is_in([0.0, 1.0])).all()).item()
    )


def flipped(found: pl.DataFrame) -> list[Mapping[str, Any]]:
    """The items that one model answered right and the other wrong, in the frame of `pairs`: the items that the second
    lost first, then those that it gained."""
    import polars as pl

    gained = (pl.col("first") == 0) & (pl.col("second") == 1)
    lost = (pl.col("first") == 1) & (pl.col("second") == 0)
    rows = found.filter((gained | lost) & (pl.col("metric") != BITS)).with_columns(gained=pl.col("second") == 1)
    return rows.sort("gained", "task", "metric", "item").to_dicts()
