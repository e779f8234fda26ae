"""Computes the id of a row from its natural key, and the hash by which equal contents are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    import polars as pl


def row_id(table_name: str, *natural_key: object) -> str:
    """The id of a row: xxh3-128 hex of the table's full name ("web.documents") and the row's natural key."""
    return content_hash("\x1f".join([table_name, *map(str, natural_key)]))


def row_ids(table_name: str, *natural_key: pl.Expr) -> pl.Expr:
    """`row_id` of every row of a frame, from the columns of its natural key."""
    import polars as pl
    import polars_hash  # noqa: F401  the .nchash namespace

    key = pl.concat_str(pl.lit(table_name), *natural_key, separator="\x1f")
    return key.nchash.xxh3_128(return_binary=True, byte_order="big").bin.encode("hex")


def content_hash(data: str | bytes) -> str:
    """xxh3-128 hex of a text (as UTF-8) or of bytes."""
    return xxhash.xxh3_128_hexdigest(data.encode() if isinstance(data, str) else data)
