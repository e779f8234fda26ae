"""What the checks of the blend look for: sequences that are laid out wrongly, parents that should not be there, and
documents that do not come back from their tokens. Bounded memory: aggregates are streamed, id joins may spill to disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

import duckdb
import polars as pl
import pyarrow as pa
from tokenizers import Tokenizer

from nemotron_assets.blend.shards import restore
from nemotron_assets.blend.split import is_held_out
from nemotron_assets.blend.tokenizer import decode

_IDS = pa.schema([("id", pa.large_string())])


def layout(shards: pl.LazyFrame, length: int) -> dict[str, int | float]:
    """Of all sequences: how many, their tokens, fill (share of `length` in use), and how many are laid out wrongly."""
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
    """Tokens of each source table."""
    counted = (
        shards.select("sources", "piece_lengths")
        .explode("sources", "piece_lengths")
        .group_by("sources")
        .agg(pl.col("piece_lengths").cast(pl.Int64).sum())
    )
    return dict(sorted(counted.collect(engine="streaming").iter_rows()))


def strangers(
    shards: Iterable[pa.RecordBatch],
    unique_documents: Iterable[pa.RecordBatch],
    diverse_qa: Iterable[pa.RecordBatch],
    held_out_share: float,
    memory_mb: int,
) -> tuple[int, int]:
    """(parents that no source table has, parents that are held out or written from a held-out document).

    The streams carry parents; id and content_hash; id and parents.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nemotron-audit-") as spill,
        duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "temp_directory": spill}) as connection,
    ):

        def load(name: str, select: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
            connection.register("stream", pa.RecordBatchReader.from_batches(schema, iter(batches)))
            connection.execute(f"create temp table {name} as {select} from stream")
            connection.unregister("stream")

        parents = pa.field("parents", pa.large_list(pa.large_string()))
        load("used", "select distinct unnest(parents) as id", shards, pa.schema([parents]))
        marked = (_with_side(batch, held_out_share) for batch in unique_documents)
        load("document", "select id, held_out", marked, _IDS.append(pa.field("held_out", pa.bool_())))
        load("qa", "select id, unnest(parents) as parent", diverse_qa, _IDS.append(parents))
        connection.execute(
            "create temp table forbidden as select id from document where held_out"
            " union all select qa.id from qa join document d on d.id = qa.parent where d.held_out"
        )
        unknown = connection.execute(
            "select count(*) from used anti join (select id from document union all select id from qa) using (id)"
        ).fetchone()[0]
        leaked = connection.execute("select count(*) from used semi join forbidden using (id)").fetchone()[0]
        return unknown, leaked


def _with_side(batch: pa.RecordBatch, held_out_share: float) -> pa.RecordBatch:
    frame = pl.DataFrame(pl.from_arrow(batch)).select("id", held_out=is_held_out(held_out_share))
    schema = _IDS.append(pa.field("held_out", pa.bool_()))
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema).combine_chunks().to_batches()[0]


def not_restored(shard: pl.DataFrame, texts: dict[str, str], tokenizer: Tokenizer) -> list[str]:
    """Of the documents in `texts` (id -> text), those whose pieces in the shard do not decode to their text."""
    return [document for document, text in texts.items() if decode(tokenizer, restore(shard, document)[:-1]) != text]
