"""Temporary folders that do not stay: the next process that makes one deletes those of processes that were killed.

A folder is in use while its process holds the lock of a file in it. The kernel releases the lock when the process ends,
also by a kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".in-use"
#: A folder without a lock is left for this many seconds, in which its process takes the lock.
_NEW_S = 3_600


@contextlib.contextmanager
def scratch_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder with nothing but the file of its lock, until the context ends. Its name begins with `prefix`; `parent`
    is by default the folder for temporary files."""
    parent = parent or Path(tempfile.gettempdir())
    _remove_left(prefix, parent)
    # Under this name nobody looks for folders without a lock.
    made = Path(tempfile.mkdtemp(prefix=f".new-{prefix}", dir=parent))
    with (made / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(made.name.removeprefix(".new-")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_left(prefix: str, parent: Path) -> None:
    """Delete the folders of processes that were killed. A folder of another user stays."""
    for folder in parent.glob(f".new-{prefix}*"):  # its process was killed before it had the lock
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _NEW_S:
                shutil.rmtree(folder, ignore_errors=True)
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
