"""Evaluate: benchmark items as a table, and the scores of every model version on them and on held-out documents."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__)
