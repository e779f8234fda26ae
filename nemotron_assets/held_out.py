"""Which documents are held out: never trained on, kept to measure bits per byte.

The content hash decides, so equal contents are always on the same side, in every snapshot and on every machine, and
a larger held-out share contains the smaller one.
"""

from __future__ import annotations

import polars as pl

_DIGITS = 8  # last hex digits of the hash that decide: 32 bits


def _threshold(fraction: float) -> int:
    if not 0 <= fraction <= 1:
        raise ValueError(f"held-out fraction {fraction} is not within 0 and 1")
    return round(fraction * 16**_DIGITS)


def is_held_out(fraction: float, content_hash: str = "content_hash") -> pl.Expr:
    """Boolean expression over the column of content hashes (xxh3-128 hex): is this document held out?"""
    return pl.col(content_hash).str.slice(-_DIGITS).str.to_integer(base=16, dtype=pl.Int64) < _threshold(fraction)


def hash_is_held_out(content_hash: str, fraction: float) -> bool:
    """The same decision for one hash."""
    return int(content_hash[-_DIGITS:], 16) < _threshold(fraction)
