"""What the GPU resource runs to train a base model: opens the lake, reads the shards of one version, trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nemotron_assets.blend.tables import TOKEN_SHARDS
from nemotron_assets.model.loop import Job, train
from nemotron_assets.model.stream import PackedSequence
from nemotron_assets.recipe import Model, Pretrain
from resources.lakehouse import Lakehouse

#: How the GPU resource names it.
ENTRY = f"{__name__}:train_base"


class LakeShards:
    """The packed sequences of `blend.token_shards` at one Delta version, a part of the table at a time."""

    def __init__(self, lake: Lakehouse, version: int):
        from deltalake import DeltaTable

        delta = DeltaTable(lake.path(TOKEN_SHARDS), version=version, storage_options=lake.storage_options or None)
        self._dataset = delta.to_pyarrow_dataset(as_large_types=True)

    def counts(self) -> list[tuple[str, int]]:
        rows: Counter[str] = Counter()
        for batch in self._dataset.scanner([TOKEN_SHARDS.part_by], use_threads=False).to_batches():
            rows.update(batch.column(0).to_pylist())
        return sorted(rows.items())

    def read(self, shard: str) -> list[PackedSequence]:
        import pyarrow.dataset as ds

        columns, mine = ["position", "tokens", "piece_lengths"], ds.field(TOKEN_SHARDS.part_by) == shard
        table = self._dataset.to_table(columns, filter=mine)
        table = table.sort_by("position")
        return [
            PackedSequence(tokens.values.to_numpy(), tuple(lengths.as_py()))
            for tokens, lengths in zip(table["tokens"], table["piece_lengths"], strict=True)
        ]


def train_base(config: dict[str, Any], emit: Callable[[list[dict[str, Any]]], None]) -> dict[str, Any]:
    """Train as `config` says (see `training.Plan.config`); returns weights (path), steps, tokens, parameters, loss."""
    lake = Lakehouse(root=config["lake"], storage_options=config["storage_options"])
    job = Job(
        model=Model.model_validate(config["model"]),
        pretrain=Pretrain.model_validate(config["pretrain"]),
        vocabulary=config["vocabulary"],
        sequence_length=config["sequence_length"],
        folder=Path(config["folder"]),
        special=config["special"],
    )
    trained = train(job, LakeShards(lake, config["version"]), emit)
    return trained.__dict__ | {"weights": str(trained.weights)}
