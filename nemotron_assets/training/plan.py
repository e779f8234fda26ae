"""Trains the model of a plan, unless the lake holds it already: finds it, goes on with it, or starts it.

A `Plan` says what decides the identity of the model and what the training process needs. The same plan always finds
the finished model, or the checkpoints of an interrupted training.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.registry import CHECKPOINTS, Identity, Made, Registry
from nemotron_assets.table.parts import Parts
from nemotron_assets.table.schema import Table
from nemotron_assets.training import checkpoint_store, metrics
from resources.home import cache_dir

if TYPE_CHECKING:
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader


Append = Callable[[list[dict[str, Any]]], None]


class TrainingError(RuntimeError):
    """A model cannot be trained. The message says what is missing."""


@dataclass(frozen=True)
class Plan:
    """Describes one training.

    - `table`: the table that the model is stored in.
    - `identity`: what decides the model; it must have an id.
    - `entry`: the function that trains it, as "module:function". The GPU resource calls it with `config` (JSON-able).
      It returns steps, tokens, parameters, final_loss and weights (the path of the folder).
    - `steps`: the number of optimizer steps of the training.
    - `tokenizer`: the folder of the tokenizer, whose files are stored with the weights.
    - `source_versions`: the tables that its training sequences were packed from ("code.curated@3").
    - `more`: the values of the columns that only this table has, from what the training returned.
    - `prepare`: called before the training if the model is missing: it makes what the training starts from.
    - `wraps`: for a training with rows of other tables than its metrics and events. It gets the run's id and the
      function that stores metrics and events, and returns the function that stores all rows.
    """

    table: Table
    identity: Identity
    entry: str
    config: dict[str, Any]
    steps: int
    tokenizer: Path
    source_versions: tuple[str, ...] = ()
    more: Callable[[dict[str, Any]], dict[str, Any]] = lambda trained: {}
    prepare: Callable[[], None] | None = None
    wraps: Callable[[str, Append], Append] | None = None

    @property
    def id(self) -> str:
        """The id of the model."""
        return self.identity.id


def working_folder(model_id: str) -> str:
    """The folder that holds the checkpoints and the finished weights of a model until they are in the lake."""
    return str(cache_dir("training") / model_id)


def shards_config(
    lake: Lakehouse, tokens: Reader, sequences: Reader, part: str | int, left_out: Sequence[str] = ()
) -> dict[str, Any]:
    """The part `config["shards"]` of a plan, for tables like `blend.token_shards` and `blend.sequences` at the versions
    of their readers. `part` is the part of the sequences: their length in `blend.sequences`. `left_out` are data sets
    that are not read (`blend.left_out`)."""
    return {
        "tokens": {"path": lake.path(tokens.table), "version": tokens.version},
        "sequences": {"path": lake.path(sequences.table), "version": sequences.version},
        "part": str(part),
        "storage_options": lake.storage_options,
        "left_out": list(left_out),
    }


def train(
    plan: Plan,
    lake: Lakehouse,
    gpu: Gpu,
    run_id: str,
    log: Callable[[str], None],
    registry: Registry | None = None,
) -> tuple[dict[str, Any], Parts]:
    """The row of the planned model and the parts to write to its table. The model is trained if it is missing. A stage
    that trains several models of one table gives its `registry`, whose parts are those of all of them.

    The device is held all the time, so no other training on this machine uses the working folders meanwhile.
    """
    (model,), parts = train_all([plan], lake, gpu, run_id, log, registry)
    return model, parts


def train_all(
    plans: Sequence[Plan],
    lake: Lakehouse,
    gpu: Gpu,
    run_id: str,
    log: Callable[[str], None],
    registry: Registry | None = None,
) -> tuple[list[dict[str, Any]], Parts]:
    """As `train`, for several models of one table, which are trained in this order."""
    with gpu.lock(log):
        registry = registry or Registry(lake, plans[0].table, run_id, log)
        for folder in cache_dir("training").iterdir():
            if folder.name in registry:  # the finished weights are in the lake
                shutil.rmtree(folder)
        if not lake.is_local:
            checkpoint_store.forget(f"{lake.root}/{CHECKPOINTS}", registry)
        models = []
        for plan in plans:
            make = functools.partial(_make, plan, lake, gpu, run_id, log)
            models.append(registry.want(plan.identity, lambda scratch, make=make: make()))
    return models, registry.parts()


def _make(plan: Plan, lake: Lakehouse, gpu: Gpu, run_id: str, log: Callable[[str], None]) -> Made:
    from nemotron_assets.model.export import add_tokenizer

    length = plan.config["sequence_length"]
    read = plan.config.get("sequences")
    append = metrics.appender(lake, plan.identity.name, plan.id, run_id, plan.steps, length, log, read)
    append = plan.wraps(run_id, append) if plan.wraps else append
    if plan.prepare is not None:
        plan.prepare()
    copies = {} if lake.is_local else {"checkpoints": f"{lake.root}/{CHECKPOINTS}/{plan.id}"}
    trained = gpu.train(plan.entry, plan.config | {"run_id": run_id} | copies, append, log)
    weights = Path(trained["weights"])
    add_tokenizer(weights, plan.tokenizer)
    return Made(
        weights,
        {
            "parameters": trained["parameters"],
            "tokens_seen": trained["tokens"],
            "steps": trained["steps"],
            "final_loss": trained["final_loss"],
            "precision": trained.get("precision") or None,
            "bf16_layers": trained.get("bf16_layers"),
            "source_versions": list(plan.source_versions),
            **plan.more(trained),
        },
    )
