"""Times a model and a plain Transformer of its size in the same engine, one after the other, and compares them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from nemotron_assets.model.peer import parameters, peer, write
from nemotron_assets.table.scratch import scratch_folder

if TYPE_CHECKING:
    import polars as pl
    from transformers import PretrainedConfig

    from nemotron_assets.recipe.evaluate_throughput import Throughput
    from resources.engine_timing import TimedEngine, Timing
    from resources.gpu import Gpu

#: Makes the engine of a folder with a configuration: (folder, name).
Start = Callable[[Path, str], "TimedEngine"]


class ThroughputError(RuntimeError):
    """Nothing could be measured. The message says what to change in the recipe."""


@dataclass(frozen=True, order=True)
class Batch:
    """What the requests of a batch have: tokens of the prompt, tokens that are written; and their number."""

    input_tokens: int
    output_tokens: int
    size: int


def batches(recipe: Throughput) -> list[Batch]:
    """The batches of the recipe."""
    return [Batch(*lengths, size) for lengths in recipe.lengths for size in recipe.batches]


def timings(engine: TimedEngine, vocabulary: int, recipe: Throughput) -> dict[Batch, list[Timing]]:
    """The timings of every batch. A batch that does not fit the engine's cache at once is left out."""
    numbers, found = random.Random(0), {}

    def prompts(batch: Batch) -> list[list[int]]:
        return [numbers.choices(range(vocabulary), k=batch.input_tokens) for _ in range(batch.size)]

    try:
        engine.time(prompts(Batch(recipe.warm_up, 2, 1)), 2)
        for batch in batches(recipe):
            runs = [engine.time(prompts(batch), batch.output_tokens) for _ in range(recipe.runs)]
            if all(run.together for run in runs):
                found[batch] = runs
    finally:
        engine.close()
    return found


def compared(config: PretrainedConfig, recipe: Throughput, start: Start, scratch: Path) -> list[dict[str, Any]]:
    """Columns of `evaluate.throughput`, but for those of the device, for a model's configuration.

    Raises `ThroughputError` for a context longer than the model's, and when no batch fits the cache of both.
    """
    if recipe.context > config.max_position_embeddings:
        raise ThroughputError(
            f"a prompt with its answer has {recipe.context} tokens, but the model's context is "
            f"{config.max_position_embeddings}: shorten evaluate.throughput.lengths"
        )
    other = peer(config, recipe.context)
    found = []
    for name, one in (("model", config), ("transformer", other)):
        write(one, scratch / name)
        found.append(timings(start(scratch / name, name), config.vocab_size, recipe))
    ours, theirs = found
    if not (both := [batch for batch in ours if batch in theirs]):
        raise ThroughputError("no batch fits the cache: give the engine more (llm.kv_cache_gb), or shorten the lengths")
    shape = f"{other.model_type}, {other.num_hidden_layers} layers of {other.hidden_size}"
    sizes = {"parameters": parameters(config), "peer": shape, "peer_parameters": parameters(other)}
    return [sizes | row(batch, ours[batch], theirs[batch]) for batch in both]


def row(batch: Batch, ours: Sequence[Timing], theirs: Sequence[Timing]) -> dict[str, Any]:
    """The speeds of one batch: medians, their ratios, and the ratios that the spread of the runs allows."""
    reading, writing = [one.prefill_rate for one in ours], [one.decode_rate for one in ours]
    peer_reading, peer_writing = [one.prefill_rate for one in theirs], [one.decode_rate for one in theirs]
    return {
        "input_tokens": batch.input_tokens,
        "output_tokens": batch.output_tokens,
        "batch": batch.size,
        "runs": len(ours),
        "prefill_rate": median(reading),
        "peer_prefill_rate": median(peer_reading),
        "prefill_ratio": median(reading) / median(peer_reading),
        "decode_rate": median(writing),
        "peer_decode_rate": median(peer_writing),
        "decode_ratio": median(writing) / median(peer_writing),
        "decode_ratio_low": min(writing) / max(peer_writing),
        "decode_ratio_high": max(writing) / min(peer_writing),
    }


class Speeds:
    """Measures models for `evaluate.throughput`."""

    def __init__(self, recipe: Throughput, gpu: Gpu) -> None:
        self._recipe, self._gpu = recipe, gpu

    def rows(self, folder: Path, device: str, model_id: str) -> list[dict[str, Any]]:
        """The speeds of the model in a folder, of which only the configuration is read."""
        from transformers import AutoConfig

        most = max(self._recipe.batches)

        def start(own: Path, name: str) -> TimedEngine:
            return self._gpu.timed_engine(own, name, self._recipe.context, most)

        with scratch_folder("nemotron-throughput-") as scratch:
            found = compared(AutoConfig.from_pretrained(folder), self._recipe, start, scratch)
        return [one | {"device": device.partition(":")[0]} for one in found]


def as_markdown(rows: pl.DataFrame) -> str:
    """The ratios of models to plain Transformers as a Markdown table."""
    heads = ("model", "in", "out", "batch", "decode ratio", "of the runs", "prefill ratio")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for one in rows.sort("model", "input_tokens", "output_tokens", "batch").iter_rows(named=True):
        spread = f"{one['decode_ratio_low']:.2f} to {one['decode_ratio_high']:.2f}"
        ratios = f"{one['decode_ratio']:.2f}", spread, f"{one['prefill_ratio']:.2f}"
        cells = (one["model"], one["input_tokens"], one["output_tokens"], one["batch"], *ratios)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def points(speeds: pl.DataFrame, answers: pl.DataFrame) -> Iterator[tuple[str, float, float]]:
    """(model, decode ratio, accuracy) of every measured model: its ratio at the longest prompt and smallest batch, and
    its share of right answers to the suite (rows of `evaluate.suite_answers`)."""
    right = {id_: rows["right"].mean() for (id_,), rows in answers.group_by("model_id")}
    for (id_,), rows in speeds.group_by("model_id", maintain_order=True):
        at = rows.sort("input_tokens", "batch", descending=[True, False]).row(0, named=True)
        if id_ in right:
            yield f"{at['model']} {at['model_version']}", at["decode_ratio"], right[id_]


def shown(speeds: pl.DataFrame, answers: pl.DataFrame) -> Mapping[str, Any]:
    """What the UI shows: the ratios, and accuracy against speed."""
    from nemotron_assets.plots import markdown, new_figure, png_markdown

    figure, axes = new_figure("accuracy against speed", "decode speed / plain Transformer", "right answers, suite")
    for name, ratio, right in points(speeds, answers):
        axes.scatter([ratio], [right])
        axes.annotate(name, (ratio, right), textcoords="offset points", xytext=(6, 4))
    axes.axvline(1, linewidth=0.8, linestyle="--")
    return {"ratios": markdown(as_markdown(speeds)), "accuracy_and_speed": png_markdown(figure, "accuracy and speed")}
