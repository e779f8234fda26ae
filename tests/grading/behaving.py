"""Functions that a grader's process applies in tests; a question says how the process behaves."""

from __future__ import annotations

import os
import signal
import sys
import time


def prepare() -> None:
    """There is nothing to load."""


def broken() -> None:
    import nonesuch  # noqa: F401


def answer(how: str) -> str | int:
    """The question itself, or what it names: the process hangs, crashes, exits, raises, or uses up the memory."""
    if how == "pid":
        return os.getpid()
    if how == "hang":
        time.sleep(3_600)
    elif how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "exit":
        sys.exit(3)
    elif how == "raise":
        raise ValueError("bad \ud800 text")
    elif how == "interrupt":
        raise KeyboardInterrupt
    elif how == "alarm":
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        time.sleep(3_600)
    elif how == "memory":
        held = []
        while True:
            held.append(b"x" * 10_000_000)
    return how


def judge(given: str, gold: str) -> tuple[str, str | None]:
    """Whether two texts are the same."""
    return ("right", None) if given == gold else ("wrong", f"{given!r} is not {gold!r}")
