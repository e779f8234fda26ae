"""Shuffles the sequences of a source without a list of them: the place of each follows from the seed.

An epoch goes through the shards of the source in an order drawn from (seed, source, epoch). It takes a few shards at a
time and shuffles their sequences together, so that few shards are read at once, and no shard fills whole batches.
Within such a group, place k holds sequence p(k), where p is a Feistel network over the next power of four: a
permutation that is computed for one place alone. A value outside the group is permuted again until it falls inside
("cycle walking").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numba import njit

_ROUNDS = 6
_EPOCHS_KEPT = 2


class Shuffled:
    """The endless order of the sequences of one source: epoch after epoch, each has every sequence once.

    `sizes` are the numbers of sequences of its shards, `mixed` is the number of shards that are shuffled together.
    """

    def __init__(self, seed: int, name: str, sizes: Sequence[int], mixed: int) -> None:
        self.sizes = np.array(sizes, np.int64)
        self.size = int(self.sizes.sum())
        self._key, self._mixed = xxhash.xxh3_64_intdigest(f"{seed}\x1f{name}".encode()), mixed
        self._epochs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The shards (their numbers) and the rows in them at some positions of the endless order."""
        shards, rows = np.empty(len(positions), np.int64), np.empty(len(positions), np.int64)
        epochs, inside = np.divmod(np.asarray(positions, np.int64), self.size)
        for epoch in np.unique(epochs).tolist():
            chosen = epochs == epoch
            shards[chosen], rows[chosen] = self._in_epoch(epoch, inside[chosen])
        return shards, rows

    def _in_epoch(self, epoch: int, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order, starts = self._order(epoch)
        first_of_group = starts[:-1][:: self._mixed]
        groups = np.searchsorted(first_of_group, inside, "right") - 1
        firsts, lasts = first_of_group[groups], np.append(first_of_group, self.size)[groups + 1]
        keys = np.array([self._group_key(epoch, group) for group in np.unique(groups).tolist()], np.uint64)
        keys = keys[np.searchsorted(np.unique(groups), groups)]
        mixed = firsts + _permuted(inside - firsts, lasts - firsts, keys)
        places = np.searchsorted(starts, mixed, "right") - 1
        return order[places], mixed - starts[places]

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The shards of an epoch in their order, without empty ones; where each begins, and where the last ends."""
        if epoch not in self._epochs:
            if len(self._epochs) >= _EPOCHS_KEPT:
                self._epochs.pop(min(self._epochs))
            filled = np.flatnonzero(self.sizes)
            order = np.random.default_rng([self._key, epoch]).permutation(filled)
            self._epochs[epoch] = order, np.concatenate([[0], np.cumsum(self.sizes[order])])
        return self._epochs[epoch]

    def _group_key(self, epoch: int, group: int) -> int:
        return xxhash.xxh3_64_intdigest(f"{self._key}\x1f{epoch}\x1f{group}".encode())


@njit(cache=True)
def _permuted(places, sizes, keys):
    """p(place) for places of groups with these sizes and keys."""
    result = np.empty(len(places), np.int64)
    for k in range(len(places)):
        half = np.uint64(1)
        while (np.int64(1) << (2 * np.int64(half))) < sizes[k]:
            half += np.uint64(1)
        mask = (np.uint64(1) << half) - np.uint64(1)
        value = np.uint64(places[k])
        while True:
            left, right = value >> half, value & mask
            for number in range(_ROUNDS):
                mixed = (right + keys[k] + np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(
                    0xBF58476D1CE4E5B9
                )
                mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
                left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(32))) & mask)
            value = (left << half) | right
            if np.int64(value) < sizes[k]:
                break
        result[k] = np.int64(value)
    return result
