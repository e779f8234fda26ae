"""Which documents are held out: never trained on, but used to measure bits per byte.

The content hash decides. So documents with equal contents are either all held out or all not, in every snapshot and on
every machine, and a larger held-out share contains the smaller one.
"""

from __future__ import annotations

import polars as pl

_DIGITS = 8  # the last 8 hex digits of the hash decide: 32 bits


def _threshold(fraction: float) -> int:
    if not 0 <= fraction <= 1:
        raise ValueError(f"the held-out fraction is {fraction}, but must be between 0 and 1")
    return round(fraction * 16**_DIGITS)


def held_out_order(content_hash: str = "content_hash") -> pl.Expr:
    """What documents sort by so that those which are held out come first, whatever the held-out share is."""
    return pl.col(content_hash).str.slice(-_DIGITS)


def is_held_out(fraction: float, content_hash: str = "content_hash") -> pl.Expr:
    """A boolean expression over a column of content hashes (xxh3-128, hex): whether the document is held out."""
    return held_out_order(content_hash).str.to_integer(base=16, dtype=pl.Int64) < _threshold(fraction)


def hash_is_held_out(content_hash: str, fraction: float) -> bool:
    """The same decision as `is_held_out`, for one content hash."""
    return int(content_hash[-_DIGITS:], 16) < _threshold(fraction)
