"""Declares the table of pretrained models."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table

BASE = model_table(
    "base",
    "Pretrained models, trained on the blend's token shards.",
    named="name of the model: the recipe and the stage, for example laptop-base",
    group="pretrain",
    own=TRAINED,
    weights="Hugging Face folder (safetensors, config, tokenizer), relative to the root of the lake",
    origins={
        "*": ("blend.token_shards.tokens", "blend.tokenizer.uri"),
    },
)

TABLES = [BASE]
