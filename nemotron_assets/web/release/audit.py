"""Counts faults in the rows of the release. Memory is bounded: aggregates are streamed, joins of ids spill to disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import polars as pl
import pyarrow as pa

from nemotron_assets.held_out import page_hash
from nemotron_assets.recipe.release import Subset
from nemotron_assets.table.buckets import distinct
from nemotron_assets.table.scratch import scratch_folder

_TEXT, _LIST = pa.large_string(), pa.large_list(pa.large_string())
_HASHES = pa.schema([("origin_hash", _TEXT)])


def invalid_rows(release: pl.LazyFrame, subsets: Mapping[str, Subset]) -> dict[str, int]:
    """The number of rows with each fault: an id that another row has, a subset that the recipe does not name, a source
    that is not the subset's, an empty text, a wrong number of characters."""
    table = pl.col("subset").replace_strict(
        {n: s.table for n, s in subsets.items()}, default=None, return_dtype=pl.String
    )
    text = pl.col("text")
    counts = release.select(
        doubled=pl.len() - pl.lit(distinct(release)),
        unknown_subset=table.is_null().sum(),
        wrong_source=(pl.col("sources").list.first() != table).fill_null(False).sum(),
        empty_text=(text.str.strip_chars() == "").sum(),
        wrong_length=(text.str.len_chars() != pl.col("characters")).sum(),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def untraceable_rows(
    release: Iterable[pa.RecordBatch],
    parents: Mapping[str, Iterable[pa.RecordBatch]],
    pages: Iterable[pa.RecordBatch],
    memory_mb: int,
) -> dict[str, int]:
    """The number of rows with each fault: not exactly one parent, a parent that is not in the row's source table, an
    origin hash that is not that of the page of a unique document.

    `release` has the columns parents, sources and origin_hash. `parents` has the column id of every source table,
    `pages` the column url of `web.unique_documents`.
    """
    with (
        scratch_folder("nemotron-audit-") as spill,
        duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "temp_directory": str(spill)}) as connection,
    ):
        connection.execute("set preserve_insertion_order = false")

        def load(statement: str, batches: Iterable[pa.RecordBatch], **columns: pa.DataType) -> None:
            connection.register("stream", pa.RecordBatchReader.from_batches(pa.schema(columns), iter(batches)))
            connection.execute(statement)
            connection.unregister("stream")

        load("create temp table release as from stream", release, parents=_LIST, sources=_LIST, origin_hash=_TEXT)
        connection.execute("create temp table known (id varchar, source varchar)")
        for name, batches in parents.items():
            load(f"insert into known select id, '{name}' from stream", batches, id=_TEXT)
        hashes = (pl.DataFrame(pl.from_arrow(batch)).select(origin_hash=page_hash()).to_arrow() for batch in pages)
        hashes = (batch for table in hashes for batch in table.cast(_HASHES).to_batches())
        load("create temp table origins as select distinct origin_hash from stream", hashes, origin_hash=_TEXT)

        def count(rest: str) -> int:
            return connection.execute(f"select count(*) from release r {rest}").fetchone()[0]

        return {
            "without_one_parent": count("where len(parents) <> 1 or len(sources) <> 1"),
            "unknown_parent": count("anti join known k on k.id = r.parents[1] and k.source = r.sources[1]"),
            "unknown_origin": count("anti join origins o using (origin_hash)"),
        }
