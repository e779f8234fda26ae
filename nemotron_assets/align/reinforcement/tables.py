"""Declares the rollouts of the reinforcement learning, and the models that it makes."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.training.reinforcement.columns import rollouts_table

ROLLOUTS = rollouts_table(
    "align",
    stages="ifeval_rl or rlhf",
    policies=("models.sft_3", "models.dpo"),
    made=("models.ifeval_rl", "models.rlhf"),
)

_WEIGHTS = "Hugging Face folder (safetensors, config, tokenizer, chat template), relative to the root of the lake"


def _policy(name: str, description: str, before: str, *more: str) -> Table:
    return model_table(
        name,
        description,
        named=f"name of the model: the recipe and the stage, for example laptop-{name.replace('_', '-')}",
        group="align",
        own=TRAINED,
        weights=_WEIGHTS,
        origins={
            "parents": (f"models.{before}.id", *(f"models.{other}.id" for other in more)),
            "sources": (),
            "*": (
                f"models.{before}.uri", *(f"models.{other}.uri" for other in more), "align.prompts.messages",
                "align.prompts.verifiers",
            ),
        },
        example_input="align.prompts@3",
    )  # fmt: skip


IFEVAL_RL = _policy(
    "ifeval_rl",
    "Models that GRPO has trained on prompts whose answers programs can verify: instructions and short tasks.",
    "sft_3",
)
REWARD_MODEL = model_table(
    "reward_model",
    "Models that give an answer a number: the higher, the better. They are trained on pairs of answers.",
    named="name of the model: the recipe and the stage, for example laptop-reward-model",
    group="align",
    own=(
        *TRAINED,
        Column(
            "held_out_accuracy",
            "float64",
            "share of the held-out pairs whose better answer gets the higher number; null: no pair is held out",
            nullable=True,
        ),
        Column("held_out_pairs", "int64", "number of held-out pairs"),
    ),
    weights=_WEIGHTS,
    origins={
        "parents": ("models.sft_3.id",),
        "sources": (),
        "*": ("models.sft_3.uri", "align.preferences.chosen_tokens", "align.preferences.rejected_tokens"),
    },
    example_input="align.preferences@3",
)
RLHF = _policy(
    "rlhf",
    "Models that GRPO has trained against the reward model, with and without thinking.",
    "dpo",
    "reward_model",
)

TABLES = [ROLLOUTS, IFEVAL_RL, REWARD_MODEL, RLHF]
