"""Candidates for near-duplicates: pairs of texts that share a band of their signatures.

Both sides have their bands in ascending order (see `sorted_bands`), so equal bands are found by reading both once,
side by side, range of hashes by range of hashes. A range is a row of a table that `Compute.map` goes through: on this
machine or on a Ray cluster, and in this process if one range has everything.

Many texts may share a band, such as the pages of one template. In such a bucket each text is paired only with the
earliest `most` others and with as many that come just before it (between snapshots: with the latest ones). So the
number of pairs grows with the number of texts and not with its square. Of a group of near-duplicates the earliest text
is kept, which is among them.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from nemotron_assets.dedup.sorted_bands import SortedBands, ranges
from resources.kernels import kernel

if TYPE_CHECKING:
    from nemotron_assets.table.parts import Reject
    from resources.compute import Compute

#: Bytes of memory that a hash of a range takes while the range is joined.
_BYTES_PER_HASH = 32
#: Texts whose pairs are sorted together, as a power of two.
_TEXTS_TOGETHER = 18
#: Pairs that are read from a temporary file at a time.
_AT_ONCE = 1 << 22

#: Applies a function of frames to batches, in their order; like `Compute.map` without its rejects.
Map = Callable[[Iterable[pa.RecordBatch], Callable[[pl.DataFrame], pl.DataFrame]], Iterator[pl.DataFrame]]


def here(batches: Iterable[pa.RecordBatch], fn: Callable[[pl.DataFrame], pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """A `Map` in this process."""
    return (fn(pl.from_arrow(batch)) for batch in batches)


def across(compute: Compute) -> Map:
    """A `Map` over the processes of this machine or a cluster. A range that fails is an error, because the pairs would
    not be complete without it."""

    def fail(rejected: Reject) -> None:
        raise RuntimeError(
            f"range {rejected.row_id} of the hashes could not be joined ({rejected.cause}: {rejected.detail}); lower "
            "memory_mb of the recipe's dedup section for smaller ranges, or raise compute.row_timeout_s"
        )

    return lambda batches, fn: compute.map(batches, fn, reject=fail, stage="ranges of band hashes")


def candidates(
    own: SortedBands, other: SortedBands | None, most: int, memory_mb: int, over: Map = here
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs as numbers of texts, (int32 of `own`, int32 of `other`), each once, ascending; without `other` inside
    the snapshot, the later text first. The arrays are in a temporary file.

    Texts that are in both snapshots are left out: their pairs are found inside each of them. Memory: a part of
    `memory_mb` for a range, one byte per text, and the pairs of 262,144 texts.
    """
    with Pairs(own.texts) as pairs:
        shared = _shared(own, other, memory_mb, over) if other is not None else None
        for found in _joined("bands", own, other, shared, most, memory_mb, over):
            pairs.add(found)
        return pairs.collect()


def _shared(own: SortedBands, other: SortedBands, memory_mb: int, over: Map) -> tuple[np.ndarray, np.ndarray]:
    """A bit per text of each snapshot: whether the other one has it, too."""
    flags = np.zeros(own.texts, np.bool_), np.zeros(other.texts, np.bool_)
    for found in _joined("contents", own, other, None, 1, memory_mb, over):
        for flag, texts in zip(flags, _apart(found), strict=True):
            flag[texts] = True
    return np.packbits(flags[0], bitorder="little"), np.packbits(flags[1], bitorder="little")


