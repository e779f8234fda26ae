"""One model version through all measurements, as rows of the score table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from nemotron_assets.blend.split import is_held_out
from nemotron_assets.blend.tokenizer import load
from nemotron_assets.evaluate import harness
from nemotron_assets.evaluate.bits_per_byte import measure
from nemotron_assets.evaluate.harness import Score
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.recipe import Evaluate
from nemotron_assets.table import row_id

#: The tasks of bits per byte: what is held out of the web, and of source code.
DOCUMENTS, CODE = "held_out_documents", "held_out_code"


def held_out_texts(documents: pl.LazyFrame, share: float, limit: int | None, text: str = "text") -> Iterable[str]:
    """Texts (column `text`) of held-out rows; with a limit those of the lowest content hash, else all, streamed.

    Of the web they are taken from the unique documents, not from the curated ones: so they stay the same when curation
    changes, and scores of models trained on different cuts compare. Of code from the corpus: only there licences allow
    it and secrets are gone. The blend holds out whatever was written from them.
    """
    held_out = documents.filter(is_held_out(share)).select("content_hash", text=text)
    if limit is not None:
        yield from held_out.bottom_k(limit, by="content_hash").collect(engine="streaming").sort("content_hash")["text"]
        return
    for batch in held_out.collect_batches(chunk_size=256, engine="streaming"):
        yield from batch["text"]


def any_held_out(documents: pl.LazyFrame, share: float) -> bool:
    """Whether there is anything held out to measure on: a lake may be without code."""
    held_out = documents.filter(is_held_out(share)).select("content_hash").head(1)
    return held_out.collect(engine="streaming").height > 0


def score(
    weights: Path,
    tokenizer: Path,
    items: pl.DataFrame,
    texts: Mapping[str, Iterable[str]],
    recipe: Evaluate,
    device: str,
) -> list[Score]:
    """Every score of the Hugging Face model in `weights`, bits per byte of the held-out `texts` by task. Deterministic
    on one device: nothing is sampled."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(weights, dtype="auto").to(device)
    shots = {"arc_challenge": recipe.arc_shots, "gsm8k": recipe.gsm8k_shots}
    scores, _ = harness.run(
        model,
        AutoTokenizer.from_pretrained(tokenizer),
        items,
        shots,
        recipe.max_items,
        recipe.max_output_tokens,
        recipe.batch_size,
    )
    sizes = recipe.window, recipe.window_overlap, recipe.batch_size
    return scores + [measure(model, load(tokenizer), held, *sizes, task) for task, held in texts.items()]


def frame(scores: list[Score], model: dict, input_versions: list[str], run_id: str, at) -> pl.DataFrame:
    """Rows of `evaluate.benchmark_scores` for one row of a models table."""
    rows = [
        {
            "id": row_id(BENCHMARK_SCORES.full_name, model["id"], s.task, s.metric),
            "model": model["name"],
            "model_id": model["id"],
            "model_version": str(model["version"]),
            "task": s.task,
            "metric": s.metric,
            "value": s.value,
            "stderr": s.stderr,
            "random_baseline": s.random_baseline,
            "samples": s.samples,
            "shots": s.shots,
            "input_versions": input_versions,
            "run_id": run_id,
            "at": at,
        }
        for s in scores
    ]
    return pl.DataFrame(rows, schema=BENCHMARK_SCORES.empty().schema)


def as_markdown(scores: list[Score]) -> str:
    """The scores as a table for the UI, what guessing scores beside each."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    lines = ["| task | metric | score | ± | guessing | samples | shots |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {s.task} | {s.metric} | {number(s.value)} | {number(s.stderr)} | {number(s.random_baseline)} "
        f"| {s.samples} | {s.shots} |"
        for s in scores
    ]
    return "\n".join(lines)
