"""Where things live on this machine: one home folder with the lake, Dagster's own storage and caches.

Every path of the product is decided here, so that moving `NEMOTRON_HOME` (or only the lake, with `NEMOTRON_LAKE`)
moves everything consistently.
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
    """A folder for things that can be made again (weights, the DuckDB catalog, locks, journals); created."""
    path = home() / "cache" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
