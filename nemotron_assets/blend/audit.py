"""Counts the errors that the checks of the blend look for.

These are inconsistent sequences, documents that are not packed exactly once, parents that do not exist or are held
out, and documents whose tokens do not decode to their text. Memory is bounded: aggregates are streamed, and joins of
ids with the source tables can spill to the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import polars as pl
import pyarrow as pa
from tokenizers import Tokenizer

from nemotron_assets.blend.sequences import restore
from nemotron_assets.held_out import is_held_out
from nemotron_assets.table.buckets import in_buckets
from nemotron_assets.table.scratch import scratch_folder
from nemotron_assets.text.tokenizer import EOS, decode

_ORIGINS = pa.schema([("id", pa.large_string()), ("held_out", pa.bool_())])


def broken_documents(shards: pl.LazyFrame) -> int:
    """The number of rows of `blend.token_shards` whose length is not that of their tokens, or that do not end with EOS,
    or have EOS before their end."""
    tokens = pl.col("tokens")
    right = (
        (tokens.list.len() == pl.col("length")) & (tokens.list.last() == EOS) & (tokens.list.count_matches(EOS) == 1)
    )
    return shards.select((~right).sum()).collect(engine="streaming").item()


def layout(sequences: pl.LazyFrame, shards: pl.LazyFrame) -> pl.DataFrame:
    """One row per length of sequences (the column part): the number of sequences, their tokens, `fill` (tokens per
    token of room, at most 1), and `broken`: the sequences that are longer than their length or whose pieces do not
    match, and the documents whose tokens are not all in the sequences exactly once."""
    room = pl.col("part").cast(pl.Int64)
    pieces = pl.col("piece_lengths").list.len()
    right = (
        (pl.col("piece_lengths").list.sum() == pl.col("tokens"))
        & pl.col("tokens").is_between(1, room)
        & (pl.col("piece_lengths").list.min() > 0)
        & pl.all_horizontal(pl.col(c).list.len() == pieces for c in ("piece_offsets", "parents", "documents"))
    )
    counts = sequences.group_by("part").agg(
        sequences=pl.len(), tokens=pl.col("tokens").sum(), room=room.sum(), broken=(~right).sum()
    )
    counts = counts.collect(engine="streaming").join(_lost(sequences, shards), on="part", how="left")
    found = counts.with_columns(
        fill=pl.col("tokens") / pl.col("room"), broken=pl.col("broken") + pl.col("lost").fill_null(0)
    )
    return found.drop("room", "lost").sort(pl.col("part").cast(pl.Int64))


def _lost(sequences: pl.LazyFrame, shards: pl.LazyFrame) -> pl.DataFrame:
    """For every length, the number of documents that are not whole: their pieces do not follow one another from the
    first token to the last."""
    lists = ("piece_offsets", "piece_lengths")
    even = pl.all_horizontal(pl.col(c).list.len() == pl.col("parents").list.len() for c in lists)
    pieces = sequences.filter(even).select("part", "parents", "piece_offsets", "piece_lengths")
    pieces = pieces.explode("parents", "piece_offsets", "piece_lengths")
    documents = shards.select(pl.col("id").alias("parents"), "length")
    lengths = sequences.select("part").unique().collect(engine="streaming").lazy()  # a recipe has a few lengths

    def query(pieces: pl.LazyFrame, documents: pl.LazyFrame) -> pl.LazyFrame:
        found = pieces.group_by("part", "parents").agg(
            sizes=pl.col("piece_lengths").cast(pl.Int64).sum(),
            offsets=pl.col("piece_offsets").sum(),
            follows=(pl.col("piece_offsets").sort() + pl.col("piece_lengths").sort_by("piece_offsets"))
            .shift(1, fill_value=0)
            .eq(pl.col("piece_offsets").sort())
            .all(),
        )
        joined = lengths.join(documents, how="cross").join(found, on=["part", "parents"], how="full", coalesce=True)
        whole = (pl.col("sizes") == pl.col("length")) & pl.col("follows")
        return joined.group_by("part").agg(lost=(~whole.fill_null(False)).sum())

    found = pl.concat(in_buckets(query, (pieces, "parents"), (documents, "parents")))
    return found.group_by("part").agg(pl.col("lost").sum())


def tokens_by_data_set(shards: pl.LazyFrame) -> dict[str, int]:
    """{data set: number of its tokens}."""
    counted = shards.group_by("data_set").agg(pl.col("length").sum())
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
        scratch_folder("nemotron-audit-") as spill,
        duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "temp_directory": str(spill)}) as connection,
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


def not_restored(
    shard: pl.DataFrame, sequences: pl.DataFrame, texts: Mapping[str, str], tokenizer: Tokenizer
) -> list[str]:
    """The documents in `texts` ({id: text}) that do not decode to their text, when they are joined from their pieces.

    `shard` has the documents of one shard, `sequences` the sequences of one length that are packed from them.
    """
    tokens = dict(shard.select("position", "tokens").iter_rows())
    names = dict(shard.select("position", pl.col("parents").list.first()).iter_rows())
    joined = {names[position]: ids for position, ids in restore(sequences, tokens).items()}
    return [id_ for id_, text in texts.items() if decode(tokenizer, joined.get(id_, [])[:-1]) != text]
