"""Documents in the order of a hash, a bounded number of bytes of them in memory: a distribution sort.

While they fit they are sorted where they are. If not, they are dealt out, first by snapshot, then by the next digit of
their hash, to files that are put in order one after the other, and dealt out again where one is too large. (DuckDB's
sort holds on to long texts: 1.2 GB of them use up 512 MB and fail.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import polars as pl

from nemotron_assets.table.spill import SpillFile

#: Columns that the order comes from; `place` is a hash as hex digits.
SNAPSHOT, PLACE, ID = "snapshot", "place", "id"
_DIGITS = 32  # of md5
# Rows that are sorted are there twice, and the sort has its own lists.
_PEAK = 3


def in_order(frames: Iterable[pl.DataFrame], memory_mb: int) -> Iterator[pl.DataFrame]:
    """The rows of all frames by snapshot, place and id. About `memory_mb` MiB are held, and at least one frame."""
    return _in_order(frames, (memory_mb << 20) // _PEAK, digit=-1)


def _in_order(frames: Iterable[pl.DataFrame], most: int, digit: int) -> Iterator[pl.DataFrame]:
    """`digit`: the one that rows are dealt out by if they do not fit; -1: their snapshot."""
    held, size, left = [], 0, iter(frames)
    for frame in left:
        held.append(frame)
        size += frame.estimated_size()
        if size > most and digit < _DIGITS:
            piles = _dealt(itertools.chain(held, left), most, digit)
            held = []
            for pile in piles:
                yield from _in_order(map(pl.DataFrame, pile.batches()), most, digit + 1)
            return
    if held:
        yield pl.concat(held).sort(SNAPSHOT, PLACE, ID)


def _dealt(frames: Iterable[pl.DataFrame], most: int, digit: int) -> list[SpillFile]:
    """Rows in a file per snapshot or digit, the files in order."""
    piles: dict[str, SpillFile] = {}
    key = pl.col(SNAPSHOT) if digit < 0 else pl.col(PLACE).str.slice(digit, 1)
    for frame in _gathered(frames, most // 4):
        for (name,), rows in frame.group_by(key.alias("pile"), maintain_order=True):
            piles.setdefault(name, SpillFile()).add(rows)
    return [piles[name] for name in sorted(piles)]


def _gathered(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Frames of about `size` bytes each, so that what a pile is given at a time is not tiny."""
    held, total = [], 0
    for frame in frames:
        held.append(frame)
        total += frame.estimated_size()
        if total >= size:
            yield pl.concat(held)
            held, total = [], 0
    if held:
        yield pl.concat(held)
