"""The target folder of an export: what it holds already, the lock on it, and the rename that completes it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nemotron_assets.export.written import ExportError
from resources.files import replaced

#: The file that describes an export for programs: its identity, its counts, and every file with its size in bytes.
FACTS = "export.json"

#: What `export_in` returns for a folder with files that no export wrote.
FOREIGN = "foreign"


def export_in(directory: Path) -> dict[str, Any] | str | None:
    """Which export a folder holds: its identity, or None for an empty or missing folder.

    The result is `FOREIGN` when there are files that no export wrote, and {} when files of the export are missing or
    have another size.
    """
    if not directory.exists():
        return None
    if not directory.is_dir():
        return FOREIGN
    present = {str(file.relative_to(directory)): file for file in directory.rglob("*") if not file.is_dir()}
    if not present:
        return None
    try:
        stored = json.loads((directory / FACTS).read_text("utf-8"))
        listed = {**stored["files"], FACTS: None}
        if present.keys() - listed.keys():
            return FOREIGN
        whole = all(name in present and size in (None, present[name].stat().st_size) for name, size in listed.items())
        return stored["identity"] if whole else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return FOREIGN


def put_in_place(work: Path, directory: Path) -> Path | None:
    """Rename the finished folder `work` to `directory`.

    An earlier export in `directory` is deleted. Files that no export wrote are moved into a folder beside it, whose
    path is returned.
    """
    moved, old = None, None
    if directory.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        old = directory.with_name(f"{directory.name}.replaced-{stamp}")
        if export_in(directory) == FOREIGN:
            moved = old
        os.replace(directory, old)
    os.replace(work, directory)
    if old is not None and moved is None:
        shutil.rmtree(old)
    return moved


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """Hold the lock of a target folder, so that one export at a time writes it. Raises `ExportError` if it is held.

    The lock is on the folder itself: it leaves no file behind, and it ends with the process.
    """
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(f"another export is writing {work}: wait for it, or name another folder") from None
        yield
    finally:
        os.close(handle)


def write(path: Path, text: str) -> None:
    """Write a small text file in one step: after a crash it is either complete or absent."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
