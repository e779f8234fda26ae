"""A pool of worker processes that survives a worker that crashes, hangs, uses too much memory or raises.

Pages are untrusted, and the parsers that read them are written in C: some page will crash a parser or keep it busy for
ever. `concurrent.futures` fails as a whole when a worker dies, and it cannot stop a worker that hangs. Therefore this
pool manages its own processes. One thread per process sends a batch, watches the process while it works, and kills and
replaces it when needed. The batch of a lost process is halved until the row at fault is alone, and only that row is
rejected. `resources/compute.py` is the interface to this pool; the pool depends neither on Dagster nor on tables.
"""

from __future__ import annotations

import heapq
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import Pipe
from typing import TYPE_CHECKING

from resources.compute_worker import Rejected

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: Seconds between two checks of a working process. It can exceed its memory or time limit for this long.
_POLL_S = 0.05

#: Environment variables that set how many threads a library uses.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ComputeError(RuntimeError):
    """The map cannot continue: the function is unusable, workers do not start, or too many rows were lost."""


class WorkerDied(Exception):
    """A worker was lost during a task. `cause`: worker_died, timeout, memory or stopped; `detail` explains it."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause, self.detail = cause, detail


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
        self, fn: bytes, key: str, batch: bytes, *, timeout: float, memory_bytes: int, stopped: Callable[[], bool]
    ) -> tuple[list[bytes], list[Rejected]]:
        """Apply the pickled `fn` to one batch (Arrow IPC). Returns the result frames (Arrow IPC) and rejected rows.

        Raises `WorkerDied` if the process ended or was killed before it answered, and `ComputeError` if the function
        itself cannot be used. The process is gone after either error.
        """
        self.used = True
        try:
            for part in (fn, key.encode(), batch):
                self._connection.send_bytes(part)
            deadline = time.monotonic() + timeout
            while not self._connection.poll(_POLL_S):
                if (resident := self.resident_bytes()) > memory_bytes:
                    raise WorkerDied("memory", f"{resident >> 20} MiB resident, {memory_bytes >> 20} MiB allowed")
                if time.monotonic() > deadline:
                    raise WorkerDied("timeout", f"no answer within {timeout:g} s")
                if stopped():
                    raise WorkerDied("stopped", "the map was closed")
            header = self._receive()
            if header["kind"] == "broken":
                raise ComputeError(f"the mapped function cannot be used in a worker: {header['detail']}")
            frames = [self._connection.recv_bytes() for _ in range(header["frames"])]
            return frames, [tuple(row) for row in header["rejected"]]
        except (EOFError, OSError) as error:
            raise WorkerDied("worker_died", self._ending()) from error
        except BaseException:
            self.kill()
            raise

    def resident_bytes(self) -> int:
        """Physical memory of the process in bytes; 0 if the process has ended."""
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return 0

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
        return "the worker " + (f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}")


@dataclass
class _Batch:
    """An input batch that was read from the source and whose results were not yet yielded.

    `frames` and `rejected` hold the results of its finished tasks by the offset of their first row.
    """

    number: int
    open_tasks: int = 1
    frames: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    rejected: dict[int, list[Rejected]] = field(default_factory=dict)


@dataclass(order=True)
class _Task:
    """Rows of a batch, from row `offset`. Tasks of earlier batches go first, because the output waits for them.

    `isolated`: this single row is tried a second time, in a new worker process.
    """

    number: int
    offset: int
    rows: pa.RecordBatch = field(compare=False)
    batch: _Batch = field(compare=False)
    isolated: bool = field(default=False, compare=False)


class Pool:
    """At most `workers` processes. Idle processes are kept for the next map, which need not start new ones.

    `timeout` (seconds) is the longest time for one row. A batch that takes longer is halved like a batch that crashed,
    and a row is rejected only if it takes longer than this alone. `memory_bytes` is the most physical memory of one
    worker. `in_flight` is the most batches held at a time. A map that loses more than `max_lost` rows to dead workers
    stops: so many losses mean a broken machine, not broken pages.
    """

    def __init__(
        self,
        workers: int,
        *,
        in_flight: int,
        timeout: float,
        memory_bytes: int,
        max_lost: int = 1000,
        start_timeout: float = 120.0,
    ) -> None:
        self.workers, self.in_flight, self.timeout = workers, max(1, in_flight), timeout
        self.memory_bytes, self.max_lost, self.start_timeout = memory_bytes, max_lost, start_timeout
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def map(
        self,
        batches: Iterable[pa.RecordBatch],
        fn: Callable[[pl.DataFrame], pl.DataFrame],
        *,
        key: str,
        reject: Callable[[Rejected], None],
    ) -> Iterator[pl.DataFrame]:
        """Apply `fn` to every batch and yield the results in order; see `Compute.map`."""
        if getattr(getattr(fn, "func", fn), "__module__", None) == "__main__":
            raise ComputeError("the mapped function is defined in the main script: move it to a module")
        running = _Map(self, pickle.dumps(fn), key)
        try:
            yield from running.results(batches, reject)
        finally:
            running.stop()

    def close(self) -> None:
        """End the idle workers. The pool can be used again afterwards."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()

    def take(self, *, fresh: bool = False) -> Worker:
        """A worker for one thread: an idle one if there is one and not `fresh`, else a new one."""
        with self._lock:
            while self._idle and not fresh:
                if (worker := self._idle.pop()).alive():
                    return worker
                worker.kill()
        return Worker(self.start_timeout)

    def give_back(self, worker: Worker) -> None:
        """Keep a worker for the next map. End it if it is dead, has grown, or if enough workers are idle."""
        if worker.alive() and worker.resident_bytes() < self.memory_bytes // 2:
            with self._lock:
                if len(self._idle) < self.workers:
                    self._idle.append(worker)
                    return
        worker.kill()


