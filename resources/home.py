"""Where this machine keeps its files: one home folder with the lake, Dagster's own storage, and caches.

All paths of the product are decided here. `NEMOTRON_HOME` moves all of them, `NEMOTRON_LAKE` moves only the lake.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The home folder: `NEMOTRON_HOME`, else `.nemotron` below the working directory. Absolute; not created."""
    return Path(os.environ.get("NEMOTRON_HOME") or ".nemotron").absolute()


def lake_root() -> str:
    """The root of the lake as a local path or object-store URL: `NEMOTRON_LAKE`, else `<home>/lake`."""
    root = os.environ.get("NEMOTRON_LAKE") or str(home() / "lake")
    return root.rstrip("/") if "://" in root else str(Path(root).absolute())


def dagster_home() -> Path:
    """Dagster's instance folder (run history, event log, schedules): `DAGSTER_HOME`, else `<home>/dagster`."""
    return Path(os.environ.get("DAGSTER_HOME") or home() / "dagster").absolute()


def cache_dir(name: str) -> Path:
    """A folder for files that can be made again (weights, the DuckDB catalog, locks, journals). Creates it."""
    path = home() / "cache" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
