"""Runs in the training process: builds the job from a plan's config, reads packed token shards from the lake, trains.

The GPU resource calls `train_next_token`. A stage with another loss writes such a function of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nemotron_assets.recipe.model import Model
from nemotron_assets.recipe.train import TrainingRun
from nemotron_assets.training.job import Fresh, FromCheckpoint, FromFolder, Job, Start
from nemotron_assets.training.loop import train
from nemotron_assets.training.stream import PackedSequence, Shards

Emit = Callable[[list[dict[str, Any]]], None]


class LakeShards(Shards):
    """The packed sequences of a table like `blend.token_shards` at one Delta version. Each part is a shard."""

    def __init__(self, path: str, version: int, part_by: str, storage_options: dict[str, str]):
        from deltalake import DeltaTable

        delta = DeltaTable(path, version=version, storage_options=storage_options or None)
        self._dataset, self._part = delta.to_pyarrow_dataset(as_large_types=True), part_by

    def counts(self) -> list[tuple[str, int]]:
        rows: Counter[str] = Counter()
        for batch in self._dataset.scanner([self._part], use_threads=False).to_batches():
            rows.update(batch.column(0).to_pylist())
        return sorted(rows.items())

    def read(self, shard: str) -> list[PackedSequence]:
        import pyarrow.dataset as ds

        columns, in_shard = ["position", "tokens", "piece_lengths"], ds.field(self._part) == shard
        table = self._dataset.to_table(columns, filter=in_shard).sort_by("position")
        return [
            PackedSequence(tokens.values.to_numpy(), tuple(lengths.as_py()))
            for tokens, lengths in zip(table["tokens"], table["piece_lengths"], strict=True)
        ]


def start_of(config: dict[str, Any]) -> Start:
    """The starting weights that `config["start"]` of a plan describes. Raises ValueError for an unknown description."""
    match config:
        case {"fresh": model, "vocabulary": vocabulary, "special": special}:
            return Fresh(Model.model_validate(model), vocabulary, special)
        case {"folder": folder}:
            return FromFolder(Path(folder))
        case {"checkpoint": folder}:
            return FromCheckpoint(Path(folder))
    raise ValueError(
        f"config['start'] has the keys {sorted(config)}; it needs fresh, vocabulary, special, or folder, or checkpoint"
    )


def job_of(config: dict[str, Any], **options: Any) -> Job:
    """The job that a plan's `config` describes. `options` are fields of `Job` that JSON cannot hold, such as `loss`."""
    return Job(
        start=start_of(config["start"]),
        settings=TrainingRun.model_validate(config["training"]),
        sequence_length=config["sequence_length"],
        folder=Path(config["folder"]),
        section=config["section"],
        **options,
    )


def shards_of(config: dict[str, Any]) -> LakeShards:
    """The packed sequences that a plan's `config["shards"]` describes."""
    return LakeShards(**config["shards"])


def train_next_token(config: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train with the loss of pretraining (next token). Returns steps, tokens, parameters, final_loss and weights."""
    return train(job_of(config), shards_of(config), emit).as_dict()


#: Its name for the GPU resource, "module:function".
NEXT_TOKEN = f"{__name__}:{train_next_token.__name__}"
