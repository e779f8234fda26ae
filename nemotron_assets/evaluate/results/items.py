"""Measures a model item by item: benchmarks of lm-evaluation-harness, and the bits per byte of held-out texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate import bits_per_byte, harness
from nemotron_assets.evaluate.results.result import ItemResult
from nemotron_assets.evaluate.texts import identified, texts_by_domain
from nemotron_assets.models.registry import newest_of_each_name
from nemotron_assets.text.tokenizer import load

if TYPE_CHECKING:
    import polars as pl
    from transformers import PreTrainedModel

    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.evaluate import Evaluate
    from resources.lakehouse import Reader


class Items:
    """Measures models. `readers` are the tables with benchmark items (`benchmarks`) and with held-out texts, `models`
    are the tables of the models by their name without schema ("sft_1")."""

    def __init__(self, recipe: Recipe, readers: Mapping[str, Reader], models: Mapping[str, Reader]) -> None:
        self._recipe, self._benchmarks = recipe, readers["benchmarks"]
        self._stages = {row["id"]: name for name, reader in models.items() for row in newest_of_each_name(reader)}
        self._tables = {reader.table.full_name: reader.scan() for reader in readers.values()}

    def rows(self, folder: Path, device: str, model_id: str) -> list[dict[str, Any]]:
        """The results of the Hugging Face model in a folder, as columns of `evaluate.item_results`. Nothing is
        sampled, so they are the same in every run on one device."""
        from transformers import AutoModelForCausalLM

        own, stage = self._recipe.evaluate, self._stages[model_id]
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device)
        found: list[ItemResult] = []
        if stage in own.models.suites:
            found += suites(model, folder, self._benchmarks.scan().collect(), own)
        if stage in own.models.texts:
            share, limit = self._recipe.blend.held_out_share, own.max_held_out_documents
            languages = self._recipe.web.heuristics.languages
            found += texts(model, folder, texts_by_domain(self._tables, languages, share, limit, identified), own)
        return [result.as_row() for result in found]


def suites(model: PreTrainedModel, folder: Path, items: pl.DataFrame, recipe: Evaluate) -> list[ItemResult]:
    """The results of a model on benchmark items. The folder holds the tokenizer that the model was trained with."""
    from transformers import AutoTokenizer

    shots, sizes = {task.name: task.shots for task in recipe.tasks}, (recipe.max_output_tokens, recipe.batch_size)
    return harness.run(model, AutoTokenizer.from_pretrained(folder), items, shots, recipe.max_items, *sizes)


def texts(
    model: PreTrainedModel, folder: Path, by_task: Mapping[str, Iterable[tuple[str, str]]], recipe: Evaluate
) -> list[ItemResult]:
    """The bits per byte of a model on held-out texts: {task: (id of the row, text)}."""
    tokenizer, sizes = load(folder), (recipe.window, recipe.window_overlap, recipe.batch_size)
    bits_of_a_token, found = math.log2(tokenizer.get_vocab_size()), []
    for task, rows in by_task.items():
        ids: list[str] = []
        read = bits_per_byte.read(model, tokenizer, _noting(rows, ids), *sizes, task)
        found += [
            ItemResult(
                task=task,
                item=id_,
                metric="bits_per_byte",
                score=bits / size,
                guessing=tokens * bits_of_a_token / size,
                weight=size,
                unigram_bits_per_byte=read.unigram,
                gzip_bits_per_byte=read.gzip,
            )
            for id_, bits, size, tokens in zip(ids, read.bits, read.sizes, read.tokens, strict=True)
            if size
        ]
    return found


def _noting(rows: Iterable[tuple[str, str]], ids: list[str]) -> Iterable[str]:
    for id_, text in rows:
        ids.append(id_)
        yield text


def summary(made: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the UI shows of new results: how many items every model has answered, by task."""
    from nemotron_assets.plots import markdown

    lines = ["| model | task | metric | items | mean score |", "|---|---|---|--:|--:|"]
    for name, rows in made.items():
        for (task, metric), part in rows.group_by("task", "metric", maintain_order=True):
            mean = (part["score"] * part["weight"]).sum() / part["weight"].sum()
            lines.append(f"| {name} | {task} | {metric} | {part['item'].n_unique()} | {mean:.4f} |")
    return {"results": markdown("\n".join(lines)), "models": ", ".join(made) or "none"}
