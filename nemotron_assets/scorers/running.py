"""A scorer at work: on the accelerator, which is held meanwhile, or in worker processes on every core."""

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
    """The scores of batches, for rows of `table`: on the accelerator, which this process has to itself meanwhile, or in
    worker processes on every core, whose poison rows go to `reject`."""
    if not accelerated:
        yield compute.map(batches, score, reject=reject, stage=table.full_name)
        return
    with gpu.lock(log):
        gpu.release()  # a language model this process keeps leaves no room beside it
        yield (score(pl.from_arrow(batch)) for batch in batches if batch.num_rows)
