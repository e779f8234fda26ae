"""Plans the trainings of the reinforcement learning: the identity of each model, and what its training needs.

models.ifeval_rl continues models.sft_3, models.rlhf continues models.dpo against models.reward_model, which also starts
from models.sft_3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.preference.tables import DPO, PREFERENCE, PREFERENCES
from nemotron_assets.align.reinforcement import CODE, storing
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, REWARD_MODEL, RLHF
from nemotron_assets.align.tuning.tables import SFT_3
from nemotron_assets.models.asked import asked_for
from nemotron_assets.models.registry import Identity, Parent
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.schema import Table
from nemotron_assets.training.plan import Plan, TrainingError, working_folder

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

_WORKERS = "nemotron_assets.align.reinforcement"


def ifeval_rl(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The policy that verifiers train. Raises `ModelError` when the lake does not have the model that it continues, and
    `TrainingError` when there are no prompts."""
    return _grpo(IFEVAL_RL, SFT_3, recipe.align.reinforcement.ifeval_rl, recipe, lake)


def rlhf(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The policy that the reward model trains. Raises as `ifeval_rl` does."""
    return _grpo(RLHF, DPO, recipe.align.reinforcement.rlhf, recipe, lake, judge=REWARD_MODEL)


def _grpo(table: Table, before: Table, run: Grpo, recipe: Recipe, lake: Lakehouse, judge: Table | None = None) -> Plan:
    policies, prompts = lake.read(before), _needed(lake, PROMPTS)
    start = asked_for(policies, recipe, lake)
    models = [(policies, start)]
    grader: dict[str, Any] = {"grading": recipe.grading.model_dump(mode="json")}
    if judge is not None:
        judges = lake.read(judge)
        models.append((judges, asked_for(judges, recipe, lake)))
        row = models[-1][1]
        grader = {"reward_model": {"folder": str(lake.get_weights(row["uri"])), "id": row["id"]}}
    rollouts = recipe.align.rollouts
    decides = {
        "code": CODE,
        "run": run.deciding(),
        "rollouts": rollouts.model_dump(exclude={"batch"}),
        **({} if judge is not None else grader),
    }
    identity = _identity(table, recipe, decides, models, [prompts])
    return Plan(
        table=table,
        identity=identity,
        entry=f"{_WORKERS}.worker:train_grpo",
        config={
            "stage": table.name,
            "name": identity.name,
            "model_id": identity.id,
            "section": f"align.reinforcement.{table.name}",
            "start": {"folder": str(lake.get_weights(start["uri"]))},
            "training": run.model_dump(),
            "sequence_length": run.max_prompt_tokens + run.max_tokens,
            "folder": working_folder(identity.id),
            "prompts_version": prompts.version,
            "rollouts": rollouts.model_dump(),
            "grader": grader,
            "llm": recipe.llm.model_dump(mode="json"),
            "lake": _of_process(lake),
        },
        steps=run.steps,
        tokenizer=lake.get_weights(start["uri"]),
        source_versions=(prompts.input_version,),
        wraps=functools.partial(storing.appender, lake, identity.id),
    )  # fmt: skip


def reward_model(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The reward model. Raises as `ifeval_rl` does, and `TrainingError` when there are no pairs to train on."""
    from nemotron_assets.align.reinforcement.pairs import count_pairs, steps_of

    run, policies, preferences = recipe.align.reinforcement.reward_model, lake.read(SFT_3), _needed(lake, PREFERENCES)
    start = asked_for(policies, recipe, lake)
    pairs = count_pairs(preferences, run.max_tokens)
    if not pairs:
        raise TrainingError(
            f"align.preferences has no pairs of the kind {PREFERENCE} to train on with at most {run.max_tokens} tokens "
            "(align.reinforcement.reward_model.max_tokens): materialise align/preferences, or raise the limit"
        )
    identity = _identity(
        REWARD_MODEL, recipe, {"code": CODE, "run": run.deciding()}, [(policies, start)], [preferences]
    )
    return Plan(
        table=REWARD_MODEL,
        identity=identity,
        entry=f"{_WORKERS}.reward_worker:train_reward",
        config={
            "stage": REWARD_MODEL.name,
            "section": "align.reinforcement.reward_model",
            "start": {"folder": str(lake.get_weights(start["uri"]))},
            "training": run.model_dump(),
            "sequence_length": run.max_tokens,
            "folder": working_folder(identity.id),
            "steps": steps_of(pairs, run),
            "pairs_version": preferences.version,
            "lake": _of_process(lake),
        },
        steps=steps_of(pairs, run),
        tokenizer=lake.get_weights(start["uri"]),
        source_versions=(preferences.input_version,),
        more=lambda trained: {name: trained[name] for name in ("held_out_accuracy", "held_out_pairs")},
    )


def _needed(lake: Lakehouse, table: Table) -> Reader:
    reader = lake.read(table)
    if not reader.exists:
        name = table.asset_key.to_user_string()
        raise TrainingError(f"there is nothing to train on: materialise {name} first")
    return reader


def _of_process(lake: Lakehouse) -> dict[str, Any]:
    """The arguments of the lake in the training process."""
    return {"root": lake.root, "storage_options": lake.storage_options, "free_disk_mb": lake.free_disk_mb}


def _identity(
    table: Table, recipe: Recipe, decides: dict[str, Any], models: list[tuple[Reader, dict]], inputs: list[Reader]
) -> Identity:
    recipe_hash = content_hash(repr(sorted(decides.items())).encode())
    ids = [row["id"] for _, row in models]
    return Identity(
        name=f"{recipe.name}-{table.name.replace('_', '-')}",
        id=row_id(table.full_name, recipe_hash, *ids, *(reader.content() for reader in inputs)),
        recipe_hash=recipe_hash,
        inputs=tuple(reader.input_version for reader in (*inputs, *(reader for reader, _ in models))),
        parents=tuple(Parent(reader.table.full_name, row["id"]) for reader, row in models),
    )


#: The plan of each table of models, for stages that continue one (see models/asked.py).
PLANS: dict[str, Callable[[Recipe, Lakehouse], Plan]] = {
    IFEVAL_RL.full_name: ifeval_rl,
    REWARD_MODEL.full_name: reward_model,
    RLHF.full_name: rlhf,
}
