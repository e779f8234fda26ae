"""The hashes of pages, which decide what is held out."""

from __future__ import annotations

import polars as pl

from nemotron_assets.held_out import hash_is_held_out, page_hash


def hash_of(address: str) -> str:
    """The hash of the page at an address."""
    return pl.select(page_hash(pl.lit(address))).item()


def page_is_held_out(address: str, share: float) -> bool:
    return hash_is_held_out(hash_of(address), share)
