"""Pretraining: the base model of the recipe, trained on the blend's token shards, and the metrics of its training."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_DEFINED_IN = {"ASSETS": "assets", "CHECKS": "checks"}


def __getattr__(name: str) -> Any:
    """The Dagster definitions, loaded when asked for: training processes use the plain modules without Dagster."""
    if name not in _DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_DEFINED_IN[name]}"), name)
