"""Hashes in the columns of tables as arrays of numbers: bands, and the leading bytes of content hashes."""

from __future__ import annotations

import numpy as np
import polars as pl


def int64s(values: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """(the bytes of a binary column as int64, the number of them in each row). They are little-endian."""
    column = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        return np.zeros(0, np.int64), np.zeros(len(column), np.int64)
    offsets = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].view("<i8"), np.diff(offsets) // 8


def leading(content_hashes: pl.Series) -> np.ndarray:
    """int64 per row: the first 8 bytes of a column of content hashes (xxh3-128 in hexadecimal)."""
    digests, _ = int64s(content_hashes.str.decode("hex"))
    return np.ascontiguousarray(digests[::2])
