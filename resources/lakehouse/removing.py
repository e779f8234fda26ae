"""Keeps runs away while rows are removed from a lake: a run that has read a row could store it again.

The lock is one of the operating system, so a removal that was killed holds nothing. Of a lake in an object store it is
in the home, so only programs of the same home see it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.contract import LakeError
from resources.home import cache_dir
from resources.lakehouse.branch import roots

if TYPE_CHECKING:
    from resources.lakehouse.lake import Lake

#: Set in the process of a removal, and so in the processes that make tables again for it.
_OWN = "NEMOTRON_REMOVING"
_PAUSE_S = 1.0


@contextlib.contextmanager
def removing(lake: Lake) -> Iterator[None]:
    """Hold the lock of a removal. Runs that begin meanwhile wait until it ends. Raises `LakeError` if another removal
    holds it."""
    path = _file(lake, lake.root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeError("another `nemotron forget` is at work: wait for its end, then repeat the command") from None
        os.environ[_OWN] = lake.root
        try:
            yield
        finally:
            os.environ.pop(_OWN, None)


def wait_for_removal(lake: Lake, say: Callable[[str], Any]) -> None:
    """Wait while another program removes rows from the lake, or from the lake that it is a branch of."""
    said = False
    while is_removing(lake):
        if not said:
            say("`nemotron forget` is removing rows from the lake: waiting for its end")
        said = True
        time.sleep(_PAUSE_S)


def is_removing(lake: Lake) -> bool:
    """Whether another program removes rows from the lake, or from the lake that it is a branch of."""
    return any(_is_held(_file(lake, root)) for root in roots(lake.root) if root != os.environ.get(_OWN))


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _file(lake: Lake, root: str) -> Path:
    return Path(root, "_locks", "removing.lock") if "://" not in root else cache_dir("locks") / f"{lake.identity}.lock"
