"""Pretraining: the base model of the recipe, trained on the blend's token shards, and the metrics of its training."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__)
