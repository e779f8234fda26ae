"""Declares the tables of pretrained models: the base model, and the one that is extended to long context."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table

_WEIGHTS = "Hugging Face folder (safetensors, config, tokenizer), relative to the root of the lake"
_DATA = ("blend.token_shards.tokens", "blend.tokenizer.uri")

BASE = model_table(
    "base",
    "Pretrained models, trained on the blend's token shards.",
    named="name of the model: the recipe and the stage, for example laptop-base",
    group="pretrain",
    own=TRAINED,
    weights=_WEIGHTS,
    origins={"*": _DATA},
)

LONG_CONTEXT = model_table(
    "long_context",
    "Base models that were trained on with longer sequences, so that they use a longer context.",
    named="name of the model: the recipe and the stage, for example laptop-long-context",
    group="pretrain",
    own=TRAINED,
    weights=_WEIGHTS,
    origins={"parents": ("models.base.id",), "sources": (), "*": ("models.base.uri", *_DATA)},
)

TABLES = [BASE, LONG_CONTEXT]
