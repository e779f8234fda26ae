"""Plans a GRPO training: the identity of the model, and what its training needs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.models.registry import Identity, Parent
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.schema import Table
from nemotron_assets.training.plan import Plan, TrainingError, working_folder
from nemotron_assets.training.reinforcement import storing

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse, Reader

#: The training function, by the name that the GPU resource knows. Its module loads torch and TRL.
TRAIN_GRPO = "nemotron_assets.training.reinforcement.worker:train_grpo"

#: A model that a training needs: the reader of its table, and its row.
Model = tuple["Reader", dict[str, Any]]


@dataclass(frozen=True)
class Reinforced:
    """A GRPO training of one stage.

    - `table`, `name`: the table of the model that it makes, and the name of the model.
    - `stage`: what rollouts and metrics call it; `section`: the section of the recipe with `run`.
    - `rollouts`: the table of rollouts of the stage; `code`: the version of the stage's code.
    - `start`: the model that is trained; `judge`: the reward model, or None: verifiers give the rewards.
    - `more`: the values of the columns that only `table` has.
    """

    table: Table
    name: str
    stage: str
    section: str
    run: Grpo
    rollouts: Table
    code: str
    start: Model
    judge: Model | None = None
    more: dict[str, Any] | None = None

    def plan(self, recipe: Recipe, lake: Lakehouse) -> Plan:
        """The training. Raises `TrainingError` when there are no prompts."""
        prompts, rollouts = needed(lake, PROMPTS), recipe.align.rollouts
        grader: dict[str, Any] = {"grading": recipe.grading.model_dump(mode="json")}
        if self.judge is not None:
            row = self.judge[1]
            grader = {"reward_model": {"folder": str(lake.get_weights(row["uri"])), "id": row["id"]}}
        decides = {
            "code": self.code,
            "run": self.run.deciding(),
            "rollouts": rollouts.model_dump(exclude={"batch"}),
            **({} if self.judge is not None else grader),
        }
        models = [self.start, *([self.judge] if self.judge else [])]
        identity = identity_of(self.table, self.name, decides, models, [prompts])
        folder = str(lake.get_weights(self.start[1]["uri"]))
        return Plan(
            table=self.table,
            identity=identity,
            entry=TRAIN_GRPO,
            config={
                "stage": self.stage,
                "name": identity.name,
                "model_id": identity.id,
                "rollouts_table": self.rollouts.full_name,
                "section": self.section,
                "start": {"folder": folder},
                "training": self.run.model_dump(),
                "sequence_length": self.run.max_prompt_tokens + self.run.max_tokens,
                "folder": working_folder(identity.id),
                "prompts_version": prompts.version,
                "rollouts": rollouts.model_dump(),
                "grader": grader,
                "llm": recipe.llm.model_dump(mode="json"),
                "lake": of_process(lake),
            },
            steps=self.run.steps,
            tokenizer=lake.get_weights(self.start[1]["uri"]),
            source_versions=(prompts.input_version,),
            wraps=functools.partial(storing.appender, lake, self.rollouts, identity.id),
            more=lambda trained: self.more or {},
        )


def needed(lake: Lakehouse, table: Table) -> Reader:
    """The reader of a table. Raises `TrainingError` if it was never written."""
    reader = lake.read(table)
    if not reader.exists:
        name = table.asset_key.to_user_string()
        raise TrainingError(f"there is nothing to train on: materialise {name} first")
    return reader


def of_process(lake: Lakehouse) -> dict[str, Any]:
    """The arguments of the lake in the training process."""
    return {"root": lake.root, "storage_options": lake.storage_options, "free_disk_mb": lake.free_disk_mb}


def identity_of(
    table: Table, name: str, decides: dict[str, Any], models: list[Model], inputs: list[Reader]
) -> Identity:
    """The identity of a model: what decides it, the models that it is made from, and the tables that it reads."""
    recipe_hash = content_hash(repr(sorted(decides.items())).encode())
    ids = [row["id"] for _, row in models]
    return Identity(
        name=name,
        id=row_id(table.full_name, recipe_hash, *ids, *(reader.content() for reader in inputs)),
        recipe_hash=recipe_hash,
        inputs=tuple(reader.input_version for reader in (*inputs, *(reader for reader, _ in models))),
        parents=tuple(Parent(reader.table.full_name, row["id"]) for reader, row in models),
    )
