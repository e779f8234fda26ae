"""Runs a query with joins, or with counts of distinct values, bucket by bucket, so that its memory is bounded.

A join and a set of distinct values need memory for every key. Where all frames of a query are divided by the hash of
the key that they are joined or compared by, equal keys are in one bucket, and the query can run on one bucket after the
other. The frames are read once and wait on the disk. Small frames are one bucket: then the query runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa

from nemotron_assets.table.scratch import scratch_folder

#: Rows of one bucket, over all frames. A row with an id takes about 100 bytes in a join.
BUCKET_ROWS = 4_000_000
#: A frame, and the column by whose values it is divided.
Keyed = tuple[pl.LazyFrame, str]


def in_buckets(query: Callable[..., pl.LazyFrame], *frames: Keyed, rows: int = BUCKET_ROWS) -> Iterator[pl.DataFrame]:
    """The results of `query` for every bucket of the frames, which are its arguments.

    Rows with equal keys, and those without a key, are in the same bucket. A bucket has about `rows` rows. Select the
    columns that the query needs before: they all go to the disk.
    """
    total = sum(frame.select(pl.len()).collect(engine="streaming").item() for frame, _ in frames)
    count = -(-total // rows)
    if count <= 1:
        yield query(*(frame for frame, _ in frames)).collect(engine="streaming")
        return
    with scratch_folder("nemotron-buckets-") as folder:
        divided = [_divide(frame, key, count, Path(folder, str(n))) for n, (frame, key) in enumerate(frames)]
        for bucket in range(count):
            yield query(*(rows_of(bucket) for rows_of in divided)).collect(engine="streaming")


def summed(query: Callable[..., pl.LazyFrame], *frames: Keyed, rows: int = BUCKET_ROWS) -> dict[str, int]:
    """The sums over all buckets of the columns of `query`, which returns one row of counts."""
    counts = pl.concat(in_buckets(query, *frames, rows=rows))
    return {name: int(value or 0) for name, value in counts.sum().row(0, named=True).items()}


def distinct(frame: pl.LazyFrame, column: str = "id", rows: int = BUCKET_ROWS) -> int:
    """The number of distinct values of a column; null counts as one value."""
    return summed(lambda own: own.select(pl.col(column).n_unique()), (frame.select(column), column), rows=rows)[column]


def absent(frame: pl.LazyFrame, column: str, known: pl.LazyFrame, known_column: str = "id") -> int:
    """The number of rows whose value is not in the column of `known`; null is never in it."""
    return _joined("anti", frame, column, known, known_column)


def distinct_absent(frame: pl.LazyFrame, column: str, known: pl.LazyFrame, known_column: str = "id") -> int:
    """The number of different values that are not in the column of `known`."""

    def query(rows: pl.LazyFrame, known: pl.LazyFrame) -> pl.LazyFrame:
        return rows.unique().join(known, left_on=column, right_on=known_column, how="anti").select(count=pl.len())

    return summed(query, (frame.select(column), column), (known.select(known_column), known_column))["count"]


def present(frame: pl.LazyFrame, column: str, known: pl.LazyFrame, known_column: str = "id") -> int:
    """The number of rows whose value is in the column of `known`."""
    return _joined("semi", frame, column, known, known_column)


def _joined(how: Literal["anti", "semi"], frame: pl.LazyFrame, column: str, known: pl.LazyFrame, other: str) -> int:
    def query(rows: pl.LazyFrame, known: pl.LazyFrame) -> pl.LazyFrame:
        return rows.join(known, left_on=column, right_on=other, how=how).select(count=pl.len())

    return summed(query, (frame.select(column), column), (known.select(other), other))["count"]


def _divide(frame: pl.LazyFrame, key: str, count: int, folder: Path) -> Callable[[int], pl.LazyFrame]:
    """Write the rows to one file per bucket; returns what reads a bucket."""
    folder.mkdir()
    empty = frame.head(0).collect()
    schema = empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    bucket = (pl.col(key).hash() % count).alias("_bucket")
    for batch in frame.with_columns(bucket).collect_batches(chunk_size=max(65_536, 64 * count), engine="streaming"):
        for (number,), rows in batch.partition_by("_bucket", as_dict=True, include_key=False).items():
            table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
            with Path(folder, str(number)).open("ab") as sink, pa.ipc.new_stream(sink, schema) as writer:
                writer.write_table(table)

    def rows_of(number: int) -> pl.LazyFrame:
        path, tables = Path(folder, str(number)), []
        if path.exists():
            with pa.memory_map(str(path)) as source:
                while source.tell() < path.stat().st_size:
                    tables.append(pl.from_arrow(pa.ipc.open_stream(source).read_all(), schema=empty.schema))
        return pl.concat([empty, *tables]).lazy()

    return rows_of
