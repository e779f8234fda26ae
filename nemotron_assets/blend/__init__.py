"""Blend: the tokenizer, the held-out split, and documents packed into sequences of token ids."""

from nemotron_assets.blend.assets import ASSETS
from nemotron_assets.blend.checks import CHECKS

__all__ = ["ASSETS", "CHECKS"]
