"""Nemotron-Pretraining-Code: repositories become files, are licensed, deduplicated, judged, published and asked about.

The rooms: `sources` (repositories, files, duplicates, metadata), `licences`, `quality` (annotations and what is kept)
and `qa` (snippets, synthetic questions, the release).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_ROOMS = (".sources", ".licences", ".quality", ".qa")
_DEFINED_IN = {"ASSETS": "assets", "CHECKS": "checks"}


def __getattr__(name: str) -> Any:
    """The Dagster definitions, loaded when asked for: worker processes use the plain modules without Dagster."""
    if name not in _DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = [import_module(f"{__name__}{room}.{_DEFINED_IN[name]}") for room in _ROOMS]
    return [definition for module in modules for definition in getattr(module, name)]
