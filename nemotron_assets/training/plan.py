"""A model to be trained: what decides its identity, what the training process needs, and the row that remains.

The same plan finds the finished model, or the checkpoints of an interrupted training, instead of starting over.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.registry import Identity, Made, Registry
from nemotron_assets.table.schema import Table
from nemotron_assets.training import metrics
from resources.home import cache_dir

if TYPE_CHECKING:
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse

#: Files of a tokenizer's folder that belong beside the weights of a model.
_TOKENIZER_FILES = ("tokenizer", "special_tokens", "chat_template")


class TrainingError(RuntimeError):
    """A model that cannot be trained; the message says what is missing."""


@dataclass(frozen=True)
class Plan:
    """A training to be. `table` is where its model goes; `entry` ("module:function") is run by the GPU resource with
    `config`, which is JSON-able and must return steps, tokens, parameters, final_loss and the path of the weights.

    `steps` is how many optimizer steps it takes; `source_versions` are the tables its sequences were packed from.
    """

    table: Table
    identity: Identity
    entry: str
    config: dict[str, Any]
    steps: int
    tokenizer: Path
    source_versions: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.identity.id


def working_folder(model_id: str) -> str:
    """Where checkpoints and the finished weights of a model lie until they are in the lake."""
    return str(cache_dir("training") / model_id)


def train(plan: Plan, lake: Lakehouse, gpu: Gpu, run_id: str, log: Callable[[str], None]) -> Registry:
    """The registry of the plan's table with the planned model as the newest, trained if it is not among them."""
    registry = Registry(lake, plan.table, run_id, log)
    for folder in cache_dir("training").iterdir():  # of models that have reached the table
        if folder.name in registry:
            shutil.rmtree(folder)

    def make(scratch: Path) -> Made:
        store = metrics.store(lake, plan.identity.name, plan.id, run_id, plan.steps, log)
        trained = gpu.train(plan.entry, plan.config, store, log)
        weights = Path(trained["weights"])
        for file in plan.tokenizer.iterdir():
            if file.name.startswith(_TOKENIZER_FILES):
                shutil.copyfile(file, weights / file.name)
        return Made(
            weights,
            {
                "parameters": trained["parameters"],
                "tokens_seen": trained["tokens"],
                "steps": trained["steps"],
                "final_loss": trained["final_loss"],
                "source_versions": list(plan.source_versions),
            },
        )

    registry.want(plan.identity, make)
    return registry
