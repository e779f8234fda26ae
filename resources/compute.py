"""Applies one function to all batches of a table, on all cores of this machine or on a Ray cluster.

`Compute.map` keeps the order of the batches and holds a bounded number of them. Rows that crash, hang or raise are
rejected; all others are kept. Both backends run the function in worker processes that stay from one map to the next
(`resources/worker_pool.py`): on Ray in those of actors all over the cluster (`resources/ray_pool.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field, PrivateAttr

from nemotron_assets.table.parts import Reject
from resources.compute_worker import Rejected
from resources.ray_pool import RayPool
from resources.worker_pool import Pool, pickled

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


class Compute(dg.ConfigurableResource):
    """Maps functions over tables. The defaults suit a laptop; the definitions set the values of the recipe."""

    backend: Literal["processes", "ray"] = Field(default="processes", description="local processes, or a Ray cluster")
    address: str | None = Field(
        default=None, description="address of the Ray cluster; None: RAY_ADDRESS, or a cluster on this machine alone"
    )
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
    in_flight_mb: int = Field(
        default=2048, ge=1, description="batches and results in flight at which no further batch is read, in MiB"
    )
    wait_s: float = Field(default=86_400.0, gt=0, description="longest wait for a first worker on Ray, in seconds")

    _pool: Pool | RayPool | None = PrivateAttr(default=None)

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
        no result. At most `workers * queue` batches are held at a time, including results that wait for their turn, and
        no batch is read while batches and results take `in_flight_mb`.

        Raises `ComputeError`, with a note that names `stage`, if the function cannot be used or workers do not start.
        """

        def reject_row(row: Rejected) -> None:
            reject(Reject(*row))

        results = self._own_pool().map(batches, pickled(fn), key=key, reject=reject_row)
        try:
            yield from results
        except RuntimeError as error:
            if stage:
                error.add_note(f"while mapping over {stage}")
            raise
        finally:
            results.close()

    def worker_count(self) -> int:
        """The number of worker processes on this machine, if they are on this machine."""
        return self.workers or len(os.sched_getaffinity(0))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End the idle workers at the end of a run."""
        self.close()

    def close(self) -> None:
        """End the idle workers. The resource can be used again afterwards."""
        if self._pool is not None:
            self._pool.close()

    def _own_pool(self) -> Pool | RayPool:
        # Actors are not kept: an idle one still has its core of the cluster, for which other runs would wait in vain.
        if _KEPT is not None and self.backend == "processes":
            settings = self.model_dump_json()
            if settings not in _KEPT:
                _KEPT[settings] = self._new_pool()
            return _KEPT[settings]
        if self._pool is None:
            self._pool = self._new_pool()
        return self._pool

    def _new_pool(self) -> Pool | RayPool:
        limits = {
            "timeout": self.row_timeout_s,
            "memory_bytes": self.memory_mb << 20,
            "max_lost": self.max_lost_rows,
            "max_lost_s": self.max_lost_s,
        }
        held = self.in_flight_mb << 20
        if self.backend == "processes":
            workers = self.worker_count()
            return Pool(workers, in_flight=workers * self.queue, in_flight_bytes=held, **limits)
        log = dg.get_dagster_logger("compute").info
        return RayPool(
            self.workers,
            queue=self.queue,
            in_flight_bytes=held,
            address=self.address,
            limits=limits,
            wait_s=self.wait_s,
            log=log,
        )


# Pools of this machine by their settings, in a process that keeps them; None in all other processes.
_KEPT: dict[str, Pool | RayPool] | None = None


def keep_workers() -> None:
    """Keep idle workers of this machine until this process ends. A process that executes one run after the other then
    starts them once, not in every run."""
    global _KEPT
    _KEPT = {} if _KEPT is None else _KEPT
