"""One step of the compression: a distillation of a model, which may be pruned first, from the teacher."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.compress.distilling import CODE
from nemotron_assets.models.registry import Identity, Parent
from nemotron_assets.recipe.distillation import DistillationStage
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.schema import Table
from nemotron_assets.training.plan import Plan, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.teaching_data import teaching_data
from resources.home import cache_dir

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse

#: The training function, by the name that the GPU resource knows. Its module loads torch.
DISTILLATION = "nemotron_assets.training.distillation:train_distillation"


@dataclass(frozen=True)
class Model:
    """A model of the lake: its table, and its row."""

    table: Table
    row: dict[str, Any]

    @property
    def parent(self) -> Parent:
        return Parent(self.table.full_name, self.row["id"])


@dataclass(frozen=True)
class Pruning:
    """What is pruned before a step: `described` decides it, as JSON values, and `write(source, target)` does it."""

    described: dict[str, Any]
    write: Callable[[Path, Path], None]


@dataclass(frozen=True)
class Step:
    """A distillation.

    - `name`: the name of the model that it makes; `table`: its table, and `more` the columns that only this has.
    - `stage`, `section`: its numbers, and the section of the recipe that they are in.
    - `start`: the model that is pruned and trained; `teacher`: the model that it learns from.
    - `cache_gb`: most disk space for the teacher's hidden states; 0: none are kept.
    """

    name: str
    table: Table
    stage: DistillationStage
    section: str
    start: Model
    teacher: Model
    pruning: Pruning | None
    more: Callable[[dict[str, Any]], dict[str, Any]]
    cache_gb: float = 0.0

    def plan(self, recipe: Recipe, lake: Lakehouse) -> Plan:
        """The training that the recipe and the data in the lake ask for. Raises `TrainingError` for missing data."""
        stage, length = self.stage, self.stage.sequence_length
        data = teaching_data(recipe, lake, length, stage.sft, stage.sft_share)
        described = self.pruning.described if self.pruning else None
        decides = {
            "code": CODE,
            "training": stage.training.deciding(),
            "length": length,
            "data": [entry.as_dict() for entry in data.entries()],
            "pruning": described,
        }
        recipe_hash = content_hash(repr(sorted(decides.items())).encode())
        models = {model.row["id"]: model for model in (self.start, self.teacher)}
        id_ = row_id(self.table.full_name, recipe_hash, self.start.row["id"], self.teacher.row["id"], *data.contents())
        folder, source = working_folder(id_), lake.get_weights(self.start.row["uri"])
        start = Path(folder, "start") if self.pruning else source
        read = [*data.readers, *(lake.read(model.table) for model in models.values())]
        return Plan(
            table=self.table,
            identity=Identity(
                name=self.name,
                id=id_,
                recipe_hash=recipe_hash,
                inputs=tuple(dict.fromkeys(reader.input_version for reader in read if reader.exists)),
                parents=tuple(model.parent for model in models.values()),
            ),
            entry=DISTILLATION,
            config={
                "start": {"folder": str(start)},
                "teacher": {"folder": str(lake.get_weights(self.teacher.row["uri"]))},
                "training": stage.training.model_dump(),
                "section": f"{self.section}.training",
                "sequence_length": length,
                "folder": folder,
                "teacher_cache": self._cache(),
                **data.config(lake),
            },
            steps=total_steps(stage.training, length),
            tokenizer=source,
            source_versions=tuple(dict.fromkeys(reader.input_version for reader in data.readers)),
            prepare=functools.partial(self._prune, source, start) if self.pruning else None,
            more=self.more,
        )

    def _cache(self) -> dict[str, Any] | None:
        if not self.cache_gb:
            return None
        folder = cache_dir("teacher") / self.teacher.row["id"]
        return {"folder": str(folder), "most_bytes": self.cache_gb * 1e9}

    def _prune(self, source: Path, target: Path) -> None:
        """Write the pruned model, which a killed training has perhaps written already: then it is whole."""
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.pruning.write(source, target)


def step_columns(compresses: str, step: str, pruning: Pruning | None = None) -> Callable[[Any], dict[str, Any]]:
    """A function that gives the columns that only models.compression_steps has."""
    pruned = json.dumps(pruning.described) if pruning else None
    return lambda measured: {"compresses": compresses, "step": step, "pruned": pruned, "metrics": None}
