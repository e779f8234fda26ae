"""The pool of `resources/worker_pool.py` with its workers on the machines of a Ray cluster.

Each worker is a Ray actor with one worker process, so a page that crashes a parser costs this process, and neither the
actor nor the step. Actors and processes stay from one map to the next: a step starts them once.

The process of the step reads the batches and commits the results, so the batches pass through it. They stay in its part
of Ray's object store until the result is here: a batch whose machine is lost goes to another one. Ray Data repeats lost
work only where a task can read its input again, which a stream of batches cannot give it; so these are plain actors.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.compute_worker import Rejected, frame_to_ipc
from resources.worker_pool import LOST, Losses, Pool, batch_to_ipc
from resources.worker_process import ComputeError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: Seconds between two lines about a map.
_TELL_EVERY_S = 30.0
#: A batch is given up after this many machines were lost with it: the batch itself may be what ends them.
_MOST_TRIES = 5
#: Actors that may fail to start, one after the other, in the place of one worker.
_MOST_STARTS = 5
#: Seconds in which a machine must have joined that a worker fits on.
_ROOM_S = 600.0
#: A cluster of this machine alone is started so often: Ray gives up when its processes take more than 30 s.
_MOST_RAY_STARTS = 5


class RayWorker:
    """The actor: applies functions to batches in a worker process of its own."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self._pool = Pool(1, in_flight=1, in_flight_bytes=1, **limits)

    def node(self) -> str:
        """The id of its machine in the cluster. It answers when the actor has started."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def run(self, fn: bytes, key: str, batch: bytes) -> tuple[bytes, str]:
        """(the result as Arrow IPC, b"" without rows; the rejected rows as JSON) of one batch in Arrow IPC."""
        import pyarrow as pa

        rejected: list[Rejected] = []
        frames = list(self._pool.map(pa.ipc.open_stream(batch), fn, key=key, reject=rejected.append))
        return (frame_to_ipc(frames[0]) if frames else b""), json.dumps(rejected)


class RayPool:
    """`workers` actors on the cluster at `address`; 0 stands for as many as the cluster has cores and memory for.

    Each actor asks for one core, and for the memory that its worker may use. Other steps may have the cores: a map goes
    on with the actors that have started, and waits up to `wait_s` seconds for the first one. `queue` is the number of
    batches that an actor has at a time, so that it need not wait for the next one. `limits` are those of `Pool`, of
    which `max_lost` and `max_lost_s` hold for a whole map. `log` receives lines on progress.
    """

    def __init__(
        self,
        workers: int,
        *,
        queue: int,
        in_flight_bytes: int,
        address: str | None = None,
        limits: dict[str, Any],
        wait_s: float = 86_400.0,
        log: Callable[[str], Any] = lambda line: None,
    ) -> None:
        self.queue, self.in_flight_bytes, self.limits, self.log = queue, in_flight_bytes, limits, log
        self.wait_s = wait_s
        self._wanted, self._address = workers, address
        self._actors: list[Any] = []
        self._lock = threading.Lock()

    def map(
        self, batches: Iterable[pa.RecordBatch], fn: bytes, *, key: str, reject: Callable[[Rejected], None]
    ) -> Iterator[pl.DataFrame]:
        """Apply the `pickled` function `fn` to every batch and yield the results in order; see `Compute.map`."""
        running = _Map(self, self._started(), fn, key)
        try:
            yield from running.results(batches, reject)
        finally:
            running.stop()

    def close(self) -> None:
        """End the actors. The pool can be used again afterwards."""
        import ray

        with self._lock:
            actors, self._actors = self._actors, []
        if ray.is_initialized():
            for actor in actors:
                ray.kill(actor)

    def renew(self, slot: int, lost: Any) -> Any:
        """The actor in the place of one that is lost. Two maps may find the same loss: it is replaced once."""
        with self._lock:
            if slot < len(self._actors) and self._actors[slot] is lost:
                self._actors[slot] = self._new()
            return self._actors[slot]

    def _started(self) -> list[Any]:
        import ray

        with self._lock:
            if not ray.is_initialized():
                _connect(self._address, self._wanted)
                self._actors = []
            if not self._actors:
                self._actors = [self._new() for _ in range(self._wanted or self.room() or 1)]
            return list(self._actors)

    def room(self) -> int:
        """The number of workers that the cluster has cores and memory for, when nothing else uses them."""
        import ray

        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        need = self.limits["memory_bytes"]
        return sum(int(min(has.get("CPU", 0), has.get("memory", 0) // need)) for has in machines)

    def _new(self) -> Any:
        import ray

        asked = {"num_cpus": 1, "memory": self.limits["memory_bytes"]}
        actor = ray.remote(RayWorker).options(**asked, max_restarts=0, scheduling_strategy="SPREAD")
        return actor.remote(self.limits)


def _connect(address: str | None, workers: int) -> None:
    """Join the cluster at an address, or that of RAY_ADDRESS; without either, start one on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = address or os.environ.get("RAY_ADDRESS")
    cores = workers or len(os.sched_getaffinity(0))
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    alone = {"num_cpus": cores, "_memory": here, "include_dashboard": False}
    options = {"address": address} if address else alone
    for attempt in range(1, _MOST_RAY_STARTS + 1):
        try:
            ray.init(log_to_driver=False, logging_level="warning", **options)
            return
        except ConnectionError as error:
            raise ComputeError(
                f"no Ray cluster answers at {address!r}: {error}. Start one (`ray start --head`), correct "
                "compute.address of the recipe or RAY_ADDRESS, or leave both out to use this machine alone"
            ) from error
        except Exception as error:
            if "timed out during startup" not in str(error) or attempt == _MOST_RAY_STARTS:
                raise
            ray.shutdown()


