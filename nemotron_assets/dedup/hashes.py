"""Hashes in the columns of tables as arrays of numbers: bands, and the leading bytes of content hashes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

#: Hexadecimal digits of a content hash (xxh3-128), and the value of each digit by its character.
_LENGTH = 32
_VALUES = np.full(256, 255, np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def int64s(values: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """(the bytes of a binary column as int64, the number of them in each row). They are little-endian."""
    data, offsets = _bytes(values.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return data[offsets[0] : offsets[-1]].view("<i8"), np.diff(offsets) // 8


def leading(content_hashes: pa.Array | pl.Series) -> np.ndarray:
    """int64 per row: the first 8 bytes, little-endian, of a column of content hashes in hexadecimal. Raises ValueError
    for anything else."""
    if isinstance(content_hashes, pl.Series):
        content_hashes = content_hashes.to_arrow(compat_level=pl.CompatLevel.oldest())
    data, offsets = _bytes(content_hashes.cast(pa.large_string()))
    if not (np.diff(offsets) == _LENGTH).all():
        raise ValueError(f"a content hash does not have {_LENGTH} digits")
    digits = _VALUES[data[offsets[0] : offsets[-1]].reshape(-1, _LENGTH)[:, :16]]
    if digits.size and digits.max() > 15:
        raise ValueError("a content hash has a character that is not a hexadecimal digit")
    return (digits[:, ::2] << 4 | digits[:, 1::2]).view("<i8").reshape(-1)


def _bytes(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a column of large strings or binaries, and the offsets of its rows in them."""
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64)
    return np.frombuffer(data, np.uint8), np.frombuffer(offsets, np.int64, len(column) + 1, 8 * column.offset)
