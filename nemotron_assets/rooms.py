"""How a stage package offers its Dagster definitions without loading Dagster for whoever uses its plain modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def lazily(package: str, rooms: Sequence[str] = ("",), **more: str) -> Callable[[str], Any]:
    """A module's `__getattr__` that gathers ASSETS and CHECKS of its rooms when asked for: worker processes import the
    package for its plain modules and must not load Dagster. "" is the package itself, ".dedup" a package in it; `more`
    names what the rooms offer besides and the module that has it, as JOBS="automation"."""
    defined_in = {"ASSETS": "assets", "CHECKS": "checks", **more}

    def get(name: str) -> Any:
        if name not in defined_in:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        modules = [import_module(f"{package}{room}.{defined_in[name]}") for room in rooms]
        return [definition for module in modules for definition in getattr(module, name)]

    return get