@dataclass(eq=False)
class _Batch:
    """A batch in Ray's object store, how often it was lost, and its answer when it is here. `bytes` is the size of the
    batch, and then of its answer."""

    ref: Any
    bytes: int
    tries: int = 0
    answer: tuple[bytes, str] | None = None


@dataclass(eq=False)
class _Slot:
    """The place of one actor: the id of its machine, None until it has started; how many batches it has; and how many
    actors in a row did not start here."""

    number: int
    actor: Any
    node: str | None = None
    load: int = 0
    failures: int = 0


class _Map:
    """One run of `RayPool.map`: the batches in flight, and which actor has which of them."""

    def __init__(self, pool: RayPool, actors: list[Any], fn: bytes, key: str) -> None:
        import ray

        self._pool, self._fn, self._key = pool, ray.put(fn), key
        limits = pool.limits
        self._losses = Losses(limits["max_lost"], limits["max_lost_s"], limits["timeout"])
        self._window: deque[_Batch] = deque()
        self._waiting: deque[_Batch] = deque()  # of the window, those that no actor has
        # By the reference to what is awaited: the batch and who has it, or which actor starts.
        self._tasks: dict[Any, tuple[_Batch, _Slot, Any]] = {}
        self._starting: dict[Any, tuple[_Slot, Any]] = {}
        self._slots = [_Slot(number, actor) for number, actor in enumerate(actors)]
        self._done, self._told = 0, time.monotonic()
        self._stalled_since = time.monotonic()
        for slot in self._slots:
            self._start(slot)

    def results(self, batches: Iterable[pa.RecordBatch], reject: Callable[[Rejected], None]) -> Iterator[pl.DataFrame]:
        import polars as pl

        source = (batch for batch in batches if batch.num_rows)
        while True:
            while self._has_room() and (rows := next(source, None)) is not None:
                self._take(rows)
            if not self._window:
                return
            self._hand_out()
            if self._window[0].answer is None:
                self._wait()
                continue
            result, rejected = self._window.popleft().answer
            for row_id, cause, detail in json.loads(rejected):
                if cause in LOST:
                    self._losses.add(cause, detail)
                reject((row_id, cause, detail))
            if result:
                yield pl.read_ipc_stream(result)

    def stop(self) -> None:
        """End the actors that still work: those of a map that was ended early."""
        import ray

        for slot, actor in {(slot, actor) for _, slot, actor in self._tasks.values()}:
            ray.kill(actor)
            self._pool.renew(slot.number, actor)
        self._tasks.clear()

    def _has_room(self) -> bool:
        """Whether a further batch may be read. One always may, however large it is."""
        within = len(self._window) < len(self._slots) * self._pool.queue
        return not self._window or (within and self._held() < self._pool.in_flight_bytes)

    def _held(self) -> int:
        return sum(batch.bytes for batch in self._window)

    def _take(self, rows: pa.RecordBatch) -> None:
        import ray

        data = batch_to_ipc(rows)
        self._window.append(_Batch(ray.put(data), len(data)))
        self._waiting.append(self._window[-1])

    def _hand_out(self) -> None:
        """Give waiting batches to the started actors, first to those with the fewest."""
        while self._waiting:
            free = [slot for slot in self._slots if slot.node and slot.load < self._pool.queue]
            if not free:
                return
            slot, batch = min(free, key=lambda slot: slot.load), self._waiting.popleft()
            slot.load += 1
            self._tasks[slot.actor.run.remote(self._fn, self._key, batch.ref)] = (batch, slot, slot.actor)

    def _wait(self) -> None:
        """Wait until an answer is here or an actor has started, and take in whatever is ready."""
        import ray

        awaited = [*self._tasks, *self._starting]
        # Batches of running actors have their own time limits, in the worker pool of the actor.
        if ray.wait(awaited, timeout=_TELL_EVERY_S)[0]:
            for ref in ray.wait(awaited, num_returns=len(awaited), timeout=0)[0]:
                if ref in self._tasks:
                    self._receive(ref)
                else:
                    self._welcome(ref)
        elif not self._tasks:
            self._stall()
        if time.monotonic() - self._told >= _TELL_EVERY_S:
            self._tell()

    def _stall(self) -> None:
        """Say why no worker has started. Raises `ComputeError` when there is no hope that one does."""
        waited, needs = time.monotonic() - self._stalled_since, self._pool.limits["memory_bytes"] >> 20
        if not self._pool.room() and waited > _ROOM_S:
            raise ComputeError(
                f"no machine of the Ray cluster has a core and {needs:,} MiB of memory for a worker: add a machine, or "
                "lower compute.memory_mb (`ray status` shows what the machines have)"
            )
        if waited > self._pool.wait_s:
            raise ComputeError(
                f"no worker of the Ray cluster has started within {waited:.0f} s (compute.wait_s): others have used "
                "all cores and all memory (`ray status` shows them)"
            )
        self._pool.log(f"Ray: no worker has started yet; each waits for a free core and {needs:,} MiB of memory")

    def _receive(self, ref: Any) -> None:
        import ray

        batch, slot, actor = self._tasks.pop(ref)
        try:
            batch.answer = ray.get(ref)
        except ray.exceptions.RayTaskError as error:  # the function cannot be used
            raise error.cause from None
        except ray.exceptions.RayError as error:  # the actor, or the machine with the answer, is gone
            self._lose(batch, slot, actor, error)
            return
        batch.ref, batch.bytes = None, len(batch.answer[0])
        self._done, self._stalled_since = self._done + 1, time.monotonic()
        if slot.actor is actor:
            slot.load -= 1

    def _lose(self, batch: _Batch, slot: _Slot, actor: Any, error: Exception) -> None:
        """Give a batch to another actor, and start one in the place of the actor that had it."""
        batch.tries += 1
        if batch.tries == _MOST_TRIES:
            raise ComputeError(
                f"{_MOST_TRIES} workers of the Ray cluster were lost with the same batch; last: {_short(error)}"
            )
        self._waiting.appendleft(batch)
        if slot.actor is actor:
            self._pool.log(f"Ray: a worker on machine {(slot.node or '')[:8]} is lost, its batches go to others")
            self._replace(slot)

    def _start(self, slot: _Slot) -> None:
        """Await that the actor of a slot has started."""
        slot.node, slot.load = None, 0
        self._starting[slot.actor.node.remote()] = (slot, slot.actor)

    def _replace(self, slot: _Slot) -> None:
        slot.actor = self._pool.renew(slot.number, slot.actor)
        self._start(slot)

    def _welcome(self, ref: Any) -> None:
        import ray

        slot, _ = self._starting.pop(ref)
        try:
            slot.node, slot.failures = ray.get(ref), 0
            self._stalled_since = time.monotonic()
        except ray.exceptions.RayError as error:
            slot.failures += 1
            if slot.failures == _MOST_STARTS:
                raise ComputeError(f"a worker of the Ray cluster does not start: {_short(error)}") from error
            self._replace(slot)

    def _tell(self) -> None:
        self._told = time.monotonic()
        nodes = [slot.node for slot in self._slots if slot.node]
        self._pool.log(
            f"Ray: {self._done:,} batches done, {len(self._window):,} in flight ({self._held() >> 20:,} MiB); "
            f"{len(nodes):,} of {len(self._slots):,} workers on {len(set(nodes)):,} machines"
        )


def _short(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1][:300]
