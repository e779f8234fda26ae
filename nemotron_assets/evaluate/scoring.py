"""Scores a model on all benchmarks and held-out texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.evaluate import harness
from nemotron_assets.evaluate.bits_per_byte import measure
from nemotron_assets.evaluate.harness import Score
from nemotron_assets.evaluate.texts import texts_by_domain
from nemotron_assets.text.tokenizer import load

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.evaluate import Evaluate
    from resources.lakehouse import Reader


def score(
    weights: Path, items: pl.DataFrame, texts: Mapping[str, Iterable[str]], recipe: Evaluate, device: str
) -> list[Score]:
    """Score the Hugging Face model in the folder `weights` on the benchmark `items`, and in bits per byte on the
    held-out `texts` of every task. The folder also holds the tokenizer that the model was trained with. Nothing is
    sampled, so the scores are deterministic on one device."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(weights, dtype="auto").to(device)
    shots = {task.name: task.shots for task in recipe.tasks}
    scores, _ = harness.run(
        model,
        AutoTokenizer.from_pretrained(weights),
        items,
        shots,
        recipe.max_items,
        recipe.max_output_tokens,
        recipe.batch_size,
    )
    sizes = recipe.window, recipe.window_overlap, recipe.batch_size
    return scores + [measure(model, load(weights), held_out, *sizes, task) for task, held_out in texts.items()]


class Scoring:
    """Scores models. `readers` are the tables with benchmark items (`benchmarks`) and with held-out texts, `answers` is
    the table with the answers of the models to RULER items."""

    def __init__(self, recipe: Recipe, readers: Mapping[str, Reader], answers: Reader) -> None:
        self._recipe, self._benchmarks = recipe, readers["benchmarks"]
        self._recalls = recall_rows(answers.scan().collect())
        self._tables = {reader.table.full_name: reader.scan() for reader in readers.values()}

    def rows(self, folder: Path, device: str, model_id: str) -> list[dict[str, Any]]:
        """The scores of the Hugging Face model in a folder, as columns of `evaluate.benchmark_scores`."""
        recipe = self._recipe.evaluate
        share, limit = self._recipe.blend.held_out_share, recipe.max_held_out_documents
        texts = texts_by_domain(self._tables, self._recipe.web.heuristics.languages, share, limit)
        scores = score(folder, self._benchmarks.scan().collect(), texts, recipe, device)
        return [*map(as_row, scores), *self._recalls.get(model_id, ())]


def recall_rows(answers: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """{model id: rows of scores} of the answers to RULER items: the mean recall of every task and length, and the mean
    over all tasks of a length, as RULER is reported."""
    tasks = answers.group_by("model_id", "task", "length").agg(
        pl.col("recall").mean().alias("value"),
        (pl.col("recall").std() / pl.len().sqrt()).alias("stderr"),
        pl.len().alias("samples"),
    )
    together = tasks.group_by("model_id", "length").agg(
        pl.lit("ruler").alias("task"),
        pl.col("value").mean(),
        ((pl.col("stderr") ** 2).sum().sqrt() / pl.len()).alias("stderr"),
        pl.col("samples").sum(),
    )
    named = tasks.with_columns(task=pl.format("ruler_{}", "task"))
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in pl.concat([named, together.select(named.columns)]).sort("task", "length").iter_rows(named=True):
        found = Score(row["task"], "recall", row["value"], row["stderr"], 0.0, row["samples"], 0, length=row["length"])
        rows.setdefault(row["model_id"], []).append(as_row(found))
    return rows


def as_row(score: Score) -> dict[str, Any]:
    """A score as columns of `evaluate.benchmark_scores`."""
    row = asdict(score)
    return row | {"unigram_bits_per_byte": row.pop("unigram"), "gzip_bits_per_byte": row.pop("gzip")}


def shown(scores: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the UI shows of new scores."""
    from nemotron_assets.plots import markdown

    return {"scores": markdown(as_markdown(scores)), "models": ", ".join(scores) or "none"}


def as_markdown(scores: Mapping[str, pl.DataFrame]) -> str:
    """The scores of every model as a Markdown table for the UI, with the scores of guessing and of simple models."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    heads = ("task", "length", "metric", "score", "±", "guessing", "single bytes", "gzip -9", "samples", "shots")
    tables = []
    for model, rows in scores.items():
        lines = [f"**{model}**", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for s in rows.iter_rows(named=True):
            simple = (s["unigram_bits_per_byte"], s["gzip_bits_per_byte"])
            figures = (s["value"], s["stderr"], s["random_baseline"], *simple)
            cells = [s["task"], str(s["length"] or ""), s["metric"], *map(number, figures), s["samples"], s["shots"]]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables) or "No model was scored: the lake holds the scores of all models in use."
