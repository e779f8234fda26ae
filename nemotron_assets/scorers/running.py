"""Runs a scorer over a table: on the accelerator, or in worker processes on every core."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa

    from nemotron_assets.table.parts import Reject
    from nemotron_assets.table.schema import Table
    from resources.compute import Compute
    from resources.gpu import Gpu


@contextlib.contextmanager
def scored(
    batches: Iterable[pa.RecordBatch],
    score: Callable[[pl.DataFrame], pl.DataFrame],
    table: Table,
    accelerated: bool,
    gpu: Gpu,
    compute: Compute,
    reject: Callable[[Reject], None],
    log: Callable[[str], None],
) -> Iterator[Iterator[pl.DataFrame]]:
    """A context that gives the scores of batches as frames, for the rows of `table`.

    If `accelerated`, this process scores them on the accelerator and holds it alone until the context ends. Otherwise
    worker processes score them on every core, and rows that crash or hang a worker go to `reject`.
    """
    if not accelerated:
        yield compute.map(batches, score, reject=reject, stage=table.full_name)
        return
    with gpu.lock(log):
        gpu.release()  # a language model that this process has loaded would leave no memory for the scorer
        yield (score(pl.from_arrow(batch)) for batch in batches if batch.num_rows)
