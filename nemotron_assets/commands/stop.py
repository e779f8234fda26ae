"""Ctrl-C and SIGTERM end `nemotron` at once, whatever it and its worker processes are doing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nemotron_assets.commands.signals import EXIT_STATUS, STOPPED
from nemotron_assets.run_processes import end_lost_runs

if TYPE_CHECKING:
    import dagster as dg

#: The command ends after this many seconds even if Dagster's database does not answer. The next command then ends the
#: runs that are left over.
_MOST_SECONDS = 4.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stoppable(
    instance: dg.DagsterInstance,
    kill_workers: Callable[[], None] = lambda: None,
    close_display: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Inside the context, Ctrl-C and SIGTERM kill the workers, mark their runs as canceled, and end this process.

    Python calls a signal handler only between two steps of the main thread, which may be inside compiled code for
    minutes. So a thread of its own waits for the signal. Outside the main thread the context does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = [signal.signal(number, lambda number, frame: None) for number in _SIGNALS]
    wakeup = signal.set_wakeup_fd(writing)
    threading.Thread(target=_wait, args=(reading, instance, kill_workers, close_display), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
        os.close(writing)  # the thread reads the end of the pipe and ends


def _wait(reading: int, *stop: Any) -> None:
    while received := os.read(reading, 64):
        if set(received) & set(_SIGNALS):
            _stop(*stop)
    os.close(reading)


def _stop(instance: dg.DagsterInstance, kill_workers: Callable[[], None], close_display: Callable[[], None]) -> None:
    def leave() -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os.write(2, f"{STOPPED}\n".encode())
        os._exit(EXIT_STATUS)

    timer = threading.Timer(_MOST_SECONDS, leave)
    timer.daemon = True
    timer.start()
    try:
        kill_workers()
        close_display()
        end_lost_runs(instance, stopped=True)
    finally:
        timer.cancel()
        leave()
