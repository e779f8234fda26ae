"""Token shards: the stream of documents is cut into groups, and each group is tokenised and packed on its own.

A group has about as many bytes of text as the recipe's number of sequences takes, so that it fits into memory. A group
has documents of one snapshot only, and groups are numbered within their snapshot: new documents in one snapshot do not
change the shards of other snapshots. The fingerprint of a group covers everything that its shard is made from, so that
a shard which is in the lake already is not made again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from nemotron_assets.blend.encoder import Encoder
from nemotron_assets.blend.packing import Document, pack
from nemotron_assets.recipe.blend import Blend
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.text.tokenizer import EOS

TABLE = "blend.token_shards"
_ENCODE_ROWS = 256  # documents handed to the tokenizer at once


@dataclass(frozen=True)
class Group:
    """The documents of one shard (columns source, id, text), the shard's number in its snapshot, and a hash of both."""

    part: str
    shard: int
    documents: pl.DataFrame
    fingerprint: str


def groups(batches: Iterable[pa.RecordBatch], group_bytes: int) -> Iterator[Group]:
    """Cut the stream into groups: after `group_bytes` of UTF-8 text, and where a new snapshot begins.

    The batches have the columns snapshot, source, id and text and are sorted by snapshot.
    """
    shard, snapshot = 0, None
    held: list[pl.DataFrame] = []
    size = 0

    def close() -> Group:
        nonlocal shard, held, size
        group = _group(f"{snapshot}/{shard:06d}", shard, held)
        shard, held, size = shard + 1, [], 0
        return group

    for batch in batches:
        for run in pl.DataFrame(pl.from_arrow(batch)).partition_by("snapshot", maintain_order=True):
            if run["snapshot"][0] != snapshot:
                if held:
                    yield close()
                snapshot, shard = run["snapshot"][0], 0
            while len(run):
                reached = size + run["text"].str.len_bytes().cast(pl.Int64).cum_sum()
                taken = (
                    int((reached < group_bytes).sum()) + 1
                )  # the document that reaches the limit belongs to the group
                held.append(run[:taken])
                size = int(reached[min(taken, len(run)) - 1])
                run = run[taken:]
                if size >= group_bytes:
                    yield close()
    if held:
        yield close()


def _group(part: str, shard: int, frames: list[pl.DataFrame]) -> Group:
    documents = pl.concat(frames).select("source", "id", "text")
    digest = xxhash.xxh3_128(str(shard).encode())
    for values in documents.iter_rows():
        for value in values:
            data = value.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return Group(part, shard, documents, digest.hexdigest())


def shard_parts(
    stream: Iterable[pa.RecordBatch],
    encoder: Encoder,
    recipe: Blend,
    tokenizer: Mapping[str, Any],
    versions: Sequence[str],
) -> Iterator[Part]:
    """The parts of `blend.token_shards`, one per group of the stream. `tokenizer` is the row of `blend.tokenizer`."""
    length = recipe.sequence_length
    for group in groups(stream, int(recipe.sequences_per_shard * length * tokenizer["bytes_per_token"])):
        make = functools.partial(shard_frame, group, encoder, length, recipe.seed, versions)
        yield Part(group.part, f"{group.fingerprint}:{tokenizer['sha256']}", make)


def shard_frame(
    group: Group, encoder: Encoder, length: int, seed: int, versions: Sequence[str] | None = None
) -> pl.DataFrame:
    """Rows of `blend.token_shards` for a group: sequences of at most `length` tokens, with EOS after each document.

    `versions` of the source tables (code.curated@3) are stored in the column read_versions.
    """
    documents = []
    for rows in group.documents.iter_slices(_ENCODE_ROWS):
        for source, id_, ids in zip(rows["source"], rows["id"], encoder.encode(rows["text"].to_list()), strict=True):
            documents.append(Document(id_, source, np.append(ids, np.int32(EOS))))
    sequences = pack(documents, length, seed + group.shard)
    count = len(sequences)
    tokens = np.concatenate([s.tokens for s in sequences])
    ends = np.cumsum([len(s.tokens) for s in sequences], dtype=np.int64)
    token_lists = pa.LargeListArray.from_arrays(np.concatenate([[0], ends]), tokens)
    return pl.DataFrame(
        {
            "id": [row_id(TABLE, group.part, position) for position in range(count)],
            "parents": [s.parents for s in sequences],
            "part": [group.part] * count,
            "shard": pl.Series([group.shard] * count, dtype=pl.Int32),
            "position": pl.Series(range(count), dtype=pl.Int64),
            "tokens": pl.Series(pl.from_arrow(token_lists)),
            "piece_lengths": pl.Series([s.piece_lengths for s in sequences], dtype=pl.List(pl.Int32)),
            "piece_offsets": pl.Series([s.piece_offsets for s in sequences], dtype=pl.List(pl.Int64)),
            "sources": [s.sources for s in sequences],
            "read_versions": pl.Series([versions and list(versions)] * count, dtype=pl.List(pl.String)),
        }
    )


def count_tokens(shards: pl.LazyFrame) -> int:
    """The number of tokens in all sequences of `blend.token_shards`."""
    lengths = pl.col("piece_lengths").list.sum().cast(pl.Int64)
    return shards.select(lengths.sum()).collect(engine="streaming").item()


def restore(rows: pl.DataFrame, document: str) -> list[int]:
    """The token ids of one document, joined from its pieces in `rows`, with the EOS at its end.

    If the blend takes the document several times, one copy is returned. Raises `ValueError` if a piece is missing.
    """
    pieces: dict[int, list[int]] = {}
    for tokens, lengths, offsets, parents in rows.select(
        "tokens", "piece_lengths", "piece_offsets", "parents"
    ).iter_rows():
        start = 0
        for length, offset, parent in zip(lengths, offsets, parents, strict=True):
            if parent == document:
                pieces[offset] = tokens[start : start + length]
            start += length
    ids: list[int] = []
    for offset, piece in sorted(pieces.items()):
        if offset != len(ids):
            raise ValueError(f"document {document}: no piece has its tokens {len(ids)} to {offset}")
        ids.extend(piece)
    if not ids or ids[-1] != EOS:
        raise ValueError(f"document {document}: no piece has its end")
    return ids
