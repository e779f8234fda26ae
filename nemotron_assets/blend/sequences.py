"""Packs the documents of the token shards into sequences, for every length that a training needs.

Only the lengths of documents are read, shard by shard. A sequence has documents of one shard, so of one data set, and
is stored as an index; so a training with longer sequences needs another index, and no document is tokenised again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nemotron_assets.recipe.blend import Blend
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.training.packing import pack

if TYPE_CHECKING:
    from resources.lakehouse import Reader

TABLE = "blend.sequences"
_READ = ("part", "position", "id", "category", "data_set", "length")


def sequence_lengths(recipe: Blend) -> list[int]:
    """The lengths of sequences that the recipe's trainings need."""
    return sorted({recipe.sequence_length, recipe.long_context.sequence_length, *recipe.further_lengths})


def sequence_parts(shards: Reader, recipe: Blend) -> Iterator[Part]:
    """The parts of `blend.sequences`: one per length, made again when a shard has changed."""
    contents = content_hash(repr(sorted(shards.parts().items())).encode())
    for length in sequence_lengths(recipe):
        make = functools.partial(_frames, shards, length, recipe.seed)
        yield Part(str(length), f"{contents}:{recipe.seed}", make)


def _frames(shards: Reader, length: int, seed: int) -> Iterator[pl.DataFrame]:
    for documents in _by_shard(shards):
        yield packed_frame(documents, length, seed)


def _by_shard(shards: Reader) -> Iterator[pl.DataFrame]:
    """The documents of each shard, without their tokens, in order."""
    for name in shards.parts():
        rows = [pl.DataFrame(pl.from_arrow(b)) for b in shards.part(name).batches(_READ, 65_536, keep_memory=True)]
        yield pl.concat(rows).filter(part=name).sort("position")


def packed_frame(documents: pl.DataFrame, length: int, seed: int) -> pl.DataFrame:
    """Rows of `blend.sequences` for the documents of one shard (columns part, position, id, category, data_set, length)
    and sequences of at most `length` tokens."""
    shard = documents["part"][0]
    packed = pack(documents["length"].to_numpy(), length, seed)
    pieces = pl.DataFrame(
        {
            "sequence": np.repeat(np.arange(packed.count), np.diff(packed.bounds)),
            "documents": packed.documents,
            "piece_offsets": packed.offsets,
            "piece_lengths": packed.lengths.astype(np.int32),
            "parents": documents["id"].gather(packed.documents),
        }
    )
    rows = pieces.group_by("sequence", maintain_order=True).agg(pl.all()).sort("sequence")
    return rows.select(
        pl.Series("id", [row_id(TABLE, length, shard, position) for position in range(packed.count)]),
        "parents",
        pl.lit(str(length)).alias("part"),
        pl.lit(documents["category"][0]).alias("category"),
        pl.lit(documents["data_set"][0]).alias("data_set"),
        pl.lit(shard).alias("shard"),
        pl.col("sequence").alias("position"),
        "documents",
        "piece_offsets",
        "piece_lengths",
        tokens=pl.Series(packed.tokens()),
    )


def restore(rows: pl.DataFrame, tokens: dict[int, list[int]]) -> dict[int, list[int]]:
    """The documents of one shard, joined from the pieces in `rows` of `blend.sequences`: {position: token ids}.

    `tokens` are the documents of the shard by their position. Raises `ValueError` if a piece lies outside its document,
    or the pieces do not follow one another.
    """
    pieces: dict[int, dict[int, int]] = {}
    for documents, offsets, lengths in rows.select("documents", "piece_offsets", "piece_lengths").iter_rows():
        for document, offset, size in zip(documents, offsets, lengths, strict=True):
            pieces.setdefault(document, {})[offset] = size
    joined = {}
    for document, found in pieces.items():
        at = 0
        for offset, size in sorted(found.items()):
            if offset != at:
                raise ValueError(f"document {document}: no piece has its tokens {at} to {offset}")
            at += size
        if at != len(tokens[document]):
            raise ValueError(f"document {document}: its pieces have {at} of {len(tokens[document])} tokens")
        joined[document] = [
            t for offset, size in sorted(found.items()) for t in tokens[document][offset : offset + size]
        ]
    return joined
