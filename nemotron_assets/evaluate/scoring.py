"""Computes the scores of models from their results on items, each with its 95% interval over the items.

Several answers to one item count as one: their mean. So an interval does not shrink because a model was asked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.evaluate.bits_per_byte import ratio_stderr
from nemotron_assets.evaluate.results.result import Score
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts

if TYPE_CHECKING:
    from resources.lakehouse import Reader

BITS = "bits_per_byte"
_Z = 1.959963984540054  # standard errors on each side of a 95% interval


def score_parts(results: Reader, recalls: Reader, suite: Reader, run_id: str) -> Parts:
    """The rows of `evaluate.benchmark_scores`, one part per model, from `evaluate.item_results`,
    `evaluate.ruler_answers` and `evaluate.suite_answers`. The scores of a model whose results did not change are not
    computed again, and scores of models without stored results stay."""
    readers = {item_scores: results, recall_scores: recalls, suite_scores: suite}
    found = {score: reader.parts() if reader.exists else {} for score, reader in readers.items()}
    versions = [reader.input_version for reader in readers.values() if reader.exists]
    made: dict[str, pl.DataFrame] = {}

    def rows(model_id: str) -> pl.DataFrame:
        own = {score: readers[score].part(model_id).scan().collect() for score in found if model_id in found[score]}
        scores = [one for score, frame in own.items() for one in score(frame)]
        row = next(frame for frame in own.values() if frame.height).row(0, named=True)
        common = {name: row[name] for name in ("model", "model_id", "model_version")}
        common |= {"input_versions": versions, "run_id": run_id, "at": datetime.now(UTC)}
        full = [{"id": _id(model_id, one), **common, **one.as_row()} for one in scores]
        made[f"{row['model']} {row['model_version']}"] = frame = pl.DataFrame(full, BENCHMARK_SCORES.empty().schema)
        return frame

    ids = sorted({id_ for parts in found.values() for id_ in parts})
    marks = {id_: content_hash("\x1f".join(parts.get(id_, "") for parts in found.values())) for id_ in ids}
    parts = [Part(id_, marks[id_], lambda id_=id_: rows(id_)) for id_ in ids]
    return Parts(parts, metadata=lambda: shown(made), complete=False)


def _id(model_id: str, score: Score) -> str:
    length = [] if score.length is None else [score.length]
    return row_id(BENCHMARK_SCORES.full_name, model_id, score.task, score.metric, *length)


def item_scores(results: pl.DataFrame) -> Iterator[Score]:
    """The score of every task and metric in rows of `evaluate.item_results` about one model."""
    for (task, metric), rows in results.group_by("task", "metric", maintain_order=True):
        by_item = rows.group_by("item", maintain_order=True).agg(
            pl.col("score", "weight", "guessing").mean(), runs=pl.len()
        )
        simple = {name: rows[f"{name}_bits_per_byte"][0] for name in ("unigram", "gzip")}
        guessing = float((by_item["guessing"] * by_item["weight"]).sum() / by_item["weight"].sum())
        shots, runs = int(rows["shots"].max()), int(by_item["runs"].max())
        values = by_item["score"].to_list(), by_item["weight"].to_list()
        yield _score(task, metric, *values, random_baseline=guessing, shots=shots, runs=runs, **simple)


def suite_scores(answers: pl.DataFrame) -> Iterator[Score]:
    """The share of right answers to the items of every task of the suite, and of all items, in rows of
    `evaluate.suite_answers` about one model."""
    named = [(f"suite_{task}", rows) for (task,), rows in answers.sort("task").group_by("task", maintain_order=True)]
    for task, rows in [*named, ("suite", answers)] if named else ():
        right = rows["right"].cast(pl.Float64).to_list()
        yield _score(task, "right", right, [1.0] * len(right), random_baseline=0.0)


def recall_scores(answers: pl.DataFrame) -> Iterator[Score]:
    """The mean recall of every task and length of RULER, and the mean over all tasks of a length, as RULER is reported,
    in rows of `evaluate.ruler_answers` about one model."""
    for (length,), at_length in answers.sort("length", "task").group_by("length", maintain_order=True):
        tasks = []
        for (task,), rows in at_length.group_by("task", maintain_order=True):
            values = rows["recall"].to_list()
            weights = [1.0] * len(values)
            tasks.append(_score(f"ruler_{task}", "recall", values, weights, random_baseline=0.0, length=length))
        errors = [task.stderr for task in tasks]
        known = None if None in errors else math.sqrt(sum(error**2 for error in errors)) / len(tasks)
        mean, samples = sum(task.value for task in tasks) / len(tasks), sum(task.samples for task in tasks)
        together = Score("ruler", "recall", mean, known, 0.0, samples, 0, length=length)
        yield from (*tasks, _with_interval(together, right_or_wrong=False))


def _score(task: str, metric: str, values: Sequence[float], weights: Sequence[float], **more: Any) -> Score:
    """The weighted mean of the values of items."""
    sums = [value * weight for value, weight in zip(values, weights, strict=True)]
    mean, error = sum(sums) / sum(weights), ratio_stderr(sums, weights)
    score = Score(task=task, metric=metric, value=mean, stderr=error, samples=len(values), **{"shots": 0, **more})
    return _with_interval(score, set(values) <= {0.0, 1.0} and len(set(weights)) == 1)


def _with_interval(score: Score, right_or_wrong: bool) -> Score:
    from dataclasses import replace

    if right_or_wrong:
        low, high = wilson(score.value, score.samples)
    elif score.stderr is None:
        return score
    else:
        low, high = score.value - _Z * score.stderr, score.value + _Z * score.stderr
        if score.metric != BITS:  # the others are shares
            low, high = max(0.0, low), min(1.0, high)
    return replace(score, low=low, high=high)


def wilson(share: float, items: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share of right answers. Unlike the mean plus and minus standard errors it is right for
    few items and for shares near 0 and 1."""
    square = _Z * _Z / items
    middle = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / items + square / (4 * items))
    return max(0.0, middle - half), min(1.0, middle + half)


def shown(scores: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the UI shows of new scores."""
    from nemotron_assets.plots import markdown

    return {"scores": markdown(as_markdown(scores)), "models": ", ".join(scores) or "none"}


def as_markdown(scores: Mapping[str, pl.DataFrame]) -> str:
    """The scores of every model as a Markdown table for the UI, with the scores of guessing and of simple models."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    heads = (
        "task",
        "length",
        "metric",
        "score",
        "low",
        "high",
        "guessing",
        "single bytes",
        "gzip -9",
        "items",
        "shots",
    )
    tables = []
    for model, rows in scores.items():
        lines = [f"**{model}**", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for s in rows.iter_rows(named=True):
            simple = (s["unigram_bits_per_byte"], s["gzip_bits_per_byte"])
            figures = (s["value"], s["low"], s["high"], s["random_baseline"], *simple)
            cells = [s["task"], str(s["length"] or ""), s["metric"], *map(number, figures), s["samples"], s["shots"]]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables) or "No model was scored: the lake holds the scores of all models in use."
