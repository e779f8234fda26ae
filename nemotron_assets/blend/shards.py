"""Token shards: the stream of documents is cut into groups of one data set and snapshot, and each group is tokenised.

A shard has about as many bytes of text as the recipe's number of tokens takes, so that it fits into memory. Shards are
numbered within their data set and snapshot: new documents in one snapshot do not change the shards of other snapshots.
The fingerprint of a shard covers everything that it is made from, so that a shard which is in the lake already is not
made again. Documents are stored whole: how they are packed into sequences is another table (see `sequences`).
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
from nemotron_assets.recipe.blend import Blend
from nemotron_assets.recipe.categories import CATEGORY_OF, table_of
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.text.tokenizer import EOS

TABLE = "blend.token_shards"
_ENCODE_ROWS = 256  # documents handed to the tokenizer at once


@dataclass(frozen=True)
class Group:
    """The documents of one shard (columns id and text), its name, their data set, and a hash of all of these."""

    part: str
    data_set: str
    documents: pl.DataFrame
    fingerprint: str


def groups(batches: Iterable[pa.RecordBatch], group_bytes: int) -> Iterator[Group]:
    """Cut the stream into groups: after `group_bytes` of UTF-8 text, and where a new data set or snapshot begins.

    The batches have the columns group, data_set, id and text and are sorted by group.
    """
    number, name = 0, None
    held: list[pl.DataFrame] = []
    size = 0

    def close() -> Group:
        nonlocal number, held, size
        group = _group(f"{name}/{number:06d}", held)
        number, held, size = number + 1, [], 0
        return group

    for batch in batches:
        for run in pl.DataFrame(pl.from_arrow(batch)).partition_by("group", maintain_order=True):
            if run["group"][0] != name:
                if held:
                    yield close()
                name, number = run["group"][0], 0
            while len(run):
                reached = size + run["text"].str.len_bytes().cast(pl.Int64).cum_sum()
                # The document that reaches the limit belongs to the group.
                taken = int((reached < group_bytes).sum()) + 1
                held.append(run[:taken])
                size = int(reached[min(taken, len(run)) - 1])
                run = run[taken:]
                if size >= group_bytes:
                    yield close()
    if held:
        yield close()


def _group(part: str, frames: list[pl.DataFrame]) -> Group:
    rows = pl.concat(frames)
    data_set, documents = rows["data_set"][0], rows.select("id", "text")
    digest = xxhash.xxh3_128(f"{CATEGORY_OF[data_set]}\x1f{part}".encode())
    for values in documents.iter_rows():
        for value in values:
            data = value.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return Group(part, data_set, documents, digest.hexdigest())


def shard_parts(
    stream: Iterable[pa.RecordBatch],
    encoder: Encoder,
    recipe: Blend,
    tokenizer: Mapping[str, Any],
    versions: Sequence[str],
) -> Iterator[Part]:
    """The parts of `blend.token_shards`, one per group of the stream. `tokenizer` is the row of `blend.tokenizer`."""
    for group in groups(stream, int(recipe.tokens_per_shard * tokenizer["bytes_per_token"])):
        make = functools.partial(shard_frame, group, encoder, versions)
        yield Part(group.part, f"{group.fingerprint}:{tokenizer['sha256']}", make)


def shard_frame(group: Group, encoder: Encoder, versions: Sequence[str] | None = None) -> pl.DataFrame:
    """Rows of `blend.token_shards` for a group: its documents as token ids, with EOS after each.

    `versions` of the source tables (code.curated@3) are stored in the column read_versions.
    """
    ids = [
        np.append(ids, np.int32(EOS))
        for rows in group.documents.iter_slices(_ENCODE_ROWS)
        for ids in encoder.encode(rows["text"].to_list())
    ]
    count = len(ids)
    lengths = np.array([len(tokens) for tokens in ids], np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    token_lists = pa.LargeListArray.from_arrays(ends, np.concatenate(ids))
    return pl.DataFrame(
        {
            "id": [row_id(TABLE, group.data_set, id_) for id_ in group.documents["id"]],
            "parents": [[id_] for id_ in group.documents["id"]],
            "sources": [[table_of(group.data_set)]] * count,
            "part": [group.part] * count,
            "category": [CATEGORY_OF[group.data_set]] * count,
            "data_set": [group.data_set] * count,
            "position": pl.Series(range(count), dtype=pl.Int64),
            "tokens": pl.Series(pl.from_arrow(token_lists)),
            "length": lengths,
            "read_versions": pl.Series([versions and list(versions)] * count, dtype=pl.List(pl.String)),
        }
    )


def count_tokens(shards: pl.LazyFrame) -> int:
    """The number of tokens in all documents of `blend.token_shards`."""
    return shards.select(pl.col("length").sum()).collect(engine="streaming").item()
