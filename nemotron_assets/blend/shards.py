"""Token shards: the stream of documents cut into groups, each tokenised and packed on its own.

A group is what fits in memory: its number of bytes is what the wanted number of sequences takes on average. Groups
never span two snapshots and are numbered in each, so that what comes or changes in one snapshot leaves the shards of
the others alone. The fingerprint of a group covers everything its shard is made from, so a shard that is in the lake
already is neither tokenised nor packed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from nemotron_assets.blend.encoder import Encoder
from nemotron_assets.blend.packing import Document, pack
from nemotron_assets.table.ids import row_id
from nemotron_assets.text.tokenizer import EOS

TABLE = "blend.token_shards"
_ENCODE_ROWS = 256  # documents handed to the tokenizer at once


@dataclass(frozen=True)
class Group:
    """The documents of one shard (columns source, id, text), its number in the snapshot, and a hash of all that."""

    part: str
    shard: int
    documents: pl.DataFrame
    fingerprint: str


def groups(batches: Iterable[pa.RecordBatch], group_bytes: int) -> Iterator[Group]:
    """Cut the stream where a group reaches `group_bytes` of UTF-8 text, or where a new snapshot begins."""
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
                taken = int((reached < group_bytes).sum()) + 1  # the document that reaches the limit is in
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


def shard_frame(
    group: Group, encoder: Encoder, length: int, seed: int, versions: Sequence[str] | None = None
) -> pl.DataFrame:
    """Rows of `blend.token_shards` made from a group: sequences of at most `length` tokens, EOS after each document.

    `versions` of the sources, as code.curated@3, are noted.
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


def restore(rows: pl.DataFrame, document: str) -> list[int]:
    """The token ids of one document, put together from the pieces in `rows`, with the closing EOS.

    A document that the blend takes twice is there twice; one copy is returned. Raises ValueError for a missing piece.
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
            raise ValueError(f"document {document}: tokens {len(ids)} to {offset} are in no piece")
        ids.extend(piece)
    if not ids or ids[-1] != EOS:
        raise ValueError(f"document {document}: the end is in no piece")
    return ids
