"""Counts the errors that the checks of the blend look for.

These are inconsistent sequences, parents that do not exist or are held out, and documents whose tokens do not decode to
their text. Memory is bounded: aggregates are streamed, and joins of ids can spill to the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping

import duckdb
import polars as pl
import pyarrow as pa
from tokenizers import Tokenizer

from nemotron_assets.blend.shards import restore
from nemotron_assets.held_out import is_held_out
from nemotron_assets.text.tokenizer import decode

_ORIGINS = pa.schema([("id", pa.large_string()), ("held_out", pa.bool_())])


def layout(shards: pl.LazyFrame, length: int) -> dict[str, int | float]:
    """The number of sequences, their tokens, `fill` (tokens per token of room, at most 1), and `broken`: the number of
    sequences that are longer than `length`, or whose pieces do not match their tokens."""
    used = pl.col("tokens").list.len().cast(pl.Int64)
    pieces = pl.col("piece_lengths").list.len()
    right = (
        (pl.col("piece_lengths").list.sum() == used)
        & used.is_between(1, length)
        & (pl.col("piece_lengths").list.min() > 0)
        & pl.all_horizontal(pl.col(c).list.len() == pieces for c in ("piece_offsets", "parents", "sources"))
    )
    counts = shards.select(sequences=pl.len(), tokens=used.sum(), broken=(~right).sum()).collect(engine="streaming")
    row = counts.row(0, named=True)
    return {**row, "fill": row["tokens"] / max(row["sequences"] * length, 1)}


def tokens_by_source(shards: pl.LazyFrame) -> dict[str, int]:
    """{source table: number of its tokens}."""
    counted = (
        shards.select("sources", "piece_lengths")
        .explode("sources", "piece_lengths")
        .group_by("sources")
        .agg(pl.col("piece_lengths").cast(pl.Int64).sum())
    )
    return dict(sorted(counted.collect(engine="streaming").iter_rows()))


def wrong_parents(
    shards: Iterable[pa.RecordBatch],
    sources: Mapping[str, tuple[str, Iterable[pa.RecordBatch]]],
    held_out_share: float,
    memory_mb: int,
) -> tuple[int, int]:
    """(number of parents that are not in their source table, number of parents that are held out or were written from a
    held-out document).

    `shards` are batches with the columns parents and sources. `sources` is {table: (column of the origin's hash,
    batches with the columns id and that one)}.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nemotron-audit-") as spill,
        duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "temp_directory": spill}) as connection,
    ):
        lists = pa.large_list(pa.large_string())
        used = pa.RecordBatchReader.from_batches(pa.schema([("parents", lists), ("sources", lists)]), iter(shards))
        connection.register("stream", used)
        connection.execute(
            "create temp table used as select distinct unnest(parents) as id, unnest(sources) as source from stream"
        )
        connection.unregister("stream")
        connection.execute("create temp table known (id varchar, source varchar, held_out boolean)")
        for table, (origin, batches) in sources.items():
            marked = (_mark_held_out(batch, held_out_share, origin) for batch in batches)
            connection.register("stream", pa.RecordBatchReader.from_batches(_ORIGINS, marked))
            connection.execute("insert into known select id, ?, held_out from stream", [table])
            connection.unregister("stream")

        def count(join: str) -> int:
            return connection.execute(f"select count(*) from used {join} using (id, source)").fetchone()[0]

        return count("anti join known"), count("semi join (from known where held_out)")


def _mark_held_out(batch: pa.RecordBatch, held_out_share: float, origin: str) -> pa.RecordBatch:
    """Ids with the column `held_out`, from ids and hashes of origins."""
    frame = pl.DataFrame(pl.from_arrow(batch)).select("id", held_out=is_held_out(held_out_share, origin))
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ORIGINS).combine_chunks().to_batches()[0]


def not_restored(shard: pl.DataFrame, texts: dict[str, str], tokenizer: Tokenizer) -> list[str]:
    """The documents in `texts` ({id: text}) whose pieces in the shard do not decode to their text."""
    return [document for document, text in texts.items() if decode(tokenizer, restore(shard, document)[:-1]) != text]
