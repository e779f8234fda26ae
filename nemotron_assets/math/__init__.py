"""Builds Nemotron-CC-Math: a corpus of web pages on mathematics that keeps every formula of the pages."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__, ("", ".corpus"))
