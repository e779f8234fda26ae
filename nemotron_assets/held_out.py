"""Which texts are held out: never trained on, but used to measure bits per byte.

A hash decides, so the decision is the same on every machine, and a larger held-out share contains the smaller one. For
the text of a web page it is the hash of the page's address: all versions of a page, in every snapshot and every corpus,
and everything that was written from them are held out together. For any other text (a file of code, a problem) it is
the hash of the content.

A text can belong to several pages, because it also stands, or nearly, on another page. It is trained on only if none of
these pages is held out, and measured only if all of them are. So two texts that share a page are never one trained on
and the other measured.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import polars_hash  # noqa: F401  the .nchash namespace

_DIGITS = 8  # the last 8 hex digits of the hash decide: 32 bits
#: The column with the address of a page. A table with this column needs no other to decide.
ADDRESS = "url"


def _threshold(fraction: float) -> int:
    if not 0 <= fraction <= 1:
        raise ValueError(f"the held-out fraction is {fraction}, but must be between 0 and 1")
    return round(fraction * 16**_DIGITS)


def page_hash(address: str | pl.Expr = ADDRESS) -> pl.Expr:
    """The hash that decides for a page (md5, hex), from its address. The scheme, a leading "www.", the fragment and
    slashes at the end do not count: http://www.a.example/b/#c and https://a.example/b are one page. The macro page_hash
    of DuckDB gives the same."""
    url = pl.col(address) if isinstance(address, str) else address
    bare = url.str.replace(r"(?i)^https?://(?:www\.)?", "").str.replace(r"(?s)#.*", "")
    return bare.str.strip_chars_end("/").nchash.md5()


def origin_hash(column: str) -> pl.Expr:
    """The hash that decides for a row: the column itself, or, if the column has addresses (`ADDRESS`), their hash."""
    return page_hash(column) if column == ADDRESS else pl.col(column)


def held_out_order(column: str | pl.Expr = "content_hash") -> pl.Expr:
    """What hashes sort by so that those of held-out texts come first, whatever the held-out share is."""
    return (origin_hash(column) if isinstance(column, str) else column).str.slice(-_DIGITS)


def is_held_out(fraction: float, column: str | pl.Expr = "content_hash") -> pl.Expr:
    """A boolean expression over a column of hashes (128 bits, hex) or of addresses (`ADDRESS`): whether the text is
    held out."""
    return held_out_order(column).str.to_integer(base=16, dtype=pl.Int64) < _threshold(fraction)


def all_held_out(fraction: float, column: str) -> pl.Expr:
    """Whether every hash of a list is held out."""
    return pl.col(column).list.eval(is_held_out(fraction, pl.element())).list.all()


def held_out_first(hashes: Iterable[str]) -> str:
    """Of several hashes, the one that is held out first."""
    return min(hashes, key=lambda value: (value[-_DIGITS:], value))


def hash_is_held_out(content_hash: str, fraction: float) -> bool:
    """The same decision as `is_held_out`, for one hash."""
    return int(content_hash[-_DIGITS:], 16) < _threshold(fraction)
