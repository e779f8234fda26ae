"""DuckDB for the joins of deduplication: its memory is bounded, and it spills to a temporary folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import duckdb
import polars as pl
import pyarrow as pa

from nemotron_assets.table.schema import Table
from nemotron_assets.table.scratch import scratch_folder


@contextlib.contextmanager
def workspace(memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty in-memory database that holds at most `memory_mb` MB before it spills to the disk."""
    with scratch_folder("nemotron-dedup-") as spill, duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{memory_mb}MB'; set temp_directory = '{spill}'")
        connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
        connection.execute("set arrow_large_buffer_size = true")  # texts of a batch may have more than 2 GiB together
        yield connection


def load(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    query: str = "from stream",
) -> None:
    """Create the table `name` as the result of `query`, in which the batches are the relation `stream`."""
    stream(connection, "stream", schema, batches)
    connection.execute(f"create or replace table {name} as {query}")
    connection.unregister("stream")


def stream(
    connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> None:
    """Let one query read the batches as the relation `name`; they are not stored."""
    connection.register(name, pa.RecordBatchReader.from_batches(schema, iter(batches)))


def schema_of(table: Table, *columns: str) -> pa.Schema:
    """The Arrow schema of some columns of a table, as `Reader.batches` reads them."""
    declared = table.arrow_schema()
    return pa.schema([declared.field(column) for column in columns])


def batches_of(frame: pl.LazyFrame, table: Table) -> Iterator[pa.RecordBatch]:
    """The rows of some columns of a table, in the types that `schema_of` gives."""
    schema = schema_of(table, *frame.collect_schema().names())
    for part in frame.collect_batches(chunk_size=8_192, engine="streaming"):
        yield from part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema).to_batches()
