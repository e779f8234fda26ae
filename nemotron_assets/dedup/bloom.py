"""A Bloom filter in front of a join: which of many values may be among a few, at about a nanosecond per value.

Each value sets two bits of a bitmap. A value that was added is always found; of the values that were not added, one to
four in a thousand are found by chance. The bitmap is small so that it fits into the processor's cache.
"""

from __future__ import annotations

import numpy as np

from resources.kernels import kernel

#: Bits of the bitmap per expected value, rounded up to a power of two.
_BITS_PER_VALUE = 32


class BloomFilter:
    """A filter with room for about `values` values, whose bits should be as good as random, such as hashes.

    Memory: 4 to 8 bytes per value, twice that once a value was added repeatedly, and at most `most_mb` MB per bitmap.
    A filter that holds more values than it has room for finds more of them by chance, and stays correct otherwise.
    """

    def __init__(self, values: int, most_mb: int = 1_024) -> None:
        wanted = (_BITS_PER_VALUE * max(values, 1)).bit_length()
        self._bits = max(12, min(wanted, (most_mb << 23).bit_length() - 1))
        self._once = np.zeros(1 << (self._bits - 6), np.uint64)
        self._repeatedly = np.zeros(self._once.size, np.uint64)  # its pages take no memory until they are written to

    def add(self, values: np.ndarray) -> None:
        """Add int64 or uint64 values."""
        _set(self._once, self._repeatedly, self._bits, values.view(np.uint64))

    def find(self, values: np.ndarray) -> np.ndarray:
        """The positions (int64) of the values that were added, and of a few others."""
        return _find(self._once, self._bits, values.view(np.uint64))

    def find_repeated(self, values: np.ndarray) -> np.ndarray:
        """The positions (int64) of the values that were added more than once, and of a few others."""
        return _find(self._repeatedly, self._bits, values.view(np.uint64))


@kernel
def _places(value, bits):
    """Two bit positions in the bitmap: the value's leading bits, and the bits after them (which overlap the leading
    ones where 64 bits are too few)."""
    shift = np.uint64(64 - bits)
    return value >> shift, (value << np.uint64(bits if 2 * bits <= 64 else 64 - bits)) >> shift


@kernel
def _set(once, repeatedly, bits, values):
    one, low = np.uint64(1), np.uint64(63)
    for value in values:
        first, second = _places(value, bits)
        a, b = one << (first & low), one << (second & low)
        if once[first >> np.uint64(6)] & a and once[second >> np.uint64(6)] & b:
            repeatedly[first >> np.uint64(6)] |= a
            repeatedly[second >> np.uint64(6)] |= b
        once[first >> np.uint64(6)] |= a
        once[second >> np.uint64(6)] |= b


@kernel
def _find(bitmap, bits, values):
    found = np.empty(values.size, np.int64)
    count, one, low = 0, np.uint64(1), np.uint64(63)
    for k in range(values.size):
        first, second = _places(values[k], bits)
        if bitmap[first >> np.uint64(6)] >> (first & low) & one:
            found[count] = k
            count += np.int64(bitmap[second >> np.uint64(6)] >> (second & low) & one)
    return found[:count].copy()
