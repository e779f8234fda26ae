"""Distillation: trains a student towards the next-token distribution of a frozen teacher (`losses.FromTeacher`).

`distil` is for data of any kind. `train_distillation` runs in the training process on streams of the lake, which
`teaching_data` describes: a share of the tokens comes from conversations, the rest from the pretraining.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.recipe.train import TrainingRun
from nemotron_assets.training.job import FromFolder, Job
from nemotron_assets.training.loop import Trained, train
from nemotron_assets.training.losses import FromTeacher
from nemotron_assets.training.mixture import Entry, Source
from nemotron_assets.training.stream import ByLength, PackedSequence, Shards
from nemotron_assets.training.teacher import HiddenCache, Teacher
from nemotron_assets.training.worker import Emit, LakeShards

if TYPE_CHECKING:
    import torch


class Joined(ByLength):
    """Several streams of sequences as one. The categories of a stream begin with its name: sft/math."""

    def __init__(self, streams: Mapping[str, Shards]) -> None:
        self._places = [(own, number) for own in streams.values() for number in range(len(own.sources))]
        self._sources = [
            Source(source.name, f"{name}/{source.category}", source.sizes, source.weight)
            for name, own in streams.items()
            for source in own.sources
        ]

    @property
    def sources(self) -> Sequence[Source]:
        return self._sources

    def read(self, source: int, shard: int, row: int) -> PackedSequence:
        own, number = self._places[source]
        return own.read(number, shard, row)

    def shard_name(self, source: int, shard: int) -> str:
        own, number = self._places[source]
        return own.shard_name(number, shard)


def distil(
    start: Path,
    teacher: Path,
    shards: Shards,
    settings: TrainingRun,
    sequence_length: int,
    folder: Path,
    emit: Emit,
    *,
    entries: Sequence[Entry] = (),
    section: str = "compress",
    cache: HiddenCache | None = None,
) -> Trained:
    """Distil the student in the Hugging Face folder `start` from the model in the folder `teacher`, on
    `settings.tokens` tokens. Checkpoints and the finished weights lie in `folder`; a killed distillation goes on there,
    and ends with the same weights. The loss in the rows of metrics is the divergence in nats per predicted token.
    `entries`, `section` and `emit` are those of `Job` and `loop.train`. Raises as `loop.train` does, and ValueError for
    another vocabulary.
    """
    load = functools.cache(lambda: Teacher.load(teacher, settings.precision, cache))

    def loss(student: torch.nn.Module) -> FromTeacher:
        return FromTeacher(student, load())

    job = Job(FromFolder(start), settings, sequence_length, folder, loss, section, tuple(entries))
    return train(job, shards, emit)


def train_distillation(config: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Distil as a plan's `config` says: start and teacher (each with a folder), training, section, sequence_length,
    folder, streams (name: the arguments of `LakeShards`), entries, and teacher_cache (folder, most_bytes) or None.
    Returns what `loop.train` does, as JSON values."""
    settings, folder = TrainingRun.model_validate(config["training"]), Path(config["folder"])
    most = settings.shard_cache_gb * 1e9 / len(config["streams"])
    streams = {
        name: LakeShards(**own, folder=folder / "shards" / name, most_bytes=most)
        for name, own in config["streams"].items()
    }
    cache = config.get("teacher_cache")
    return distil(
        Path(config["start"]["folder"]),
        Path(config["teacher"]["folder"]),
        Joined(streams),
        settings,
        config["sequence_length"],
        folder,
        emit,
        entries=[Entry(**entry) for entry in config["entries"]],
        section=config["section"],
        cache=HiddenCache(Path(cache["folder"]), cache["most_bytes"]) if cache else None,
    ).as_dict()


#: The training function by its name for the GPU resource, "module:function".
DISTILLATION = f"{__name__}:{train_distillation.__name__}"
