"""Nemotron-CC-Math: mathematics from the web, with no equation lost between the page and the corpus."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__, ("", ".corpus"))
