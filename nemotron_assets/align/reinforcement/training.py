"""Plans the trainings of the reinforcement learning: the identity of each model, and what its training needs.

models.ifeval_rl continues models.sft_3, models.rlhf continues models.dpo against models.reward_model, which also starts
from models.sft_3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.reinforcement import CODE
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, REWARD_MODEL, RLHF, ROLLOUTS
from nemotron_assets.align.tuning.tables import SFT_3
from nemotron_assets.models.asked import asked_for
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.table.schema import Table
from nemotron_assets.training.plan import Plan, TrainingError, working_folder
from nemotron_assets.training.preference.columns import PREFERENCE
from nemotron_assets.training.reinforcement.plan import Reinforced, identity_of, needed, of_process

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: The training function of the reward model, by the name that the GPU resource knows.
TRAIN_REWARD = "nemotron_assets.align.reinforcement.reward_worker:train_reward"


def ifeval_rl(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The policy that verifiers train. Raises `ModelError` when the lake does not have the model that it continues, and
    `TrainingError` when there are no prompts."""
    return _grpo(IFEVAL_RL, SFT_3, recipe.align.reinforcement.ifeval_rl, recipe, lake)


def rlhf(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The policy that the reward model trains. Raises as `ifeval_rl` does."""
    return _grpo(RLHF, DPO, recipe.align.reinforcement.rlhf, recipe, lake, judge=REWARD_MODEL)


def _grpo(table: Table, before: Table, run: Grpo, recipe: Recipe, lake: Lakehouse, judge: Table | None = None) -> Plan:
    needed(lake, PROMPTS)  # said before what is missing of the models
    judges = lake.read(judge) if judge is not None else None
    return Reinforced(
        table=table,
        name=_name(table, recipe),
        stage=table.name,
        section=f"align.reinforcement.{table.name}",
        run=run,
        rollouts=ROLLOUTS,
        code=CODE,
        start=(lake.read(before), asked_for(lake.read(before), recipe, lake)),
        judge=(judges, asked_for(judges, recipe, lake)) if judges else None,
    ).plan(recipe, lake)


def reward_model(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The reward model. Raises as `ifeval_rl` does, and `TrainingError` when there are no pairs to train on."""
    from nemotron_assets.align.reinforcement.pairs import count_pairs, steps_of

    run, policies, preferences = recipe.align.reinforcement.reward_model, lake.read(SFT_3), needed(lake, PREFERENCES)
    start = asked_for(policies, recipe, lake)
    pairs = count_pairs(preferences, run.max_tokens)
    if not pairs:
        raise TrainingError(
            f"align.preferences has no pairs of the kind {PREFERENCE} to train on with at most {run.max_tokens} tokens "
            "(align.reinforcement.reward_model.max_tokens): materialise align/preferences, or raise the limit"
        )
    decides = {"code": CODE, "run": run.deciding()}
    identity = identity_of(REWARD_MODEL, _name(REWARD_MODEL, recipe), decides, [(policies, start)], [preferences])
    return Plan(
        table=REWARD_MODEL,
        identity=identity,
        entry=TRAIN_REWARD,
        config={
            "stage": REWARD_MODEL.name,
            "section": "align.reinforcement.reward_model",
            "start": {"folder": str(lake.get_weights(start["uri"]))},
            "training": run.model_dump(),
            "sequence_length": run.max_tokens,
            "folder": working_folder(identity.id),
            "steps": steps_of(pairs, run),
            "pairs_version": preferences.version,
            "lake": of_process(lake),
        },
        steps=steps_of(pairs, run),
        tokenizer=lake.get_weights(start["uri"]),
        source_versions=(preferences.input_version,),
        more=lambda trained: {name: trained[name] for name in ("held_out_accuracy", "held_out_pairs")},
    )


def _name(table: Table, recipe: Recipe) -> str:
    return f"{recipe.name}-{table.name.replace('_', '-')}"


#: The plan of each table of models, for stages that continue one (see models/asked.py).
PLANS: dict[str, Callable[[Recipe, Lakehouse], Plan]] = {
    IFEVAL_RL.full_name: ifeval_rl,
    REWARD_MODEL.full_name: reward_model,
    RLHF.full_name: rlhf,
}
