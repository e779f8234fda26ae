"""Hooks that make every test run end, whatever a test does: dies, hangs, stops its process, or holds the interpreter.

pytest-xdist alone restarts a lost worker process and may then wait for ever. And the time-out of a test works neither
while a test file is imported, nor in compiled code that never returns, nor in a stopped process. So each worker writes
down until when it must have reported something, and the main process watches: it kills a worker that is late, and ends
the run when a worker is gone. tests/test_lost_worker.py tries it all.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

#: A worker is killed when it is this many seconds late. Before, the time-out of the test should have ended it.
LATE = 10.0
#: So many seconds xdist has for noticing by itself that a worker has ended.
UNNOTICED = 10.0
#: A worker that collects tests has this many times the time-out of a test.
COLLECTION = 3
#: How many seconds the main process may take to end after a worker was lost.
LAST = 60.0

_DEADLINE = pytest.StashKey[Path]()
_TIMEOUT = pytest.StashKey[float]()
#: A copy of the file descriptor of standard error: while a test runs, pytest captures what is written to the original.
_STDERR = pytest.StashKey[int]()
_FOLDER = pytest.StashKey[Path]()
_ENDING = threading.Event()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.dup(2)
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[_DEADLINE] = Path(worker["deadlines"], worker["workerid"])
        _promise(config, COLLECTION * float(config.getini("timeout") or 300))


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_STDERR])
    if folder := config.stash.get(_FOLDER, None):
        shutil.rmtree(folder, ignore_errors=True)


# -- in a worker -------------------------------------------------------------------------------------------------------


def _promise(config: pytest.Config, seconds: float | None) -> None:
    """Write down that this worker reports within some seconds; None for a worker that waits for tests."""
    if path := config.stash.get(_DEADLINE, None):
        if seconds is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(str(time.monotonic() + seconds))


def pytest_collection_finish(session: pytest.Session) -> None:
    _promise(session.config, None)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """End the process just before the test runs into its time-out, and print the stacks of all threads to standard
    error.

    pytest-timeout does it too, but needs the interpreter for it, and prints to standard output, which xdist discards.
    """
    faulthandler.dump_traceback_later(0.98 * settings.timeout, exit=True, file=item.config.stash[_STDERR])
    _promise(item.config, settings.timeout)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> None:
    faulthandler.cancel_dump_traceback_later()
    _promise(item.config, None)


# -- in the main process -----------------------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    config = node.config
    if _FOLDER not in config.stash:
        config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="nemotron-deadlines-"))
        threading.Thread(target=_watch, args=(config,), daemon=True, name="watch the workers").start()
    node.workerinput["deadlines"] = str(config.stash[_FOLDER])


def _watch(config: pytest.Config) -> None:
    """Kill workers that are late, and report workers that have ended.

    xdist notices the end of a worker by the end of its output. It never comes while a process that a test has forked
    holds the output open.
    """
    ended: dict[Any, float] = {}
    while not _ENDING.wait(1.0):
        session, now = config.pluginmanager.getplugin("dsession"), time.monotonic()
        for node in list(getattr(session, "_active_nodes", ())):
            process = node.gateway._io.popen
            with contextlib.suppress(FileNotFoundError, ValueError):
                if now > float((config.stash[_FOLDER] / node.gateway.id).read_text()) + LATE:
                    process.kill()
            if process.poll() is None or node._down:  # `_down`: xdist knows that it has finished or is gone
                continue
            if now > ended.setdefault(node, now) + UNNOTICED:
                node.notify_inproc("errordown", node=node, error=f"exit status {process.returncode}")
                ended[node] = float("inf")
    time.sleep(LAST)
    os._exit(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler of `--dist loadfile`, changed so that it may send tests to a worker that has just died.

    Without the change the run ends with an internal error before xdist reports which test the worker died in.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class FileScheduling(LoadFileScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            with contextlib.suppress(OSError):  # pytest_testnodedown is called next
                super()._assign_work_unit(node)

    return FileScheduling(config, log)


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """End the whole run at once when a worker process dies, and name the test that it ran.

    xdist alone starts a new worker and runs the fatal test again. It then waits for ever if the dead worker had
    finished a file before: its `loadfile` scheduler hands out the finished file again, with no test left to run, and a
    worker gets more tests only after it has reported one.
    """
    if not error:
        return
    _ENDING.set()
    session = node.config.pluginmanager.getplugin("dsession")
    known = session.sched is not None and node in session.sched.nodes
    test = session.sched.remove_node(node) if known else None
    if test:
        session.handle_crashitem(test, node)
    for other in session._active_nodes:  # else xdist waits ten seconds for a worker in the middle of a test
        other.gateway._io.popen.kill()
    pytest.exit(
        f"worker {node.gateway.id} died while it ran {test or 'no test'} ({error}): either the process crashed, or the "
        "test ran into its time-out, and its stacks are printed above",
        returncode=1,
    )
