"""Per-document work on every core: one function over a table's batches, on this machine or on a Ray cluster.

`Compute.map` keeps the order, holds a bounded number of batches, and loses only the rows that crash, hang or raise:
those go to the quarantine. Both backends run the function in `resources/worker_pool.py`'s processes; on Ray each actor
has one of its own, so a page that brings a parser down costs a worker process, never an actor or the job.
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
from resources.compute_worker import Rejected
from resources.worker_pool import Pool

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


class Compute(dg.ConfigurableResource):
    """Maps functions over tables. The defaults are the laptop's; the definitions set them from the recipe."""

    backend: Literal["processes", "ray"] = Field(default="processes", description="local processes, or Ray Data")
    workers: int = Field(default=0, ge=0, description="worker processes; 0 means one per usable core")
    row_timeout_s: float = Field(default=20.0, gt=0, description="longest time one row may take, in seconds")
    memory_mb: int = Field(default=4096, ge=256, description="memory one worker may hold, in MiB")
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
        """Apply `fn` to every batch and yield its results in the order of the batches.

        `fn` is a module-level function or a `functools.partial` of one. It must treat rows independently and always
        return the same columns, because a batch is halved when a worker dies over it, takes longer than
        `row_timeout_s`, grows past `memory_mb`, or raises, until the rows at fault are alone. Each of those is handed
        to `reject` with its `key` column and a cause: worker_died, timeout, memory, or the exception's name in
        snake_case. A batch's rejects come before its result; a batch that lost every row has none. At most
        `workers * queue` batches are held at any time, results waiting for their turn included.

        Raises `ComputeError`, naming `stage`, when the function cannot be used at all or workers do not start.
        """

        def rejected(row: Rejected) -> None:
            reject(Reject(*row))

        if self.backend == "ray":
            results = self._map_on_ray(batches, fn, key, rejected)
        else:
            results = self._own_pool().map(batches, fn, key=key, reject=rejected)
        try:
            yield from results
        except RuntimeError as error:
            if stage:
                error.add_note(f"while mapping over {stage}")
            raise
        finally:
            results.close()

    def worker_count(self) -> int:
        """Processes this machine runs at once."""
        return self.workers or len(os.sched_getaffinity(0))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End the idle workers with the run."""
        self.close()

    def close(self) -> None:
        """End the idle workers; the resource can be used again."""
        if self._pool is not None:
            self._pool.close()

    def _own_pool(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self.worker_count(), in_flight=self.worker_count() * self.queue, **self._limits())
        return self._pool

    def _limits(self) -> dict[str, Any]:
        return {"timeout": self.row_timeout_s, "memory_bytes": self.memory_mb << 20}

    def _map_on_ray(
        self, batches: Iterable[pa.RecordBatch], fn: Callable, key: str, reject: Callable[[Rejected], None]
    ) -> Iterator[pl.DataFrame]:
        """The same map as Ray Data jobs, one per window of batches, so that the source is pulled as results go out.

        A batch travels as one opaque row: Ray may then neither split it nor look into its types.
        """
        import polars as pl
        import pyarrow as pa
        import ray

        from resources.worker_pool import batch_to_ipc

        if not ray.is_initialized():
            # RAY_ADDRESS names a cluster; without it this starts a private one on this machine.
            # One core more than there are actors: Ray Data's own tasks need a slot too, or nothing moves.
            private = {"num_cpus": self.worker_count() + 1, "include_dashboard": False}
            ray.init(log_to_driver=False, **({} if os.environ.get("RAY_ADDRESS") else private))
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


class RayMapper:
    """What a Ray actor does with one batch: hand it to a worker process of its own."""

    def __init__(self, fn: Callable, key: str, limits: dict[str, Any]) -> None:
        self._fn, self._key, self._pool = fn, key, Pool(1, in_flight=1, **limits)

    def __call__(self, rows: pa.Table) -> dict[str, list]:
        import pyarrow as pa

        from resources.compute_worker import frame_to_ipc

        answers: dict[str, list] = {"number": rows["number"].to_pylist(), "result": [], "rejected": []}
        for batch in rows["batch"].to_pylist():
            rejected: list[Rejected] = []
            source = pa.ipc.open_stream(batch)
            frames = list(self._pool.map(source, self._fn, key=self._key, reject=rejected.append))
            answers["result"].append(frame_to_ipc(frames[0]) if frames else b"")
            answers["rejected"].append(json.dumps(rejected))
        return answers