class _Map:
    """One run of `Pool.map`: the batches in flight, the tasks they are divided into, and one thread per worker."""

    def __init__(self, pool: Pool, fn: bytes, key: str) -> None:
        self._pool, self._fn, self._key = pool, fn, key
        self._changed = threading.Condition()
        self._tasks: list[_Task] = []
        self._stopping = False
        self._error: BaseException | None = None
        self._lost = 0
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{n}", daemon=True) for n in range(pool.workers)
        ]

    def results(self, batches: Iterable[pa.RecordBatch], reject: Callable[[Rejected], None]) -> Iterator[pl.DataFrame]:
        import polars as pl

        for thread in self._threads:
            thread.start()
        source, window, number = (batch for batch in batches if batch.num_rows), deque[_Batch](), 0
        while True:
            while len(window) < self._pool.in_flight and (rows := next(source, None)) is not None:
                window.append(_Batch(number))
                self._add(_Task(number, 0, rows, window[-1]))
                number += 1
            if not window:
                return
            head = window[0]
            with self._changed:
                self._changed.wait_for(lambda head=head: self._error or not head.open_tasks)
                if self._error:
                    raise self._error
            window.popleft()
            for offset in sorted(head.rejected):
                for row in head.rejected[offset]:
                    reject(row)
            if frames := [frame for offset in sorted(head.frames) for frame in head.frames[offset]]:
                yield pl.concat(frames)

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _add(self, *tasks: _Task) -> None:
        with self._changed:
            for task in tasks:
                heapq.heappush(self._tasks, task)
            self._changed.notify_all()

    def _next(self) -> _Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._error or self._tasks)
            return None if self._stopping or self._error else heapq.heappop(self._tasks)

    def _serve(self) -> None:
        """One thread: takes tasks, sends them to the worker it owns, and replaces the worker if it is lost."""
        worker: Worker | None = None
        try:
            while task := self._next():
                if worker is None or (task.isolated and worker.used):
                    if worker is not None:
                        self._pool.give_back(worker)
                    worker = self._pool.take(fresh=task.isolated)
                try:
                    self._run(worker, task)
                except WorkerDied as death:
                    worker = None
                    self._narrow_down(task, death)
                else:
                    # Libraries leak memory. Replace a worker that has grown before it exceeds the limit at another row.
                    if worker.resident_bytes() > self._pool.memory_bytes // 2:
                        worker.kill()
                        worker = None
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()
        finally:
            if worker is not None:
                self._pool.give_back(worker)

    def _run(self, worker: Worker, task: _Task) -> None:
        import polars as pl

        frames, rejected = worker.call(
            self._fn,
            self._key,
            batch_to_ipc(task.rows),
            timeout=self._pool.timeout,
            memory_bytes=self._pool.memory_bytes,
            stopped=lambda: self._stopping,
        )
        self._finish(task, [pl.read_ipc_stream(frame) for frame in frames], rejected)

    def _finish(self, task: _Task, frames: list[pl.DataFrame], rejected: list[Rejected]) -> None:
        with self._changed:
            task.batch.frames[task.offset], task.batch.rejected[task.offset] = frames, rejected
            task.batch.open_tasks -= 1
            self._changed.notify_all()

    def _narrow_down(self, task: _Task, death: WorkerDied) -> None:
        """Halve a lost task; reject a single row if it also fails alone in a new worker."""
        rows = task.rows.num_rows
        if rows > 1:
            with self._changed:
                task.batch.open_tasks += 1
            halves = ((0, rows // 2), (rows // 2, rows - rows // 2))
            self._add(
                *(
                    _Task(task.number, task.offset + start, task.rows.slice(start, length), task.batch)
                    for start, length in halves
                )
            )
        elif not task.isolated:
            # State that an earlier batch left in the worker may be the cause: try again in a new worker.
            task.isolated = True
            self._add(task)
        else:
            self._lost += 1
            if self._lost > self._pool.max_lost:
                raise ComputeError(
                    f"more than {self._pool.max_lost} rows were lost to dead workers; last: {death.detail}"
                )
            row_id = str(task.rows.column(self._key)[0])
            self._finish(task, [], [(row_id, death.cause, death.detail)])


def batch_to_ipc(rows: pa.RecordBatch) -> bytes:
    """A record batch as an Arrow IPC stream. Of a slice only its own rows are written, not the whole buffers."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return sink.getvalue().to_pybytes()
