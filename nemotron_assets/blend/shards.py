"""Token shards: the stream of documents cut into groups, each tokenised and packed on its own.

A group is what fits in memory: its number of bytes is what the wanted number of sequences takes on average. Groups
never span two snapshots. The fingerprint of a group covers everything its shard is made from, so a shard that is in
the lake already is neither tokenised nor packed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from tokenizers import Tokenizer

from nemotron_assets.blend.packing import Document, pack
from nemotron_assets.blend.tokenizer import EOS
from nemotron_assets.table import row_id

TABLE = "blend.token_shards"
_ENCODE_ROWS = 256  # documents handed to the tokenizer at once; its encodings are large


@dataclass(frozen=True)
class Group:
    """The documents of one shard (columns source, id, text) and a hash of them in their order."""

    number: int
    documents: pl.DataFrame
    fingerprint: str

    @property
    def shard(self) -> str:
        """The shard's name, in an order that sorts."""
        return f"{self.number:08d}"


def groups(batches: Iterable[pa.RecordBatch], group_bytes: int) -> Iterator[Group]:
    """Cut the stream where a group reaches `group_bytes` of UTF-8 text, or where a new snapshot begins."""
    held: list[pl.DataFrame] = []
    size, snapshot, number = 0, None, 0
    for batch in batches:
        frame = pl.DataFrame(pl.from_arrow(batch))
        for run in frame.partition_by("snapshot", maintain_order=True):
            if held and run["snapshot"][0] != snapshot:
                yield _group(number, held)
                held, size, number = [], 0, number + 1
            snapshot = run["snapshot"][0]
            while len(run):
                reached = size + run["text"].str.len_bytes().cast(pl.Int64).cum_sum()
                taken = int((reached < group_bytes).sum()) + 1  # the document that reaches the limit belongs to it
                held.append(run[:taken])
                if taken > len(run):
                    size = int(reached[-1])
                    break
                yield _group(number, held)
                held, size, number = [], 0, number + 1
                run = run[taken:]
    if held:
        yield _group(number, held)


def _group(number: int, frames: list[pl.DataFrame]) -> Group:
    documents = pl.concat(frames).select("source", "id", "text")
    digest = xxhash.xxh3_128()
    for values in documents.iter_rows():
        for value in values:
            data = value.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return Group(number, documents, digest.hexdigest())


def shard_frame(group: Group, tokenizer: Tokenizer, length: int, seed: int) -> pl.DataFrame:
    """The rows of `blend.token_shards` made from a group: sequences of at most `length` tokens, EOS after every document."""
    documents = []
    for rows in group.documents.iter_slices(_ENCODE_ROWS):
        encodings = tokenizer.encode_batch_fast(rows["text"].to_list(), add_special_tokens=False)
        for source, id_, encoding in zip(rows["source"], rows["id"], encodings, strict=True):
            documents.append(Document(id_, source, np.array([*encoding.ids, EOS], dtype=np.int32)))
    sequences = pack(documents, length, seed + group.number)
    count = len(sequences)
    tokens = np.concatenate([s.tokens for s in sequences])
    ends = np.cumsum([len(s.tokens) for s in sequences], dtype=np.int64)
    token_lists = pa.LargeListArray.from_arrays(np.concatenate([[0], ends]), tokens)
    return pl.DataFrame(
        {
            "id": [row_id(TABLE, group.shard, position) for position in range(count)],
            "parents": [s.parents for s in sequences],
            "shard": pl.Series([group.shard] * count, dtype=pl.String),
            "position": pl.Series(range(count), dtype=pl.Int64),
            "tokens": pl.Series(pl.from_arrow(token_lists)),
            "piece_lengths": pl.Series([s.piece_lengths for s in sequences], dtype=pl.List(pl.Int32)),
            "piece_offsets": pl.Series([s.piece_offsets for s in sequences], dtype=pl.List(pl.Int64)),
            "sources": [s.sources for s in sequences],
        }
    )


def restore(rows: pl.DataFrame, document: str) -> list[int]:
    """The token ids of one document, put together from the pieces in `rows`, with the closing EOS.

    A document that the blend takes twice is there twice; one copy is returned. Raises ValueError when a piece is missing.
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
