"""Makes a process end when the process that started it ends, and says how a process ended. Imports only the standard
library."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def ending(code: int) -> str:
    """How a process with this exit status of `subprocess` ended, in words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"


def die_with_parent(parent: int | None = None, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process the signal `by` when its parent dies.

    `parent` is the id of the parent: if the parent has died already, this process ends at once. None if the parent is
    sure to be alive, as between fork and exec.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, by) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), by)
