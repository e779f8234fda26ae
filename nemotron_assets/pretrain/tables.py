"""The table of pretrained models."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table

BASE = model_table(
    "base",
    "Pretrained models, trained on the blend's token shards.",
    named="name of the model: recipe and stage, as laptop-base",
    own=TRAINED,
    weights="Hugging Face directory (safetensors, config, tokenizer) in the lake",
)

TABLES = [BASE]
