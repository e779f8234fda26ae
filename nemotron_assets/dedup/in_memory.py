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

from nemotron_assets.dedup.clusters import components, direct
from nemotron_assets.dedup.jaccard import jaccard
from nemotron_assets.dedup.minhash import NO_BAND, bands, sign, width
from nemotron_assets.dedup.shingles import ShingleSets, Shingling, shingle_sets

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
    keep_mb: int = 0,
) -> NearDuplicates:
    """All near-duplicates among the texts of all batches; earlier texts take precedence.

    texts yields arrow arrays of strings, or pairs of such an array and the mask of the texts that take characters. It
    is iterated twice (it is a list, or an object that reads a file anew each time), unless all texts together have at
    most keep_mb MB and are kept in memory. Deterministic.
    """
    kept, size, scratch = [], 0, np.empty((0, 0), np.uint32)
    keys, sketches = [np.empty((bands_by_rows[0], 0), np.int64)], [np.empty((0, permutations), np.uint8)]
    for batch, mask in _masked(texts):
        if len(scratch) < len(batch):
            scratch = np.empty((len(batch), width(permutations)), np.uint32)
        out = scratch[: len(batch)]
        signatures = sign(batch, shingling, mask, permutations=permutations, seed=seed, out=out)
        keys.append(bands(signatures, *bands_by_rows).T)
        sketches.append(signatures.astype(np.uint8))
        size += batch.nbytes
        if size <= keep_mb * 1_000_000:
            kept.append((batch, mask))
        else:
            kept.clear()
    sketches = np.concatenate(sketches)
    left, right, crowded = candidates(np.concatenate(keys, axis=1).T, window)
    del keys
    left, right = _second_look(left, right, crowded, sketches, bands_by_rows, window)
    count, checked = len(sketches), len(left)
    likely = _agreement(sketches, left, right) >= doubtless(threshold, permutations)
    left, right = left[likely], right[likely]
    del sketches
    similarity = similarities(kept or texts, count, left, right, shingling)
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


def candidates(keys: np.ndarray, window: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (left < right, ascending, each once) of texts that share a band, and which texts were in a crowd.

    keys is int64[texts, bands]; the results are int64, int64 and bool per text. A text is paired with the first text of
    its bucket and with the `window` latest before it, so the work is bounded by texts x bands x (window + 1) however
    large a bucket grows: a template that ten thousand pages share gives some hundred thousand pairs, not fifty million.
    A crowd is a bucket in which that leaves pairs out.
    """
    if len(keys) >= 2**31:
        raise ValueError(f"{len(keys):,} texts are too many for one set in memory; keep their bands in a table")
    pairs, crowded = _candidates(np.ascontiguousarray(keys.T, np.int64), window, np.int64(NO_BAND))
    pairs.sort()
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), crowded


def _second_look(left, right, crowded, sketches, bands_by_rows, window):
    """More candidates for texts that were in a crowd, from the same minima in bands of other rows.

    Two pages of one template that are near-duplicates of each other are found by a band that has something of what only
    they share; bands of nothing but template are lost in the crowd. So pages of a large template have fewer bands to be
    found by: at 32 x 8, of pairs of similarity 0.82 in a crowd of 0.65, one in fifty would be missed. Three further
    arrangements make that one in a million, and cost three times the bands of those texts alone.
    """
    members = np.flatnonzero(crowded)
    if not len(members):
        return left, right
    lefts, rights = [left], [right]
    for turn in range(3):
        order = np.random.default_rng(turn).permutation(sketches.shape[1])
        keys = bands(sketches[members][:, order].astype(np.uint32), *bands_by_rows)
        more_left, more_right, _ = candidates(keys, window)
        lefts.append(members[more_left])
        rights.append(members[more_right])
    pairs = np.unique(np.concatenate(lefts) << 32 | np.concatenate(rights))
    return pairs >> 32, pairs & 0xFFFFFFFF


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
    """Pairs as left << 32 | right, each once, and whether a text was in a crowd; keys is int64[bands, texts].

    Per band, a hash table from the key to the bucket's first and latest text. It holds half of the key besides the
    place it hashes to; two keys that are taken for one by that only make a pair that is found unlike later.
    """
    count = keys.shape[1]
    size = 16
    while size < 2 * count:
        size *= 2
    held, first, latest = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    members = np.empty(size, np.int32)
    crowded = np.zeros(count, np.bool_)
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
                held[slot], first[slot], members[slot] = half, text, 1
                continue
            before[text] = other
            crowd = members[slot] > window  # from here on, all whom the walk meets
            members[slot] += 1
            crowded[text] |= crowd
            left = window
            while True:
                if left <= 0:
                    other = first[slot]
                crowded[other] |= crowd
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
    return pairs[:filled], crowded
