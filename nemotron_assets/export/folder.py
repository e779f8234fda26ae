"""The folder that an export becomes: what is there already, who is writing it, and how it gets its name in one step."""

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

FACTS = "export.json"


def look(directory: Path) -> dict[str, Any] | str | None:
    """What a target folder holds: nothing (None), "foreign" files, or an export, by its identity."""
    if not directory.exists():
        return None
    if not directory.is_dir():
        return "foreign"
    present = {str(file.relative_to(directory)): file for file in directory.rglob("*") if not file.is_dir()}
    if not present:
        return None
    try:
        stored = json.loads((directory / FACTS).read_text("utf-8"))
        listed = {**stored["files"], FACTS: None}
        if present.keys() - listed.keys():
            return "foreign"  # something was put beside our files
        whole = all(name in present and size in (None, present[name].stat().st_size) for name, size in listed.items())
        return stored["identity"] if whole else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "foreign"


def put_in_place(work: Path, directory: Path) -> Path | None:
    """Give the finished folder its name. What was there is deleted if an export wrote it, else moved aside."""
    moved, old = None, None
    if directory.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        old = directory.with_name(f"{directory.name}.replaced-{stamp}")
        if look(directory) == "foreign":
            moved = old
        os.replace(directory, old)
    os.replace(work, directory)
    if old is not None and moved is None:
        shutil.rmtree(old)
    return moved


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """One export at a time per target. The lock is on the folder itself, so it leaves no file and ends with us."""
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
    """A small file, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
