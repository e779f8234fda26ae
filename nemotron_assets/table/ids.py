"""Computes the id of a row from its natural key, and the hash by which equal contents are found."""

from __future__ import annotations

import xxhash


def row_id(table_name: str, *natural_key: object) -> str:
    """The id of a row: xxh3-128 hex of the table's full name ("web.documents") and the row's natural key."""
    return content_hash("\x1f".join([table_name, *map(str, natural_key)]))


def content_hash(data: str | bytes) -> str:
    """xxh3-128 hex of a text (as UTF-8) or of bytes."""
    return xxhash.xxh3_128_hexdigest(data.encode() if isinstance(data, str) else data)
