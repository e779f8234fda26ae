"""Near-duplicates among one set of texts, in memory: signatures, bands, candidates, exact check, clusters.

For sets that grow snapshot by snapshot, the bands belong into a table and candidates come from a join; the pieces are
the same. Of a text are kept 8 bytes per band and one byte of each minimum. The bytes say which candidates cannot reach
the threshold; the texts of all others are read once more, and their shingle sets compared (8 bytes per shingle).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit

from nemotron_assets.similarity.clusters import components, direct
from nemotron_assets.similarity.jaccard import jaccard
from nemotron_assets.similarity.minhash import NO_BAND, bands, sign
from nemotron_assets.similarity.shingles import ShingleSets, Shingling, shingle_sets

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class NearDuplicates:
    """Verified pairs, ascending by (left, right) with left < right, and what follows from them for every text.

    left, right int64 and similarity float64 per pair; duplicate_of int64 per text (-1: kept) with duplicate_similarity
    (NaN: kept); cluster int64 per text, the earliest text it is connected to by pairs; candidates, the number of pairs
    that were checked.
    """

    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    duplicate_of: np.ndarray
    duplicate_similarity: np.ndarray
    cluster: np.ndarray
    candidates: int


def find(
    texts: Iterable,
    shingling: Shingling = Shingling(),
    *,
    threshold: float = 0.8,
    permutations: int = 256,
    bands_by_rows: tuple[int, int] = (32, 8),
    seed: int = 42,
    window: int = 32,
) -> NearDuplicates:
    """All near-duplicates among the texts of all batches; earlier texts take precedence.

    texts is iterated twice (a list, or an object that reads a file anew each time) and yields arrow arrays of strings,
    or pairs of such an array and the mask of the texts that take characters. Deterministic.
    """
    keys, sketches = [np.empty((bands_by_rows[0], 0), np.int64)], [np.empty((0, permutations), np.uint8)]
    for batch, mask in _masked(texts):
        signatures = sign(batch, shingling, mask, permutations=permutations, seed=seed)
        keys.append(bands(signatures, *bands_by_rows).T)
        sketches.append(signatures.astype(np.uint8))
    left, right = candidates(np.concatenate(keys, axis=1).T, window)
    del keys
    sketches = np.concatenate(sketches)
    count, checked = len(sketches), len(left)
    likely = _agreement(sketches, left, right) >= doubtless(threshold, permutations)
    left, right = left[likely], right[likely]
    del sketches
    similarity = similarities(texts, count, left, right, shingling)
    near = similarity >= threshold
    left, right, similarity = left[near], right[near], similarity[near]
    duplicate_of, duplicate_similarity = direct(count, left, right, similarity)
    cluster = components(count, left, right)
    return NearDuplicates(left, right, similarity, duplicate_of, duplicate_similarity, cluster, checked)


def doubtless(threshold: float, permutations: int) -> float:
    """The share of minima below which a pair is certainly under the threshold: six standard deviations less than it.

    Of pairs just at the threshold, one in a billion is lost by that.
    """
    return threshold - 6 * (threshold * (1 - threshold) / permutations) ** 0.5


def similarities(texts: Iterable, count: int, left: np.ndarray, right: np.ndarray, shingling: Shingling) -> np.ndarray:
    """Exact similarity of pairs of texts, which are read once more; only those in pairs are shingled."""
    wanted = np.zeros(count, np.bool_)
    wanted[left] = wanted[right] = True
    parts, at = [], 0
    for batch, mask in _masked(texts):
        parts.append(shingle_sets(batch, shingling, mask, only=wanted[at : at + len(batch)]))
        at += len(batch)
    if at != count:
        raise RuntimeError(f"reading the texts again gave {at} of them, not {count}")
    return jaccard(ShingleSets.concatenate(parts), left, right)


def candidates(keys: np.ndarray, window: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (left < right, ascending, each once) of texts that share a band: int64 each. keys is int64[texts, bands].

    A text is paired with the first text of its bucket and with the `window` latest before it, so the work is bounded
    by texts x bands x (window + 1) however large a bucket grows: a template that ten thousand pages share gives ten
    thousand buckets' worth of pairs, not fifty million. What a pair may lose by that: it has to share a bucket that is
    not crowded, or be near each other in one that is, or both resemble the crowd's first (and then are duplicates of
    that one anyway). Of two texts of similarity s in a crowd whose members resemble each other with similarity c, every
    band has about s^rows - c^rows for a bucket of their own: at 32 x 8 and s = 0.85 in a crowd of c = 0.7, one pair in
    two thousand is lost; only pairs hardly closer to each other than to the crowd are lost in numbers.
    """
    if len(keys) >= 2**31:
        raise ValueError(f"{len(keys):,} texts are too many for one set in memory; keep their bands in a table")
    pairs = np.sort(_candidates(np.ascontiguousarray(keys.T, np.int64), window, np.int64(NO_BAND)))
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _masked(texts: Iterable) -> Iterable[tuple]:
    for batch in texts:
        yield batch if isinstance(batch, tuple) else (batch, None)


@njit(cache=True, nogil=True)
def _agreement(sketches, left, right):
    """The share of equal bytes of pairs of rows (by chance, one in 256 agrees of those whose minima differ)."""
    out = np.empty(left.size)
    for pair in range(left.size):
        one, other = sketches[left[pair]], sketches[right[pair]]
        equal = 0
        for k in range(one.size):
            equal += one[k] == other[k]
        out[pair] = equal / one.size
    return out


@njit(cache=True, nogil=True)
def _candidates(keys, window, nothing):
    """Pairs as left << 32 | right, each once; keys is int64[bands, texts].

    Per band, a hash table from the key to the bucket's first and latest text. It holds half of the key besides the
    place it hashes to; two keys that are taken for one by that only make a pair that is found unlike later.
    """
    count = keys.shape[1]
    size = 16
    while size < 2 * count:
        size *= 2
    held, first, latest = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    before = np.empty(count, np.int32)  # the text before this one in its bucket
    pairs, filled = np.empty(1024, np.uint64), 0
    seen = np.zeros(4096, np.uint64)  # 0: free, for right > 0
    for band in range(keys.shape[0]):
        latest[:] = -1
        for text in range(count):
            key = keys[band, text]
            if key == nothing:
                continue
            slot, half = key & (size - 1), np.int32(key >> 32)
            while latest[slot] >= 0 and held[slot] != half:
                slot = (slot + 1) & (size - 1)
            other = latest[slot]
            latest[slot] = text
            if other < 0:
                held[slot], first[slot] = half, text
                continue
            before[text] = other
            left = window
            while True:
                if left <= 0:
                    other = first[slot]
                pair = np.uint64(other) << np.uint64(32) | np.uint64(text)
                place = np.int64((pair * _SPREAD) >> np.uint64(32)) & (seen.size - 1)
                while seen[place] != 0 and seen[place] != pair:
                    place = (place + 1) & (seen.size - 1)
                if seen[place] == 0:
                    seen[place] = pair
                    if filled == pairs.size:
                        grown = np.empty(2 * filled, np.uint64)
                        grown[:filled] = pairs
                        pairs = grown
                    pairs[filled] = pair
                    filled += 1
                    if 2 * filled > seen.size:
                        seen = np.zeros(4 * seen.size, np.uint64)
                        for k in range(filled):
                            place = np.int64((pairs[k] * _SPREAD) >> np.uint64(32)) & (seen.size - 1)
                            while seen[place] != 0:
                                place = (place + 1) & (seen.size - 1)
                            seen[place] = pairs[k]
                if other == first[slot]:
                    break
                other, left = before[other], left - 1
    return pairs[:filled]
