"""Runs in the training process: builds the job from a plan's config, reads packed token shards from the lake, trains.

The GPU resource calls `train_next_token`. A stage with another loss writes such a function of its own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from nemotron_assets.recipe.model import Model
from nemotron_assets.recipe.train import TrainingRun
from nemotron_assets.training.job import Fresh, FromCheckpoint, FromFolder, Job, Start
from nemotron_assets.training.loop import train
from nemotron_assets.training.mapped import Shard, ShardFiles
from nemotron_assets.training.mixture import Entry, Source
from nemotron_assets.training.stream import ByLength, PackedSequence, Shards
from resources.store import dataset_at

Emit = Callable[[list[dict[str, Any]]], None]


class LakeShards(Shards):
    """The sequences of one part of tables like `blend.sequences` and `blend.token_shards`, at one version of each.

    `tokens` and `sequences` have the path and the Delta version of the tables. A shard is copied from the lake into
    `folder` when it is first read, and mapped into memory from there. The copies take at most `most_bytes`. The data
    sets in `left_out` are not read. If the table of tokens has the column `trained`, only tokens for which it is true
    are predicted.
    """

    def __init__(
        self,
        tokens: dict[str, Any],
        sequences: dict[str, Any],
        part: str,
        storage_options: dict[str, str],
        folder: Path,
        most_bytes: float = math.inf,
        left_out: Collection[str] = (),
    ):
        self._tokens = dataset_at(**tokens, options=storage_options)
        self._sequences = _of_part(dataset_at(**sequences, options=storage_options), part)
        self._part = ds.field("part") == part  # a compacted file has rows of several parts
        sizes = self._sizes(left_out)
        self._sources = [Source(name, category, tuple(of.values())) for (category, name), of in sizes.items()]
        self._names = [shard for of in sizes.values() for shard in of]
        self._first = np.cumsum([0, *(len(source.sizes) for source in self._sources)]).tolist()
        self._files = ShardFiles(folder, self._load, most_bytes)

    @property
    def sources(self) -> list[Source]:
        return self._sources

    def read(self, source: int, shard: int, row: int) -> PackedSequence:
        return self._files[self._first[source] + shard].read(row)

    def shard_name(self, source: int, shard: int) -> str:
        return self._names[self._first[source] + shard]

    def _sizes(self, left_out: Collection[str]) -> dict[tuple[str, str], dict[str, int]]:
        """{(category, data set): {shard: number of its sequences}}, the shards in the order of their names."""
        counts: Counter[tuple[str, str, str]] = Counter()
        columns = ["category", "data_set", "shard"]
        for batch in self._sequences.scanner(columns, filter=self._part).to_batches():
            table = pa.Table.from_batches([batch]).group_by(columns).aggregate([([], "count_all")])
            for *names, count in zip(*(column.to_pylist() for column in table), strict=True):
                counts[tuple(names)] += count
        sizes: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for (category, data_set, shard), count in sorted(counts.items()):
            if data_set not in left_out:
                sizes[category, data_set][shard] = count
        return sizes

    def _load(self, number: int) -> Shard:
        name = self._names[number]
        masked = "trained" in self._tokens.schema.names
        read = ["position", "tokens", *(["trained"] if masked else [])]
        documents = self._tokens.to_table(read, filter=ds.field("part") == name).sort_by("position")
        columns = ["position", "documents", "piece_offsets", "piece_lengths"]
        wanted = self._part & (ds.field("shard") == name)
        index = self._sequences.to_table(columns, filter=wanted).sort_by("position")
        tokens = documents["tokens"].combine_chunks()
        starts, pieces = tokens.offsets.to_numpy(), index["documents"].combine_chunks()
        flat = {column: index[column].combine_chunks().flatten().to_numpy() for column in columns[1:]}
        first = starts[:-1] - starts[0]
        bounds = pieces.offsets.to_numpy() - pieces.offsets[0].as_py()
        at = first[flat["documents"]] + flat["piece_offsets"]
        trained = [documents["trained"].combine_chunks().flatten().to_numpy(zero_copy_only=False)] if masked else []
        return Shard(tokens.flatten().to_numpy(), bounds, at, flat["piece_lengths"].astype(np.int64), *trained)


class LakeShardsByLength(ByLength, LakeShards):
    """The same, but sequences are not padded to the full length: see `ByLength`."""


def _of_part(dataset: ds.Dataset, part: str) -> ds.Dataset:
    """The files that have rows of one part. The statistics in the log tell them apart, but not other columns: as it is,
    a filter on another column would find nothing."""
    form = ds.ParquetFileFormat()
    files = list(dataset.get_fragments(ds.field("part") == part))
    fragments = [form.make_fragment(file.path, file.filesystem) for file in files]
    return ds.FileSystemDataset(fragments, dataset.schema, form, files[0].filesystem if files else None)


def start_of(config: dict[str, Any]) -> Start:
    """The starting weights that `config["start"]` of a plan describes. Raises ValueError for an unknown description."""
    match config:
        case {"fresh": model, "vocabulary": vocabulary, "special": special}:
            return Fresh(Model.model_validate(model), vocabulary, special)
        case {"folder": folder}:
            return FromFolder(Path(folder), tuple(config.get("fresh_tokens", ())))
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
        entries=tuple(Entry(**entry) for entry in config.get("entries", ())),
        checkpoints=config.get("checkpoints", ""),
        **options,
    )


def shards_of(config: dict[str, Any]) -> LakeShards:
    """The packed sequences that a plan's `config["shards"]` describes. Copies of the shards lie in its folder, and take
    no more disk space than the training allows, if `config` describes one. With `by_length`, sequences are padded to
    the longest of a forward pass."""
    limit = TrainingRun.model_validate(config["training"]).shard_cache_gb * 1e9 if "training" in config else math.inf
    kind = LakeShardsByLength if config.get("by_length") else LakeShards
    return kind(**config["shards"], folder=Path(config["folder"], "shards"), most_bytes=limit)


def train_next_token(config: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train with the loss of pretraining (next token). Returns steps, tokens, parameters, final_loss and weights."""
    return train(job_of(config), shards_of(config), emit).as_dict()


#: Its name for the GPU resource, "module:function".
NEXT_TOKEN = f"{__name__}:{train_next_token.__name__}"
