"""A pool of worker processes that survives a worker that crashes, hangs, uses too much memory or raises.

Pages are untrusted, and the parsers that read them are written in C: some page will crash a parser or keep it busy for
ever. `concurrent.futures` fails as a whole when a worker dies, and it cannot stop a worker that hangs. Therefore this
pool manages its own processes (`resources/worker_process.py`). One thread per process sends a batch, watches the
process while it works, and kills and replaces it when needed. A new process goes through the batch of a lost one row by
row and answers after each row: the row without an answer is the row at fault, and only that row is rejected.
`resources/compute.py` is the interface to this pool; the pool depends neither on Dagster nor on tables.
"""

from __future__ import annotations

import heapq
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemotron_assets.table.counting import counted
from resources.compute_worker import Rejected
from resources.worker_process import Answer, ComputeError, Worker, WorkerDied

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


#: Causes of rejected rows at which a worker was lost.
LOST = ("worker_died", "timeout", "memory")


def pickled(fn: Callable[[pl.DataFrame], pl.DataFrame]) -> bytes:
    """A function as it is sent to workers, which import its module. Raises `ComputeError` for one of the main script,
    which they cannot import."""
    if getattr(getattr(fn, "func", fn), "__module__", None) == "__main__":
        raise ComputeError("the mapped function is defined in the main script: move it to a module")
    return pickle.dumps(fn)


class Losses:
    """The rows that one map has lost to dead workers, and the seconds that the slow ones of them took. `add` raises
    `ComputeError` at more than `most` rows or `most_s` seconds; a row that was too slow took `timeout` seconds."""

    def __init__(self, most: int, most_s: float, timeout: float) -> None:
        self._most, self._most_s, self._timeout = most, most_s, timeout
        self._rows, self._s = 0, 0.0

    def add(self, cause: str, detail: str) -> None:
        """Count a row that was lost for a cause of `LOST`."""
        self._rows += 1
        self._s += self._timeout if cause == "timeout" else 0
        if self._rows > self._most or self._s > self._most_s:
            too_much = counted(self._most, "row") if self._rows > self._most else f"{self._most_s:g} s"
            raise ComputeError(
                f"dead workers cost more than {too_much}; last: {detail}. If the rows and not the machine are to "
                "blame, raise compute.max_lost_rows or compute.max_lost_s"
            )


@dataclass
class _Batch:
    """An input batch that was read from the source and whose results were not yet yielded.

    `frames` and `rejected` hold the results of its finished tasks by the offset of their first row. `bytes` is the
    memory that rows and results take.
    """

    number: int
    bytes: int
    open_tasks: int = 1
    frames: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    rejected: dict[int, list[Rejected]] = field(default_factory=dict)


@dataclass(order=True)
class _Task:
    """Rows of a batch, from row `offset`. Tasks of earlier batches go first, because the output waits for them.

    `by_row`: a worker was lost to these rows, so that a new worker goes through them row by row. `isolated`: a worker
    was lost to this single row, which is tried a second time, in a new worker.
    """

    number: int
    offset: int
    rows: pa.RecordBatch = field(compare=False)
    batch: _Batch = field(compare=False)
    by_row: bool = field(default=False, compare=False)
    isolated: bool = field(default=False, compare=False)


