"""Exact deduplication by the hash of the full text, over all snapshots at once (Nemotron-CC §2.1).

Of the documents with one text, the earliest is kept, by (snapshot, fetched_at, id); the others remember it. Only ids
and hashes are looked at, joined in DuckDB, which spills to disk beyond its memory limit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import duckdb
import polars as pl
import pyarrow as pa

from nemotron_assets.table import row_id

#: What deduplication reads of a document.
COLUMNS = ("id", "snapshot", "fetched_at", "content_hash")

_SCHEMA = pa.schema(
    [
        ("id", pa.large_string()),
        ("snapshot", pa.large_string()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("content_hash", pa.large_string()),
    ]
)

# `other` is read as it streams by and kept only where its text is also in `mine`: memory and time are those of the
# partition in hand, plus one scan of the hashes of the others.
_DUPLICATES = """
with
    relevant as (select * from mine union all select * from other semi join mine using (content_hash)),
    earliest as (
        select content_hash, min(struct_pack(snapshot, fetched_at, id)) as kept from relevant group by content_hash
    )
select mine.id, kept.id as duplicate_of, kept.snapshot as duplicate_of_snapshot
from mine join earliest using (content_hash)
where mine.id <> kept.id
order by mine.id
"""


def find_duplicates(
    mine: Iterable[pa.RecordBatch], other: Iterable[pa.RecordBatch], memory_mb: int
) -> Iterator[pl.DataFrame]:
    """Which documents of one snapshot repeat a text that is kept elsewhere or earlier in the same snapshot.

    `mine` are the snapshot's documents, `other` those of earlier snapshots, both with `COLUMNS`. Yields frames of
    id, duplicate_of and duplicate_of_snapshot, sorted by id.
    """
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{memory_mb}MB'; set temp_directory = '{spill}'")
        connection.execute("set timezone = 'UTC'")
        connection.register("mine_stream", pa.RecordBatchReader.from_batches(_SCHEMA, mine))
        connection.execute("create temp table mine as from mine_stream")
        connection.register("other", pa.RecordBatchReader.from_batches(_SCHEMA, other))
        for batch in connection.execute(_DUPLICATES).to_arrow_reader(65_536):
            yield pl.from_arrow(batch)


def without(documents: pl.LazyFrame, duplicates: pl.LazyFrame, table: str) -> Iterator[pl.DataFrame]:
    """`documents` whose id is not in `duplicates`' column `document`, streamed, with ids of rows of `table` and the
    document as parent."""
    rest = documents.join(duplicates, left_on="id", right_on="document", how="anti")
    for frame in rest.collect_batches(chunk_size=8_192, engine="streaming"):
        yield frame.with_columns(
            id=pl.Series([row_id(table, document) for document in frame["id"]], dtype=pl.String),
            parents=pl.concat_list("id"),
        )
