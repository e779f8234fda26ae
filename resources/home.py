"""Where this machine keeps its files: one home folder with the lake, Dagster's own storage, and caches.

All paths of the product are decided here. `NEMOTRON_HOME` moves all of them, `NEMOTRON_LAKE` moves only the lake.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from resources.places import PlaceError, make_readable

#: Some libraries quote these characters of an object-store URL, some decode them, and some end the path at them.
_AMBIGUOUS = re.compile(r"[^A-Za-z0-9._~+@=:/-]")


def home() -> Path:
    """The home folder: `NEMOTRON_HOME`, else `.nemotron` below the working directory. Absolute; not created."""
    return Path(os.environ.get("NEMOTRON_HOME") or ".nemotron").absolute()


def lake_root() -> str:
    """The root of the lake as a local path or object-store URL: `NEMOTRON_LAKE`, else `<home>/lake`.

    Raises `PlaceError` if Delta could not read tables there, and for a URL that holds a secret or that libraries read
    in different ways.
    """
    root = os.environ.get("NEMOTRON_LAKE") or str(home() / "lake")
    if "://" not in root:
        path = str(Path(root).absolute())
        make_readable(path, "NEMOTRON_LAKE" if os.environ.get("NEMOTRON_LAKE") else "NEMOTRON_HOME")
        return path
    place = root.partition("://")[2]
    if "?" in place or ":" in place.rpartition("@")[0]:  # the root is part of tables, logs and the DuckDB catalog
        raise PlaceError(
            "NEMOTRON_LAKE holds a password or a query: give the address of the lake alone, and set the provider's "
            "environment variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...)"
        )
    if wrong := _AMBIGUOUS.search(place):
        raise PlaceError(
            f"NEMOTRON_LAKE is {root!r}, and libraries do not agree on the object that an address with {wrong[0]!r} "
            "names: use a prefix of letters without accents, digits and the characters - _ . ~ + @ = only."
        )
    return root.rstrip("/")


def dagster_home() -> Path:
    """Dagster's instance folder (run history, event log, schedules): `DAGSTER_HOME`, else `<home>/dagster`.

    Raises `PlaceError` if Dagster could not open its SQLite files there.
    """
    path = Path(os.environ.get("DAGSTER_HOME") or home() / "dagster").absolute()
    # What follows a question mark would be taken for options of SQLite.
    make_readable(str(path), "DAGSTER_HOME" if os.environ.get("DAGSTER_HOME") else "NEMOTRON_HOME", refused="\\?")
    return path


def report_file() -> Path:
    """The newest report of the lake: a page of HTML. Not created."""
    return home() / "report.html"


def cache_dir(name: str) -> Path:
    """A folder for files that can be made again (weights, the DuckDB catalog, locks, journals). Creates it."""
    path = home() / "cache" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
