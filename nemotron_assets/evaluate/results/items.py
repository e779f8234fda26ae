"""Measures a model item by item: benchmarks of lm-evaluation-harness, and the bits per byte of held-out texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate import bits_per_byte, harness
from nemotron_assets.evaluate.results.result import ItemResult
from nemotron_assets.evaluate.suites import Suite
from nemotron_assets.evaluate.texts import identified, texts_by_domain
from nemotron_assets.models.registry import newest_of_each_name
from nemotron_assets.text.tokenizer import load

if TYPE_CHECKING:
    import polars as pl
    from transformers import PreTrainedModel

    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.evaluate import Evaluate
    from resources.generations import Ledger
    from resources.gpu import Gpu
    from resources.lakehouse import Reader


@dataclass(frozen=True)
class Items:
    """Measures models. `readers` are the tables with benchmark items (`benchmarks`) and with held-out texts, `models`
    are the rows of the models that are measured by id, each with its table (`stage`: "sft_1")."""

    recipe: Recipe
    readers: Mapping[str, Reader]
    models: Mapping[str, Mapping[str, Any]]
    gpu: Gpu
    ledger: Ledger
    log: Callable[[str], None]

    def rows(self, folder: Path, device: str, model_id: str) -> list[dict[str, Any]]:
        """The results of the Hugging Face model in a folder, as columns of `evaluate.item_results`. They are the same
        in every run on one device."""
        return [one.as_row() for one in (*self._read(folder, device, model_id), *self._written(folder, model_id))]

    def _read(self, folder: Path, device: str, model_id: str) -> list[ItemResult]:
        """Held-out texts, and choices: what a model reads. It leaves no memory behind."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        own, stage, found = self.recipe.evaluate, self.models[model_id]["stage"], []
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device)
        if stage in own.models.texts:
            share, limit = self.recipe.blend.held_out_share, own.max_held_out_documents
            tables = {reader.table.full_name: reader.scan() for reader in self.readers.values()}
            held_out = texts_by_domain(tables, self.recipe.web.heuristics.languages, share, limit, identified)
            found += texts(model, folder, held_out, own)
        if stage in own.models.suites:
            lm = harness.likelihoods(model, AutoTokenizer.from_pretrained(folder), own.batch_size)
            found += harness.choice_results(lm, self._items(), own.tasks, own.max_items)
        return found

    def _written(self, folder: Path, model_id: str) -> Iterator[ItemResult]:
        """Answers that a model writes."""
        from nemotron_assets.evaluate.answering import Answering
        from nemotron_assets.evaluate.graded import Graded
        from nemotron_assets.grading.rewards import Rewards

        own, model = self.recipe.evaluate, self.models[model_id]
        plain = own.tasks if model["stage"] in own.models.suites else ()
        chats = own.chat_tasks if model["stage"] in own.models.chat_suites else ()
        if not (chats or any(Suite.named(task.name).grade for task in plain)):
            return
        asked = Answering.of(model, folder, self.recipe.align.rollouts, self.gpu, self.ledger, "benchmarks")
        with Rewards(self.recipe.grading) as rewards:
            by, items = Graded(rewards, self.log), self._items()
            yield from harness.written_results(asked, items, plain, own.max_items, own.max_output_tokens, by)
            yield from harness.chat_results(asked, items, chats, own.max_items, by)

    def _items(self) -> pl.DataFrame:
        return self.readers["benchmarks"].scan().collect()


def in_use(models: Mapping[str, Reader]) -> dict[str, dict[str, Any]]:
    """{id: row} of the newest version of every model name, with the name of its table (`stage`)."""
    found = ((name, row) for name, reader in models.items() for row in newest_of_each_name(reader))
    return {row["id"]: {**row, "stage": name} for name, row in found}


def texts(
    model: PreTrainedModel, folder: Path, by_task: Mapping[str, Iterable[tuple[str, str]]], recipe: Evaluate
) -> list[ItemResult]:
    """The bits per byte of a model on held-out texts, or on their beginnings where the recipe says so. `by_task` is
    {task: (id of the row, text)}."""
    tokenizer, sizes = load(folder), (recipe.window, recipe.window_overlap, recipe.batch_size)
    bits_of_a_token, found = math.log2(tokenizer.get_vocab_size()), []
    for task, rows in by_task.items():
        ids: list[str] = []
        read = bits_per_byte.read(model, tokenizer, _noting(rows, ids, recipe.max_held_out_characters), *sizes, task)
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


def _noting(rows: Iterable[tuple[str, str]], ids: list[str], most: int | None) -> Iterable[str]:
    for id_, text in rows:
        ids.append(id_)
        yield text[:most]


def summary(made: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the UI shows of new results: how many items every model has answered, by task."""
    from nemotron_assets.plots import markdown

    lines = ["| model | task | metric | items | mean score |", "|---|---|---|--:|--:|"]
    for name, rows in made.items():
        for (task, metric), part in rows.group_by("task", "metric", maintain_order=True):
            mean = (part["score"] * part["weight"]).sum() / part["weight"].sum()
            lines.append(f"| {name} | {task} | {metric} | {part['item'].n_unique()} | {mean:.4f} |")
    return {"results": markdown("\n".join(lines)), "models": ", ".join(made) or "none"}
