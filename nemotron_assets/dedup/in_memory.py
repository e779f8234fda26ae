"""Near-duplicates among one set of texts, in memory: signatures, bands, candidates, exact check, clusters.

For a set that grows snapshot by snapshot, the same steps work on tables (see `near`). Here, 8 bytes per band and one
byte of each minimum of a signature stay in memory per text. The bytes show which candidates cannot reach the threshold.
The texts of the other candidates are read once more and their shingle sets compared (8 bytes per shingle).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nemotron_assets.dedup.clusters import components, direct
from nemotron_assets.dedup.jaccard import jaccard
from nemotron_assets.dedup.minhash import NO_BAND, bands, sign, width
from nemotron_assets.dedup.shingles import ShingleSets, Shingling, shingle_sets
from resources.kernels import kernel

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class NearDuplicates:
    """The verified pairs of a set of texts, and the decision about every text.

    Per pair, ascending by (left, right) with left < right: `left` and `right` (int64), `similarity` (float64).
    Per text: `duplicate_of` (int64, -1 for a kept text), `duplicate_similarity` (float64, NaN for a kept text) and
    `cluster` (int64, the earliest text of the connected component). `candidates` is the number of pairs checked.
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

    `texts` yields arrow arrays of strings, or pairs (array, mask), where the mask (bool per text) says which texts have
    shingles of characters. It is iterated twice, so it must be a list or an object that reads its source again each
    time; if all texts together have at most `keep_mb` MB, they are kept in memory and read once. Pairs with at least
    the similarity `threshold` are near-duplicates. `window` limits the pairs of a bucket (see `candidates`). The result
    is deterministic.
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
    left, right, limited = candidates(np.concatenate(keys, axis=1).T, window)
    del keys
    left, right = _with_candidates_of_limited(left, right, limited, sketches, bands_by_rows, window)
    count, checked = len(sketches), len(left)
    likely = _agreement(sketches, left, right) >= lowest_agreement(threshold, permutations)
    left, right = left[likely], right[likely]
    del sketches
    similarity = similarities(kept or texts, count, left, right, shingling)
    near = similarity >= threshold
    left, right, similarity = left[near], right[near], similarity[near]
    duplicate_of, duplicate_similarity = direct(count, left, right, similarity)
    cluster = components(count, left, right)
    return NearDuplicates(left, right, similarity, duplicate_of, duplicate_similarity, cluster, checked)


def lowest_agreement(threshold: float, permutations: int) -> float:
    """The share of equal minima below which a pair is taken to be under the threshold without an exact comparison.

    It is six standard deviations below the threshold: 0.65 for 0.8 and 256 permutations. One in a billion of the pairs
    that are just at the threshold is lost.
    """
    return threshold - 6 * (threshold * (1 - threshold) / permutations) ** 0.5


def similarities(texts: Iterable, count: int, left: np.ndarray, right: np.ndarray, shingling: Shingling) -> np.ndarray:
    """Exact similarity (float64) of pairs of texts. All texts are read once more, and only texts in pairs are shingled.

    Raises RuntimeError if the source does not give `count` texts.
    """
    wanted = np.zeros(count, np.bool_)
    wanted[left] = wanted[right] = True
    parts, at = [], 0
    for batch, mask in _masked(texts):
        parts.append(shingle_sets(batch, shingling, mask, only=wanted[at : at + len(batch)]))
        at += len(batch)
    if at != count:
        raise RuntimeError(
            f"the source gave {at} texts when it was read again, but {count} the first time; `texts` must give the "
            "same texts each time it is iterated"
        )
    return jaccard(ShingleSets.concatenate(parts), left, right)


def candidates(keys: np.ndarray, window: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of texts that share a band, and which texts are in a limited bucket: (left, right, limited).

    `keys` is int64[texts, bands]. `left` and `right` are int64 per pair with left < right, ascending, each pair once;
    `limited` is bool per text. The texts with the same key in a band are a bucket. In it, a text is paired with the
    first text and with the `window` texts just before it, so the work is at most texts x bands x (window + 1) however
    large a bucket is: a template that ten thousand pages share gives a few hundred thousand pairs, not fifty million.
    A bucket is limited if pairs are left out by that.
    """
    if len(keys) >= 2**31:
        raise ValueError(
            f"{len(keys):,} texts are too many for one set in memory, which takes at most {2**31 - 1:,}; keep their "
            "bands in a table and join them as nemotron_assets/dedup/near.py does"
        )
    pairs, limited = _candidates(np.ascontiguousarray(keys.T, np.int64), window, np.int64(NO_BAND))
    pairs.sort()
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), limited


def _with_candidates_of_limited(left, right, limited, sketches, bands_by_rows, window):
    """The pairs, and more candidates for the texts in limited buckets, from bands of the same minima in other orders.

    Two near-duplicate pages of one template are found by a band that contains something only they share. A band of
    nothing but template is in a limited bucket and may leave their pair out. So pages of a large template have fewer
    bands to be found by: with 32 bands of 8 rows, one in fifty pairs of similarity 0.82 would be missed among pages of
    similarity 0.65. Three more orders of the minima reduce that to one in a million. They cost three times the bands
    of these texts only.
    """
    members = np.flatnonzero(limited)
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


@kernel
def _agreement(sketches, left, right):
    """The share of equal bytes of pairs of rows; of minima that differ, one in 256 has an equal byte by chance."""
    out = np.empty(left.size)
    for pair in range(left.size):
        one, other = sketches[left[pair]], sketches[right[pair]]
        equal = 0
        for k in range(one.size):
            equal += one[k] == other[k]
        out[pair] = equal / one.size
    return out


@kernel
def _candidates(keys, window, nothing):
    """Pairs as left << 32 | right, each once, and whether a text is in a limited bucket; keys is int64[bands, texts].

    Per band there is a hash table from the key to the first and the latest text of the bucket. It stores half of the
    key; the lowest bits decide the slot. Two keys may be confused in rare cases, which only adds candidates that the
    exact comparison drops.
    """
    count = keys.shape[1]
    size = 16
    while size < 2 * count:
        size *= 2
    held, first, latest = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    members = np.empty(size, np.int32)
    limited = np.zeros(count, np.bool_)
    before = np.empty(count, np.int32)  # the text before this one in its bucket
    pairs, filled = np.empty(1024, np.uint64), 0
    seen = np.zeros(4096, np.uint64)  # 0 is a free slot: no pair is 0, because right > 0
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
            full = members[slot] > window  # from here on, all texts that the walk below meets are in a limited bucket
            members[slot] += 1
            limited[text] |= full
            left = window
            while True:
                if left <= 0:
                    other = first[slot]
                limited[other] |= full
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
    return pairs[:filled], limited
