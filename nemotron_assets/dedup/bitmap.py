"""A filter in front of a join: which of many values may be among a few, told at about a nanosecond each.

Two bits per value in a bitmap (a Bloom filter of two hash functions): none that is there is missed, and of others
one to four in a thousand pass. The bitmap is kept small for the sake of the processor's cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Bits of the bitmap per expected value, rounded up to a power of two.
_BITS_PER_VALUE = 32


class Bitmap:
    """Room for about `values` values whose bits are as good as random. Memory: 4 to 8 bytes per value (twice that
    when asked which came repeatedly), at most `most_mb` each; a fuller bitmap lets more pass, nothing else."""

    def __init__(self, values: int, most_mb: int = 1_024) -> None:
        wanted = (_BITS_PER_VALUE * max(values, 1)).bit_length()
        self._bits = max(12, min(wanted, (most_mb << 23).bit_length() - 1))
        self._seen = np.zeros(1 << (self._bits - 6), np.uint64)
        self._twice = np.zeros_like(self._seen)  # its pages cost nothing until they are written to

    def add(self, values: np.ndarray) -> None:
        """Take int64 or uint64 values in."""
        _set(self._seen, self._twice, self._bits, values.view(np.uint64))

    def passing(self, values: np.ndarray) -> np.ndarray:
        """Where those values are that were added, and a few others."""
        return _passing(self._seen, self._bits, values.view(np.uint64))

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """Where those values are that were added more than once, and a few others."""
        return _passing(self._twice, self._bits, values.view(np.uint64))


@njit(cache=True, nogil=True)
def _places(value, bits):
    """Two places in the bitmap: the value's leading bits and, where there are enough, those after them."""
    shift = np.uint64(64 - bits)
    return value >> shift, (value << np.uint64(bits if 2 * bits <= 64 else 64 - bits)) >> shift


@njit(cache=True, nogil=True)
def _set(seen, twice, bits, values):
    one, low = np.uint64(1), np.uint64(63)
    for value in values:
        first, second = _places(value, bits)
        a, b = one << (first & low), one << (second & low)
        if seen[first >> np.uint64(6)] & a and seen[second >> np.uint64(6)] & b:
            twice[first >> np.uint64(6)] |= a
            twice[second >> np.uint64(6)] |= b
        seen[first >> np.uint64(6)] |= a
        seen[second >> np.uint64(6)] |= b


@njit(cache=True, nogil=True)
def _passing(bitmap, bits, values):
    found = np.empty(values.size, np.int64)
    count, one, low = 0, np.uint64(1), np.uint64(63)
    for k in range(values.size):
        first, second = _places(values[k], bits)
        if bitmap[first >> np.uint64(6)] >> (first & low) & one:
            found[count] = k
            count += np.int64(bitmap[second >> np.uint64(6)] >> (second & low) & one)
    return found[:count].copy()
