"""Which documents go into the blend, and in which order.

Both the tokenizer and the token shards are made from unique documents and synthetic QA pairs, without held-out
documents and without anything written from a held-out document, each as often as its source's number of passes says.
Snapshots come one after the other, so that a new one adds shards and leaves the old ones as they are; within a
snapshot the order is that of a hash, which mixes the sources and does not depend on how the tables are stored.
DuckDB does the sorting, because it spills to disk when the texts do not fit in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import polars as pl
import pyarrow as pa

from nemotron_assets.blend.split import is_held_out
from nemotron_assets.recipe import Blend, Recipe

UNIQUE, QA = "web.unique_documents", "web.diverse_qa"

_IDS = pa.schema([("id", pa.large_string())])
_TEXTS = pa.schema([("id", pa.large_string()), ("snapshot", pa.large_string()), ("text", pa.large_string())])
_QA_TEXTS = _TEXTS.append(pa.field("parents", pa.large_list(pa.large_string())))


@dataclass(frozen=True)
class Sources:
    """The two source tables, each as a function from column names to a fresh stream of record batches."""

    unique_documents: Callable[[list[str]], Iterable[pa.RecordBatch]]
    diverse_qa: Callable[[list[str]], Iterable[pa.RecordBatch]]


def ordered_stream(sources: Sources, recipe: Blend) -> Iterator[pa.RecordBatch]:
    """What the model is trained on, in order: batches with the columns snapshot, source, id, text."""
    return _stream(sources, recipe, recipe.weights, share=1.0, ordered=True)


def text_sample(sources: Sources, recipe: Recipe, megabytes: int) -> Iterator[list[str]]:
    """About `megabytes` of text (everything if there is less) for the tokenizer, chosen by hash, as lists of texts."""
    once = {UNIQUE: 1.0, QA: 1.0}
    total = sum(
        int(pl.DataFrame(pl.from_arrow(batch))["text"].str.len_bytes().cast(pl.Int64).sum())
        for read in (sources.unique_documents, sources.diverse_qa)
        for batch in read(["text"])
    )
    share = min(1.0, megabytes * 1e6 / max(total, 1))
    for batch in _stream(sources, recipe.blend, once, share, ordered=False):
        yield batch.column("text").to_pylist()


def _stream(
    sources: Sources, recipe: Blend, passes: Mapping[str, float], share: float, ordered: bool
) -> Iterator[pa.RecordBatch]:
    """The documents of all passes; of a part of a pass, and of a `share` below 1, those whose hash is low enough."""
    with (
        tempfile.TemporaryDirectory(prefix="nemotron-blend-") as spill,
        duckdb.connect(config={"memory_limit": f"{recipe.sort_memory_mb}MB", "temp_directory": spill}) as connection,
    ):
        connection.execute("set preserve_insertion_order = false")  # the query orders; keeping it too costs memory
        held_out = is_held_out(recipe.held_out_share)
        connection.register("held_stream", _reader(sources.unique_documents, _IDS, held_out))
        connection.execute("create temp table held_out as select id from held_stream")
        selects = []
        for source, weight in sorted(passes.items()):
            for number, part in enumerate(_passes(weight)):
                name = f"{source.split('.')[1]}_{number}"
                if source == UNIQUE:
                    connection.register(name, _reader(sources.unique_documents, _TEXTS, ~held_out))
                    rows = name
                else:
                    connection.register(name, _reader(sources.diverse_qa, _QA_TEXTS))
                    rows = f"(select q.* from {name} q anti join held_out h on h.id = q.parents[1])"
                key = f"{recipe.seed}:{number}"
                selects.append(
                    f"select snapshot, '{source}' as source, id, text, md5('order:{key}:' || id) as place from {rows} "
                    f"where {_chosen(f'pass:{key}', part)} and {_chosen(f'sample:{key}', share)}"
                )
        if selects:
            order = "order by snapshot, place, id" if ordered else ""
            query = f"select snapshot, source, id, text from ({' union all '.join(selects)}) {order}"
            yield from connection.execute(query).to_arrow_reader(1_024)


def _passes(weight: float) -> list[float]:
    """2.5 passes -> [1.0, 1.0, 0.5]"""
    rest = weight - int(weight)
    return [1.0] * int(weight) + ([rest] if rest else [])


def _chosen(key: str, share: float) -> str:
    """SQL: does the hash of this row's id fall into the first `share` of all hashes?"""
    return "true" if share >= 1 else f"substr(md5('{key}:' || id), 1, 8) < '{round(share * 16**8):08x}'"


def _reader(read: Callable, schema: pa.Schema, keep: pl.Expr | None = None) -> pa.RecordBatchReader:
    """A stream of the wanted columns, of rows where `keep` (over the content hash) holds."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in read(schema.names if keep is None else [*schema.names, "content_hash"]):
            frame = pl.DataFrame(pl.from_arrow(batch))
            frame = (frame if keep is None else frame.filter(keep)).select(schema.names)
            yield from frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())
