"""Scores models on all benchmarks and held-out texts, and makes the rows of the score table, one part per model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.evaluate import harness
from nemotron_assets.evaluate.bits_per_byte import measure
from nemotron_assets.evaluate.harness import Score
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.held_out import is_held_out
from nemotron_assets.models.registry import newest_of_each_name
from nemotron_assets.recipe.evaluate import Evaluate
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.text.tokenizer import load

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader

#: The tasks that are measured in bits per byte: texts held out of the web documents, and of the source code.
DOCUMENTS, CODE = "held_out_documents", "held_out_code"


def held_out_texts(documents: pl.LazyFrame, share: float, limit: int | None, text: str = "text") -> Iterable[str]:
    """The texts of held-out rows, from the column named `text`. With a limit, the texts with the lowest content hashes;
    without one, all texts, streamed.

    Web texts are held out of the unique documents, not of the curated ones. So they stay the same when curation
    changes, and the scores of models trained on different selections can be compared. Code is held out of the curated
    corpus, because only there the licences allow its use and secrets are removed. The blend leaves out everything that
    was written from held-out texts.
    """
    held_out = documents.filter(is_held_out(share)).select("content_hash", text=text)
    if limit is not None:
        yield from held_out.bottom_k(limit, by="content_hash").collect(engine="streaming").sort("content_hash")["text"]
        return
    for batch in held_out.collect_batches(chunk_size=256, engine="streaming"):
        yield from batch["text"]


def any_held_out(documents: pl.LazyFrame, share: float) -> bool:
    """Whether any row is held out. A lake may have no code, for example."""
    held_out = documents.filter(is_held_out(share)).select("content_hash").head(1)
    return held_out.collect(engine="streaming").height > 0


@dataclass(frozen=True)
class Inputs:
    """The tables that a score depends on, in addition to the model."""

    benchmarks: Reader
    documents: Reader
    code: Reader

    def versions(self) -> list[str]:
        """The tables with their Delta versions: "web.unique_documents@3"."""
        return [reader.input_version for reader in (self.documents, self.code, self.benchmarks)]


class Scoring:
    """Scores the models in use in one run of the evaluation."""

    def __init__(
        self, inputs: Inputs, recipe: Recipe, lake: Lakehouse, gpu: Gpu, run_id: str, log: Callable[[str], None]
    ) -> None:
        self.inputs, self.recipe, self.lake, self.gpu, self.run_id, self.log = inputs, recipe, lake, gpu, run_id, log
        self.scored: dict[str, list[Score]] = {}

    def parts(self, tables: Sequence[Reader]) -> Parts:
        """The scores of the newest version of every model name in these tables, one part per model. The stored scores
        of all other models stay in the table."""
        models = [(model, reader) for reader in tables for model in newest_of_each_name(reader)]
        return Parts([self._part(*model) for model in models], metadata=self._metadata, complete=False)

    def _part(self, model: dict[str, Any], reader: Reader) -> Part:
        versions = [reader.input_version, *self.inputs.versions()]
        fingerprint = content_hash("\x1f".join([model["sha256"], *self.inputs.versions()]))
        return Part(model["id"], fingerprint, lambda: self._rows(model, versions))

    def _rows(self, model: dict[str, Any], versions: list[str]) -> pl.DataFrame:
        self.log(f"scoring {model['name']} {model['version']}")
        with self.gpu.lock(self.log) as devices:
            if devices[0].kind == "cuda":
                self.gpu.release()  # a language model that this process keeps leaves no memory for another model
            scores = score(
                self.lake.get_weights(model["uri"]),
                self.inputs.benchmarks.scan().collect(),
                self._texts(),
                self.recipe.evaluate,
                devices[0].label,
            )
        self.scored[f"{model['name']} {model['version']}"] = scores
        return frame(scores, model, versions, self.run_id, datetime.now(UTC))

    def _texts(self) -> dict[str, Iterable[str]]:
        """The held-out texts by task. A lake without code has no held-out code."""
        share, limit = self.recipe.blend.held_out_share, self.recipe.evaluate.max_held_out_documents
        texts = {DOCUMENTS: held_out_texts(self.inputs.documents.scan(), share, limit)}
        if any_held_out(self.inputs.code.scan(), share):
            texts[CODE] = held_out_texts(self.inputs.code.scan(), share, limit, "content")
        return texts

    def _metadata(self) -> dict[str, Any]:
        from nemotron_assets.plots import markdown

        tables = "\n\n".join(f"**{model}**\n\n{as_markdown(scores)}" for model, scores in self.scored.items())
        shown = tables or "No model was scored: the lake holds the scores of all models in use."
        return {"scores": markdown(shown), "models": ", ".join(self.scored) or "none"}


def score(
    weights: Path,
    items: pl.DataFrame,
    texts: Mapping[str, Iterable[str]],
    recipe: Evaluate,
    device: str,
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


def frame(scores: list[Score], model: dict, input_versions: list[str], run_id: str, at) -> pl.DataFrame:
    """The rows of `evaluate.benchmark_scores` for one model, which is a row of a table of models."""
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
    """The scores as a Markdown table for the UI, with the score of guessing beside each."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    lines = ["| task | metric | score | ± | guessing | samples | shots |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {s.task} | {s.metric} | {number(s.value)} | {number(s.stderr)} | {number(s.random_baseline)} "
        f"| {s.samples} | {s.shots} |"
        for s in scores
    ]
    return "\n".join(lines)