class Pool:
    """At most `workers` processes. Idle processes are kept for the next map, which need not start new ones.

    `timeout` (seconds) is the longest time for one row. A batch that takes longer is gone through row by row like a
    batch that crashed, and a row is rejected only if it takes longer than this alone. `memory_bytes` is the most
    physical memory of one worker. `in_flight` is the most batches held at a time, and `in_flight_bytes` the bytes of
    batches and results at which no further batch is read. A map stops that loses more than `max_lost` rows to dead
    workers, or more than `max_lost_s` seconds to rows that took too long: so many losses mean a broken machine, not
    broken pages.
    """

    def __init__(
        self,
        workers: int,
        *,
        in_flight: int,
        in_flight_bytes: int,
        timeout: float,
        memory_bytes: int,
        max_lost: int = 1000,
        max_lost_s: float = 14_400.0,
        start_timeout: float = 120.0,
    ) -> None:
        self.workers, self.in_flight, self.in_flight_bytes = workers, max(1, in_flight), in_flight_bytes
        self.timeout = timeout
        self.memory_bytes, self.start_timeout = memory_bytes, start_timeout
        self.max_lost, self.max_lost_s = max_lost, max_lost_s
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def map(
        self,
        batches: Iterable[pa.RecordBatch],
        fn: bytes,
        *,
        key: str,
        reject: Callable[[Rejected], None],
    ) -> Iterator[pl.DataFrame]:
        """Apply the `pickled` function `fn` to every batch and yield the results in order; see `Compute.map`."""
        running = _Map(self, fn, key)
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
        self._losses = Losses(pool.max_lost, pool.max_lost_s, pool.timeout)
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{n}", daemon=True) for n in range(pool.workers)
        ]

    def results(self, batches: Iterable[pa.RecordBatch], reject: Callable[[Rejected], None]) -> Iterator[pl.DataFrame]:
        import polars as pl

        for thread in self._threads:
            thread.start()
        source, window, number = (batch for batch in batches if batch.num_rows), deque[_Batch](), 0
        while True:
            while self._has_room(window) and (rows := next(source, None)) is not None:
                window.append(_Batch(number, rows.nbytes))
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

    def _has_room(self, window: deque[_Batch]) -> bool:
        """Whether a further batch may be read. One always may, however large it is."""
        pool = self._pool
        within = len(window) < pool.in_flight and sum(batch.bytes for batch in window) < pool.in_flight_bytes
        return within or not window

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
                fresh = task.by_row or task.isolated
                if worker is None or (fresh and worker.used):
                    if worker is not None:
                        self._pool.give_back(worker)
                    worker = self._pool.take(fresh=fresh)
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
        answers = worker.call(
            self._fn,
            self._key,
            batch_to_ipc(task.rows),
            rows=task.rows.num_rows if task.by_row else 0,
            timeout=self._pool.timeout,
            memory_bytes=self._pool.memory_bytes,
            stopped=lambda: self._stopping,
        )
        self._finish(task, answers)

    def _finish(self, task: _Task, answers: list[Answer]) -> None:
        import polars as pl

        frames = [pl.read_ipc_stream(frame) for found, _ in answers for frame in found]
        with self._changed:
            task.batch.bytes += sum(len(frame) for found, _ in answers for frame in found)
            task.batch.frames[task.offset] = frames
            task.batch.rejected[task.offset] = [row for _, rejected in answers for row in rejected]
            task.batch.open_tasks -= 1
            self._changed.notify_all()

    def _narrow_down(self, task: _Task, death: WorkerDied) -> None:
        """Have a new worker go through a lost task row by row. If that worker is lost too, keep what it answered,
        reject the row it was at, and go on after that row."""
        if task.isolated:
            self._reject(task, death)
            return
        if not task.by_row:
            task.by_row = True
            self._add(task)
            return
        done = len(death.answers)
        at = task.offset + done
        guilty = _Task(task.number, at, task.rows.slice(done, 1), task.batch, isolated=True)
        rest = _Task(task.number, at + 1, task.rows.slice(done + 1), task.batch, by_row=True)
        with self._changed:
            task.batch.open_tasks += 1 + bool(rest.rows.num_rows)
        self._finish(task, death.answers)
        if rest.rows.num_rows:
            self._add(rest)
        if death.cause == "timeout":  # the row had a new worker, and all the time that a row may take
            self._reject(guilty, death)
        else:  # the rows before it may have used up the memory
            self._add(guilty)

    def _reject(self, task: _Task, death: WorkerDied) -> None:
        """Reject the single row of a task."""
        with self._changed:
            self._losses.add(death.cause, death.detail)
        self._finish(task, [([], [(str(task.rows.column(self._key)[0]), death.cause, death.detail)])])


def batch_to_ipc(rows: pa.RecordBatch) -> bytes:
    """A record batch as an Arrow IPC stream. Of a slice only its own rows are written, not the whole buffers."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return sink.getvalue().to_pybytes()
