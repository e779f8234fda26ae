"""Opens a folder of the lake as a file system, on this machine or in an object store, and looks at Delta logs."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

from nemotron_assets.table.ids import content_hash

_COMMIT = re.compile(r"\d{20}\.json")


def store_at(path: str) -> Any:
    """The pyarrow file system rooted at a local folder or an object-store URL.

    Credentials and endpoints of an object store come from the environment variables of its provider.
    """
    from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

    filesystem, base = FileSystem.from_uri(path) if "://" in path else (LocalFileSystem(), path)
    return SubTreeFileSystem(base, filesystem)


def empty_commit(folder: str) -> str:
    """What is wrong with the last commit of a table in a local folder, which DuckDB reads without an error when it is
    empty; "" if nothing is wrong."""
    with contextlib.suppress(FileNotFoundError), os.scandir(f"{folder}/_delta_log") as entries:
        last = max((entry for entry in entries if _COMMIT.fullmatch(entry.name)), key=lambda e: e.name, default=None)
        if last is not None and last.stat().st_size == 0:
            return is_empty(last.path)
    return ""


def log_state(path: str) -> str:
    """A hash of the names, sizes and times of the files in the Delta log of a table, which change with every file that
    is added, mended or put back."""
    if "://" in path:
        from pyarrow.fs import FileSelector

        found = store_at(path).get_file_info(FileSelector("_delta_log", allow_not_found=True))
        files = [(info.base_name, info.size, info.mtime_ns) for info in found]
    else:
        files = []
        with contextlib.suppress(FileNotFoundError), os.scandir(f"{path}/_delta_log") as entries:
            files = [(entry.name, (status := entry.stat()).st_size, status.st_mtime_ns) for entry in entries]
    return content_hash(str(sorted(files)))


def is_empty(path: str) -> str:
    """The sentence about an empty last commit, `<lake>/<schema>/<table>/_delta_log/<commit>`."""
    asset = "/".join(path.split("/")[-4:-2])
    return (
        f"the last commit {path} is empty, so its rows would be missing; perhaps the machine lost power. Put the file "
        f"back from a copy of the lake, or delete it and write the table again: `nemotron run --force {asset}`."
    )
