"""Declares the preference pairs, and the models that DPO has trained on pairs of tool tasks."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, metrics, model_table
from nemotron_assets.training.preference.columns import preferences_table

PREFERENCES = preferences_table(
    "align",
    "Pairs of the kind tools train models.dpo, those of the kind preference the reward model.",
    policy="models.ifeval_rl",
)

DPO = model_table(
    "dpo",
    "Models that DPO has trained on pairs of tool tasks, one version per round.",
    named="name of the model: the recipe and the stage, for example laptop-dpo",
    group="align",
    own=(*TRAINED, metrics("pairs of the round, and how the model judges its held-out pairs")),
    weights="Hugging Face folder (safetensors, config, tokenizer), relative to the root of the lake",
    origins={
        "parents": ("models.ifeval_rl.id",),
        "sources": (),
        "source_versions": ("align.prompts.id",),
        "*": ("models.ifeval_rl.uri", "align.prompts.messages", "align.prompts.reference"),
    },
    example_input="align.prompts@3",
)

TABLES = [PREFERENCES, DPO]
