"""One worker process of `resources/worker_pool.py`: how it is started, asked, watched and killed."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import Pipe

from resources.compute_worker import BY_ROW, WHOLE, Rejected
from resources.processes import ending

#: Seconds between two checks of a working process. It can exceed its memory or time limit for this long.
_POLL_S = 0.05

#: A row may take this many times its limit if the process waits for a core most of the time.
_MOST_WAITING = 30

#: Environment variables that set how many threads a library uses.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ComputeError(RuntimeError):
    """The map cannot continue: the function is unusable, workers do not start, or too many rows were lost."""


Answer = tuple[list[bytes], list[Rejected]]
"""The result frames (Arrow IPC) and the rejected rows of a batch, or of one row of it."""


class WorkerDied(Exception):
    """A worker was lost during a task. `cause`: worker_died, timeout, memory or stopped; `detail` explains it.
    `answers` are those that came before."""

    def __init__(self, cause: str, detail: str, answers: list[Answer]) -> None:
        super().__init__(detail)
        self.cause, self.detail, self.answers = cause, detail, answers


class _Spawner:
    """Starts processes from a thread that lives as long as this process.

    A worker asks the kernel to kill it when its parent dies, and for the kernel the parent is the THREAD that started
    it. Maps run in threads that end earlier (of a writer, of a web server), so those threads must not start workers.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[list[str], dict, Future]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="worker-spawner", daemon=True).start()

    def start(self, command: list[str], **options: object) -> subprocess.Popen:
        started: Future[subprocess.Popen] = Future()
        self._orders.put((command, options, started))
        return started.result()

    def _serve(self) -> None:
        while True:
            command, options, started = self._orders.get()
            try:
                started.set_result(subprocess.Popen(command, **options))
            except BaseException as error:
                started.set_exception(error)


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _forget_spawner() -> None:
    """Reset the spawner after a fork: the child process has only one thread, so it needs its own spawner and lock."""
    global _spawner, _spawner_lock
    _spawner, _spawner_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_spawner)


def _start_process(command: list[str], **options: object) -> subprocess.Popen:
    global _spawner
    with _spawner_lock:
        if _spawner is None:
            _spawner = _Spawner()
    return _spawner.start(command, **options)


class Worker:
    """A worker process and the connection to it. Not thread-safe: one thread owns it at a time."""

    def __init__(self, start_timeout: float) -> None:
        self._connection, worker_end = Pipe()
        threads = dict.fromkeys(_THREAD_VARIABLES, "1")
        self._process = _start_process(
            [sys.executable, "-m", "resources.compute_worker", str(worker_end.fileno()), str(os.getpid())],
            # The pool uses one process per core, so each worker uses one thread.
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(sys.path)},
            pass_fds=[worker_end.fileno()],
            stdin=subprocess.DEVNULL,
            # A session of its own: processes that the worker starts are killed together with it.
            start_new_session=True,
        )
        worker_end.close()
        self.used = False
        if not self._connection.poll(start_timeout) or self._receive()["kind"] != "ready":
            self.kill()
            raise ComputeError(f"a worker process did not start within {start_timeout:g} s")

    def call(
        self,
        fn: bytes,
        key: str,
        batch: bytes,
        *,
        rows: int,
        timeout: float,
        memory_bytes: int,
        stopped: Callable[[], bool],
    ) -> list[Answer]:
        """Apply the pickled `fn` to one batch (Arrow IPC) as a whole, or row by row if `rows` is not 0 but the number
        of its rows. Returns one answer, or one answer per row. `timeout` is the longest wait for an answer, in seconds
        in which the process did not just wait for a core.

        Raises `WorkerDied` if the process ended or was killed before it answered, and `ComputeError` if the function
        itself cannot be used. The process is gone after either error.
        """
        self.used = True
        answers: list[Answer] = []
        try:
            for part in (fn, key.encode(), BY_ROW if rows else WHOLE, batch):
                self._connection.send_bytes(part)
            while len(answers) < max(1, rows):
                self._wait(timeout, memory_bytes, stopped, answers)
                header = self._receive()
                if header["kind"] == "broken":
                    raise ComputeError(f"the mapped function cannot be used in a worker: {header['detail']}")
                frames = [self._connection.recv_bytes() for _ in range(header["frames"])]
                answers.append((frames, [tuple(row) for row in header["rejected"]]))
            return answers
        except (EOFError, OSError) as error:
            raise WorkerDied("worker_died", self._ending(), answers) from error
        except BaseException:
            self.kill()
            raise

    def _wait(self, timeout: float, memory_bytes: int, stopped: Callable[[], bool], answers: list[Answer]) -> None:
        """Wait for the next answer. Raises `WorkerDied` at a limit."""
        started, before = time.monotonic(), self._starved()
        while not self._connection.poll(_POLL_S):
            if (resident := self.resident_bytes()) > memory_bytes:
                detail = f"{resident >> 20} MiB resident, {memory_bytes >> 20} MiB allowed"
                raise WorkerDied("memory", detail, answers)
            if stopped():
                raise WorkerDied("stopped", "the map was closed", answers)
            if (waited := time.monotonic() - started) > timeout:
                # On a busy machine most of the wait may be a wait for a core, for which the row is not to blame.
                starved = max((now - before.get(thread, 0.0) for thread, now in self._starved().items()), default=0.0)
                if waited - starved > timeout or waited > _MOST_WAITING * timeout:
                    detail = f"no answer within {timeout:g} s (compute.row_timeout_s)"
                    raise WorkerDied("timeout", detail, answers)

    def resident_bytes(self) -> int:
        """Physical memory of the process in bytes; 0 if the process has ended."""
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return 0

    def _starved(self) -> dict[str, float]:
        """For every thread of the process, the seconds since its start in which it was ready to run and had no core.
        Empty if the process has ended, and if the kernel does not count them."""
        found = {}
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{self._process.pid}/task"):
                with open(f"/proc/{self._process.pid}/task/{thread}/schedstat", "rb") as schedstat:
                    found[thread] = int(schedstat.read().split()[1]) / 1e9
        return found

    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the process and all processes it started, and wait for its end. May be called more than once."""
        self._connection.close()
        if self.alive():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it ended a moment ago
                pass
        self._process.wait()

    def _receive(self) -> dict:
        return json.loads(self._connection.recv_bytes())

    def _ending(self) -> str:
        """How the process ended, in words. A process that closed its connection but still runs is killed."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.kill()
            return "the worker closed its connection"
        self.kill()
        return f"the worker {ending(code)}"
