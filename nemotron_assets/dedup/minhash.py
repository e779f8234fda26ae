"""MinHash signatures and the bands of locality-sensitive hashing (Broder 1997; Leskovec et al., Mining of Massive
Datasets, chapter 3).

Given the same 32-bit shingle hashes, signatures equal those of datasketch's `MinHash(scheme="affine32")` bit for bit,
so datasketch and tools built on it can read them. The 32-bit hashes are the leading bits of the hashes that
`shingles.shingle_sets` returns.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from nemotron_assets.dedup import _kernels
from nemotron_assets.dedup.shingles import Shingling, kernel_arguments, lookup_tables

#: The value of every band of a text without shingles. Never join on it, because such texts have no duplicates.
NO_BAND = -(2**63)


def sign(
    texts,
    shingling: Shingling = Shingling(),
    by_characters: np.ndarray | None = None,
    *,
    permutations: int = 256,
    seed: int = 42,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """MinHash signatures, uint32[texts, permutations]; all ones (2^32 - 1) for a text without shingles.

    `texts` is an arrow array, chunked array or polars series of strings. `by_characters`, bool per text, says which
    texts have shingles of characters although `shingling` says words. Runs on one core and releases the GIL, so batches
    may run in threads. If `out` is given, a contiguous uint32[texts, width(permutations)], it is written to instead of
    a new array; the result is a view of it.
    """
    data, offsets, mask = kernel_arguments(texts, shingling, by_characters)
    a, b = coefficients(permutations, seed)
    columns = width(permutations)
    if out is None:
        out = np.empty((len(mask), columns), np.uint32)
    elif out.shape != (len(mask), columns) or out.dtype != np.uint32 or not out.flags.c_contiguous:
        raise ValueError(f"out is not a contiguous uint32[{len(mask)}, {columns}], but {out.dtype}{list(out.shape)}")
    out.fill(0xFFFFFFFF)
    a, b = np.resize(a, columns), np.resize(b, columns)
    _kernels.sign(data, offsets, mask, shingling.words, shingling.characters, *lookup_tables(), a, b, out)
    return out[:, :permutations]


def width(permutations: int) -> int:
    """The number of permutations that are computed for `permutations` wanted ones: rounded up to whole blocks."""
    return -(-permutations // _kernels.BLOCK) * _kernels.BLOCK


@cache
def coefficients(permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(a, b), uint32[permutations] each, as in datasketch: permutation k maps a shingle hash h to a[k] * mix(h) + b[k]
    mod 2^32. Raises ValueError for fewer than one permutation."""
    if permutations < 1:
        raise ValueError(f"a signature needs at least one permutation, not {permutations}")
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, generator.randint(0, 1 << 32, permutations, dtype=np.uint32)


def bands(signatures: np.ndarray, bands: int = 32, rows: int = 8) -> np.ndarray:
    """int64[texts, bands], a hash per band of a signature: two texts are candidates if any of their hashes are equal.

    The hash of a band includes the band's number, so equal values in different bands give different hashes, and all
    bands can be joined in one column. A text without shingles has `NO_BAND` everywhere. Raises ValueError if the
    signatures are too short.
    """
    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        raise ValueError(f"{bands} bands of {rows} rows do not fit signatures of {signatures.shape[1]} permutations")
    out = np.empty((len(signatures), bands), np.int64)
    _kernels.bands(signatures, rows, np.int64(NO_BAND), out)
    return out


def detection_probability(similarity: float, bands: int = 32, rows: int = 8) -> float:
    """The probability that two texts of this Jaccard similarity share a band: 0.997 for 0.8 in 32 bands of 8 rows."""
    return 1 - (1 - similarity**rows) ** bands
