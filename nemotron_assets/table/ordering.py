"""Sorts documents by a hash with a bounded number of bytes in memory (a distribution sort).

Documents that fit into memory are sorted there. If they do not fit, they are distributed to temporary files: first by
group, then by the next digit of their hash. Each file is sorted on its own, and distributed again if it is still too
large. (DuckDB's sort is not used: it keeps long texts in memory, and fails on 1.2 GB of them with a limit of 512 MB.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import polars as pl

from nemotron_assets.table.spill import SpillFile

#: Columns to sort by; `place` is a hash as hex digits.
GROUP, PLACE, ID = "group", "place", "id"
_DIGITS = 32  # of an md5 hash
#: Memory that sorting takes, as a multiple of the rows: the rows, their sorted copy, and the lists of the sort.
_PEAK = 3


def in_order(frames: Iterable[pl.DataFrame], memory_mb: int) -> Iterator[pl.DataFrame]:
    """The rows of all frames, sorted by group, place and id.

    Takes about `memory_mb` MiB of memory, and never less than one frame does.
    """
    return _in_order(frames, (memory_mb << 20) // _PEAK, digit=-1)


def _in_order(frames: Iterable[pl.DataFrame], max_bytes: int, digit: int) -> Iterator[pl.DataFrame]:
    """Rows of more than `max_bytes` are distributed by this digit of `place`, or by group if `digit` is -1."""
    held, size, rest = [], 0, iter(frames)
    for frame in rest:
        held.append(frame)
        size += frame.estimated_size()
        if size > max_bytes and digit < _DIGITS:
            buckets = _distribute(itertools.chain(held, rest), max_bytes, digit)
            held = []
            for bucket in buckets:
                yield from _in_order(map(pl.DataFrame, bucket.batches()), max_bytes, digit + 1)
            return
    if held:
        yield pl.concat(held).sort(GROUP, PLACE, ID)


def _distribute(frames: Iterable[pl.DataFrame], max_bytes: int, digit: int) -> list[SpillFile]:
    """One file with the rows of each group or digit, in ascending order."""
    buckets: dict[str, SpillFile] = {}
    key = pl.col(GROUP) if digit < 0 else pl.col(PLACE).str.slice(digit, 1)
    for frame in _gather(frames, max_bytes // 4):
        for (name,), rows in frame.group_by(key.alias("bucket"), maintain_order=True):
            buckets.setdefault(name, SpillFile()).add(rows)
    return [buckets[name] for name in sorted(buckets)]


def _gather(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Frames of about `size` bytes each, so that a bucket does not get many tiny pieces."""
    held, total = [], 0
    for frame in frames:
        held.append(frame)
        total += frame.estimated_size()
        if total >= size:
            yield pl.concat(held)
            held, total = [], 0
    if held:
        yield pl.concat(held)
