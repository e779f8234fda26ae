"""Declares the table of pretrained models."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table

BASE = model_table(
    "base",
    "Pretrained models, trained on the blend's token shards.",
    named="name of the model: the recipe and the stage, for example laptop-base",
    own=TRAINED,
    weights="URI of the Hugging Face folder (safetensors, config, tokenizer) in the lake",
)

TABLES = [BASE]
