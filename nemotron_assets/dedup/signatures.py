"""Signatures of a snapshot's distinct texts as parts of `web.signatures`, or of a table like it.

A text that a snapshot has several times is signed once, at its earliest document by (fetched_at, id). The documents of
a WARC file are one part. A part is made again when the documents of the file change, or when other documents of the
file become the earliest of their text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.dedup.bloom import BloomFilter
from nemotron_assets.dedup.hashes import leading
from nemotron_assets.dedup.minhash import NO_BAND, bands, sign
from nemotron_assets.dedup.shingles import DEFINITION, Shingling
from nemotron_assets.dedup.threads import in_threads
from nemotron_assets.dedup.workspace import load, workspace
from nemotron_assets.recipe.dedup import Dedup, Signatures
from nemotron_assets.table.ids import content_hash, row_ids
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_SEEN = pa.schema(
    [
        ("id", pa.large_string()),
        ("warc_file", pa.large_string()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("content_hash", pa.large_string()),
    ]
)
# The documents whose text another document has at an earlier time.
_LATER = """
select warc_file, id from (
    select *, row_number() over (partition by content_hash order by fetched_at, id, warc_file) as place from stream
)
where place > 1
"""
_SIGNED = ("id", "snapshot", "warc_file", "fetched_at", "content_hash", "language", "characters", "text")


def scheme(recipe: Signatures) -> str:
    """Everything that two signatures must have in common to be comparable, as text."""
    return f"{DEFINITION}; {recipe.scheme}"


def shingling(recipe: Signatures) -> Shingling:
    """The recipe's definition of a shingle."""
    return Shingling(recipe.unit, recipe.word_shingle, recipe.character_shingle)


def by_characters(languages: pl.Series, recipe: Signatures) -> np.ndarray:
    """bool per text: whether its shingles are made of characters, because of its language or because of the recipe's
    unit."""
    return (languages.is_in(recipe.character_languages) | (recipe.unit == "characters")).fill_null(False).to_numpy()


def signed(documents: pl.DataFrame, recipe: Signatures, to: Table, texts: pa.Array | None = None) -> pa.Table:
    """Rows of `web.signatures`, or of the table like it that `to` is, from rows of `web.documents`. `texts` are their
    texts as an Arrow array, which need not be copied then; by default they are the column text."""
    mask = by_characters(documents["language"], recipe)
    texts = documents["text"] if texts is None else texts
    signatures = sign(texts, shingling(recipe), mask, permutations=recipe.permutations, seed=recipe.seed)
    of_bands = bands(signatures, recipe.bands, recipe.rows)
    # A text without shingles gets no bands, so that no join finds it.
    has_bands = of_bands[:, 0] != NO_BAND
    rows = documents.select(
        row_ids(to.full_name, pl.col("id")).alias("id"),
        pl.concat_list("id").alias("parents"),
        "snapshot",
        "warc_file",
        "fetched_at",
        "content_hash",
        "language",
        "characters",
        pl.Series("unit", np.where(mask, "characters", "words"), dtype=pl.String),
        pl.lit(scheme(recipe)).alias("scheme"),
    )
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.append_column("signature", _bytes(signatures.astype("<u4"), np.full(len(rows), recipe.permutations)))
    counts = np.where(has_bands, recipe.bands, 0)
    table = table.append_column("bands", _bytes(of_bands[has_bands].astype("<i8"), counts))
    return table.select(to.column_names)


def _bytes(values: np.ndarray, counts: np.ndarray) -> pa.Array:
    """A binary array whose row k holds the bytes of the next counts[k] values."""
    ends = np.concatenate([[0], np.cumsum(counts)]) * values.itemsize
    buffers = [None, pa.py_buffer(ends.astype(np.int64)), pa.py_buffer(np.ascontiguousarray(values).reshape(-1))]
    return pa.Array.from_buffers(pa.large_binary(), len(counts), buffers)


def signature_parts(documents: Reader, recipe: Dedup, to: Table) -> Parts:
    """The parts of a snapshot's partition of `web.signatures`, or of the table like it that `to` is.

    Only documents whose text may be repeated, by a Bloom filter of all texts, are compared. Memory: the ids of one WARC
    file's documents, a batch of their texts, and the recipe's `memory_mb` each for the filter and for DuckDB.
    """
    return Parts(_parts(documents, recipe, to))


def _parts(documents: Reader, recipe: Dedup, to: Table) -> Iterator[Part]:
    with workspace(recipe.memory_mb) as connection:
        load(connection, "later", _SEEN, _repeated(documents, recipe.memory_mb), _LATER)
        for file, content in documents.parts().items():
            own = documents.part(file)
            later = connection.execute("select id from later where warc_file = ?", [file]).to_arrow_table()["id"]
            batches = own.batches(("id",), batch_size=65_536, keep_memory=True)
            ids = pl.concat([pl.Series(_without(batch, later)["id"]) for batch in batches])
            if ids.is_empty():
                continue
            fingerprint = f"{content or documents.version}:{content_hash(ids.sort().str.join('').item())}"
            yield Part(file, fingerprint, functools.partial(_sign, own, later, recipe.signatures, to))


def _repeated(documents: Reader, memory_mb: int) -> Iterator[pa.RecordBatch]:
    """The documents whose text may be that of another document, too: those that have it, and a few others."""
    seen = BloomFilter(documents.rows, memory_mb)
    for batch in documents.batches(("content_hash",), batch_size=65_536, keep_memory=True):
        seen.add(leading(batch.column(0)))
    for batch in documents.batches(_SEEN.names, batch_size=65_536, keep_memory=True):
        yield batch.take(pa.array(seen.find_repeated(leading(batch.column("content_hash")))))


def _without(batch: pa.RecordBatch, ids: pa.ChunkedArray) -> pa.RecordBatch:
    """The rows whose id is not among these; the batch itself, and not a copy of it, if all are left."""
    gone = pc.is_in(batch.column("id"), value_set=ids)
    return batch.filter(pc.invert(gone)) if pc.any(gone).as_py() else batch


def _sign(documents: Reader, later: pa.ChunkedArray, recipe: Signatures, to: Table) -> Iterator[pa.Table]:
    """Batches are signed on all cores, in their order: the kernel releases the GIL."""
    chosen = (_without(batch, later) for batch in documents.batches(_SIGNED, batch_size=recipe.batch_rows))

    def rows(batch: pa.RecordBatch) -> pa.Table:
        return signed(pl.from_arrow(batch.drop_columns(["text"])), recipe, to, batch.column("text"))

    yield from in_threads(rows, (batch for batch in chosen if batch.num_rows))