def _joined(
    run: str, own: SortedBands, other: SortedBands | None, shared, most: int, memory_mb: int, over: Map
) -> Iterator[np.ndarray]:
    """The pairs of every range, as own << 32 | other."""
    hashes = sum(side.bands if run == "bands" else side.texts for side in (own, other) if side is not None)
    chosen = ranges(max(1, -(-hashes * _BYTES_PER_HASH // (memory_mb << 20))))
    rows = ([pa.array([value]) for value in (str(number), *bounds)] for number, bounds in enumerate(chosen))
    batches = (pa.record_batch(columns, names=["id", "low", "high"]) for columns in rows)
    join = functools.partial(join_ranges, run=run, own=own, other=other, shared=shared, most=most)
    for frame in (here if len(chosen) == 1 else over)(batches, join):
        yield frame["pair"].to_numpy()


def join_ranges(
    rows: pl.DataFrame,
    *,
    run: str,
    own: SortedBands,
    other: SortedBands | None,
    shared: tuple[np.ndarray, np.ndarray] | None,
    most: int,
) -> pl.DataFrame:
    """Pairs of texts, own << 32 | other, that have an equal hash in one of the ranges; each once per range."""
    found = [np.zeros(0, np.uint64)]
    for low, high in rows.select("low", "high").iter_rows():
        if other is None:
            pairs = _within(*own.run(run, low, high), most)
        else:
            flags = shared or (np.zeros(own.texts // 8 + 1, np.uint8), np.zeros(other.texts // 8 + 1, np.uint8))
            pairs = _between(*own.run(run, low, high), flags[0], *other.run(run, low, high), flags[1], most)
        found.append(_once(pairs))
    return pl.DataFrame({"pair": np.concatenate(found)})


class Pairs:
    """Pairs of numbers, each of which may be added many times, in temporary files until they are sorted.

    A file has the pairs of 262,144 texts, so that sorting it takes little memory.
    """

    def __init__(self, texts: int) -> None:
        self._files = [_temporary() for _ in range((max(texts, 1) - 1 >> _TEXTS_TOGETHER) + 1)]

    def __enter__(self) -> Pairs:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files:
            file.close()

    def add(self, pairs: np.ndarray) -> None:
        """Add pairs, own << 32 | other, in ascending order."""
        bounds = np.arange(len(self._files) + 1, dtype=np.uint64) << np.uint64(32 + _TEXTS_TOGETHER)
        ends = np.searchsorted(pairs, bounds)
        for file, begin, end in zip(self._files, ends[:-1], ends[1:], strict=True):
            pairs[begin:end].tofile(file)

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        """(own, other) as int32, each pair once, ascending."""
        with _temporary() as own, _temporary() as other:
            for file in self._files:
                file.seek(0)
                pairs = np.zeros(0, np.uint64)
                while len(more := np.fromfile(file, np.uint64, _AT_ONCE)):
                    pairs = _once(np.concatenate([pairs, more]))
                for side, texts in zip((own, other), _apart(pairs), strict=True):
                    texts.tofile(side)
            return _mapped(own), _mapped(other)


def _once(pairs: np.ndarray) -> np.ndarray:
    """The pairs in ascending order, each once."""
    pairs = np.sort(pairs)
    return pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])] if len(pairs) else pairs


def _apart(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (pairs >> np.uint64(32)).astype(np.int32), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int32)


def _mapped(file) -> np.ndarray:
    """The int32 numbers of a file, which the operating system may drop from memory."""
    file.flush()
    return np.memmap(file, np.int32, "r") if file.tell() else np.zeros(0, np.int32)


def _temporary():
    return tempfile.TemporaryFile(prefix="nemotron-pairs-")


@kernel
def _append(pairs, filled, late, early):
    """The array with one more pair; it grows when it is full."""
    if filled == pairs.size:
        grown = np.empty(2 * filled, np.uint64)
        grown[:filled] = pairs
        pairs = grown
    pairs[filled] = np.uint64(late) << np.uint64(32) | np.uint64(early)
    return pairs


@kernel
def _is_set(bits, place):
    return bits[place >> 3] >> (place & 7) & 1


@kernel
def _within(hashes, texts, most):
    """Pairs of texts with an equal hash, from hashes in ascending order; the texts of a hash ascend, too."""
    pairs, filled, begin = np.empty(1024, np.uint64), 0, 0
    for late in range(1, hashes.size):
        if hashes[late] != hashes[begin]:
            begin = late
        early = begin
        while early < late:
            if early - begin >= most and early < late - most:
                early = late - most
            if texts[early] != texts[late]:
                pairs = _append(pairs, filled, texts[late], texts[early])
                filled += 1
            early += 1
    return pairs[:filled]


@kernel
def _between(hashes, texts, shared, other_hashes, other_texts, other_shared, most):
    """Pairs of texts of two snapshots with an equal hash, except for texts that both have."""
    pairs, filled = np.empty(1024, np.uint64), 0
    bucket = np.empty(16, np.int32)
    at = begin = 0
    while at < hashes.size and begin < other_hashes.size:
        if other_hashes[begin] < hashes[at]:
            begin += 1
            continue
        if other_hashes[begin] > hashes[at]:
            at += 1
            continue
        end, size = begin, 0
        while end < other_hashes.size and other_hashes[end] == hashes[at]:
            if not _is_set(other_shared, other_texts[end]):
                if size == bucket.size:
                    grown = np.empty(2 * size, np.int32)
                    grown[:size] = bucket
                    bucket = grown
                bucket[size] = other_texts[end]
                size += 1
            end += 1
        while at < hashes.size and hashes[at] == other_hashes[begin]:
            if not _is_set(shared, texts[at]):
                for place in range(size):
                    if place < most or place >= size - most:
                        pairs = _append(pairs, filled, texts[at], bucket[place])
                        filled += 1
            at += 1
        begin = end
    return pairs[:filled]
