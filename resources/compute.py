"""Applies one function to all batches of a table, on all cores of this machine or on a Ray cluster.

`Compute.map` keeps the order of the batches and holds a bounded number of them. Rows that crash, hang or raise are
rejected; all others are kept. Both backends run the function in the processes of `resources/worker_pool.py`. On Ray
each actor has one such process, so a page that crashes a parser costs this process and not the actor or the job.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field, PrivateAttr

from nemotron_assets.table.parts import Reject
from resources.compute_worker import Rejected, frame_to_ipc
from resources.worker_pool import Pool, batch_to_ipc

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


class Compute(dg.ConfigurableResource):
    """Maps functions over tables. The defaults suit a laptop; the definitions set the values of the recipe."""

    backend: Literal["processes", "ray"] = Field(default="processes", description="local processes, or Ray Data")
    workers: int = Field(default=0, ge=0, description="worker processes; 0 means one per usable core")
    row_timeout_s: float = Field(
        default=20.0, gt=0, description="longest time for one row, in seconds, without waits for a core"
    )
    memory_mb: int = Field(default=4096, ge=256, description="most memory of one worker, in MiB")
    max_lost_rows: int = Field(default=1000, ge=0, description="most rows that one map may lose to dead workers")
    max_lost_s: float = Field(
        default=14_400.0, gt=0, description="longest time for the rows that take too long, together"
    )
    queue: int = Field(default=2, ge=1, description="batches in flight per worker")

    _pool: Pool | None = PrivateAttr(default=None)

    def map(
        self,
        batches: Iterable[pa.RecordBatch],
        fn: Callable[[pl.DataFrame], pl.DataFrame],
        *,
        key: str = "id",
        reject: Callable[[Reject], None],
        stage: str = "",
    ) -> Iterator[pl.DataFrame]:
        """Apply `fn` to every batch and yield the results in the order of the batches.

        `fn` is a module-level function or a `functools.partial` of one. It must treat rows independently and always
        return the same columns: a batch is gone through row by row if its worker dies, if it takes longer than
        `row_timeout_s`, or if the worker uses more than `memory_mb`, and it is halved if `fn` raises. `reject` receives
        each row at fault with the value of its `key` column and a cause: worker_died, timeout, memory, or the class of
        the exception in snake_case. The rejects of a batch come before its result; a batch that lost all its rows has
        no result. At most `workers * queue` batches are held at a time, including results that wait for their turn.

        Raises `ComputeError`, with a note that names `stage`, if the function cannot be used or workers do not start.
        """

        def reject_row(row: Rejected) -> None:
            reject(Reject(*row))

        if self.backend == "ray":
            results = self._map_on_ray(batches, fn, key, reject_row)
        else:
            results = self._own_pool().map(batches, fn, key=key, reject=reject_row)
        try:
            yield from results
        except RuntimeError as error:
            if stage:
                error.add_note(f"while mapping over {stage}")
            raise
        finally:
            results.close()

    def worker_count(self) -> int:
        """The number of worker processes on this machine."""
        return self.workers or len(os.sched_getaffinity(0))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End the idle workers at the end of a run."""
        self.close()

    def close(self) -> None:
        """End the idle workers. The resource can be used again afterwards."""
        if self._pool is not None:
            self._pool.close()

    def _own_pool(self) -> Pool:
        settings = {"workers": self.worker_count(), "in_flight": self.worker_count() * self.queue, **self._limits()}
        if _KEPT is not None:
            return _KEPT.setdefault(json.dumps(settings), Pool(**settings))
        if self._pool is None:
            self._pool = Pool(**settings)
        return self._pool

    def _limits(self) -> dict[str, Any]:
        return {
            "timeout": self.row_timeout_s,
            "memory_bytes": self.memory_mb << 20,
            "max_lost": self.max_lost_rows,
            "max_lost_s": self.max_lost_s,
        }

    def _map_on_ray(
        self, batches: Iterable[pa.RecordBatch], fn: Callable, key: str, reject: Callable[[Rejected], None]
    ) -> Iterator[pl.DataFrame]:
        """The same map as Ray Data jobs. Each job takes a window of batches, so the source is never read far ahead.

        A batch is sent as one row of bytes, so Ray can neither split it nor change its types.
        """
        import polars as pl
        import pyarrow as pa
        import ray

        if not ray.is_initialized():
            # RAY_ADDRESS names a cluster; without it Ray starts a local one. The local cluster gets one core more than
            # there are actors: Ray Data's own tasks need a core too, or the job never starts.
            local = {"num_cpus": self.worker_count() + 1, "include_dashboard": False}
            ray.init(log_to_driver=False, **({} if os.environ.get("RAY_ADDRESS") else local))
        numbered = enumerate(batch for batch in batches if batch.num_rows)
        while window := list(itertools.islice(numbered, self.worker_count() * self.queue)):
            done = ray.data.from_arrow(
                [pa.table({"number": [number], "batch": [batch_to_ipc(batch)]}) for number, batch in window]
            ).map_batches(
                RayMapper,
                fn_constructor_kwargs={"fn": fn, "key": key, "limits": self._limits()},
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=min(self.worker_count(), len(window))),
            )
            for row in sorted(done.iter_rows(), key=lambda row: row["number"]):
                for rejected in json.loads(row["rejected"]):
                    reject(tuple(rejected))
                if row["result"]:
                    yield pl.read_ipc_stream(row["result"])


# Pools by their settings, in a process that keeps them; None in all other processes.
_KEPT: dict[str, Pool] | None = None


def keep_workers() -> None:
    """Keep idle workers until this process ends. A process that executes one run after the other then starts them once,
    not in every run."""
    global _KEPT
    _KEPT = {} if _KEPT is None else _KEPT


class RayMapper:
    """A Ray actor: applies the function to one batch at a time in a worker process of its own."""

    def __init__(self, fn: Callable, key: str, limits: dict[str, Any]) -> None:
        self._fn, self._key, self._pool = fn, key, Pool(1, in_flight=1, **limits)

    def __call__(self, rows: pa.Table) -> dict[str, list]:
        import pyarrow as pa

        answers: dict[str, list] = {"number": rows["number"].to_pylist(), "result": [], "rejected": []}
        for batch in rows["batch"].to_pylist():
            rejected: list[Rejected] = []
            source = pa.ipc.open_stream(batch)
            frames = list(self._pool.map(source, self._fn, key=self._key, reject=rejected.append))
            answers["result"].append(frame_to_ipc(frames[0]) if frames else b"")
            answers["rejected"].append(json.dumps(rejected))
        return answers
