"""Blend: the tokenizer, the held-out split, and documents packed into sequences of token ids."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__)
