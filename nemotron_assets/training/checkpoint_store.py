"""Copies of a training's checkpoints in the object store of the lake, so that the training outlives its machine.

A copy is complete when its `state.json` is there, which is written last. A lake in a folder needs no copies: its
checkpoints stand beside it, on the same disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Container
from pathlib import Path

from resources.store import store_at

_STATE = "state.json"
_BLOCK = 16 << 20


class CheckpointStore:
    """The checkpoints of one training at a URI of an object store."""

    def __init__(self, uri: str) -> None:
        self._store = store_at(uri)

    def put(self, checkpoint: Path) -> None:
        """Copy a complete checkpoint, and remove the copies of others."""
        if checkpoint.name in _folders(self._store):  # begun by a run with perhaps another number of processes
            self._store.delete_dir(checkpoint.name)
        self._store.create_dir(checkpoint.name, recursive=True)
        files = [path for path in sorted(checkpoint.iterdir()) if path.name != _STATE]
        for path in (*files, checkpoint / _STATE):
            with path.open("rb") as source, self._store.open_output_stream(f"{checkpoint.name}/{path.name}") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
        for name in _folders(self._store):
            if name != checkpoint.name:
                self._store.delete_dir(name)

    def fetch(self, folder: Path) -> Path | None:
        """Copy the newest complete checkpoint into the folder of the training, unless the folder has it or a newer one.
        Returns its place, or None if nothing was copied."""
        own = max((path.name for path in folder.glob("step-*")), default="")
        complete = (name for name in _folders(self._store) if name > own and _STATE in _files(self._store, name))
        name = max(complete, default=None)
        if name is None:
            return None
        partial = folder / f"writing-{name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for file in _files(self._store, name):
            with self._store.open_input_stream(f"{name}/{file}") as source, (partial / file).open("wb") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
                os.fsync(copy.fileno())
        return partial.rename(folder / name)


def forget(uri: str, finished: Container[str]) -> None:
    """Remove the checkpoints of finished trainings; `uri` is the folder of all trainings, by their ids."""
    store = store_at(uri)
    for name in _folders(store):
        if name in finished:
            store.delete_dir(name)


def _folders(store) -> list[str]:
    from pyarrow.fs import FileSelector, FileType

    found = store.get_file_info(FileSelector("", allow_not_found=True))
    return sorted(info.base_name for info in found if info.type == FileType.Directory)


def _files(store, folder: str) -> list[str]:
    from pyarrow.fs import FileSelector, FileType

    found = store.get_file_info(FileSelector(folder))
    return sorted(info.base_name for info in found if info.type == FileType.File)
