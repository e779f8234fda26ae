"""Says which packed sequence is row r of the batch of step s: a pure function of the seed and a list of entries.

An entry gives weights to the categories of text from one optimizer step on: a phase of the training, or a change of
weights. Weights are shares of sequences, so of tokens. After every sequence of an entry, no category is a whole
sequence off its share (see `apportion`). Within a category, its sources (data sets) take turns in proportion to their
sequences, or by weights of their own. Every source keeps its position over all entries: a change of weights loses and
repeats nothing. Within a source the order is shuffled, and another one in every epoch (see `shuffle`).

Nothing depends on the number of devices or on what was read before. The work to find a step grows with the number of
entries, not with the number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nemotron_assets.training.apportion import SMALLEST_SHARE, Apportionment
from nemotron_assets.training.shuffle import Shuffled


@dataclass(frozen=True)
class Entry:
    """From optimizer step `first_step` on (the first step is 1), categories have these weights.

    Weights are relative to each other. A category that is not named, or has the weight 0, gives no sequences.
    """

    name: str
    first_step: int
    weights: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"weights": dict(self.weights)}


@dataclass(frozen=True)
class Rows:
    """Rows of a batch: for each one its source (an index into `Mixture.sources`), shard and row in the shard."""

    sources: np.ndarray
    shards: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Source:
    """A data set of packed sequences: its category, and the number of sequences of each of its shards. `weight` is its
    share within the category, relative to the other sources of the category; None means its number of sequences."""

    name: str
    category: str
    sizes: tuple[int, ...]
    weight: float | None = None


@dataclass(frozen=True)
class Used:
    """What a training has read of a source up to some step: sequences, and epochs (passes over the source)."""

    source: str
    category: str
    sequences: int
    epochs: float


@dataclass
class _Category:
    """The sources of one category, and how they take turns."""

    sources: list[int] = field(default_factory=list)
    turns: Apportionment | None = None


class Mixture:
    """The order of all sequences of a training with batches of `batch` sequences.

    `missing` names the categories that have a weight but no sequences; the weights of the others are then shared out
    anew, and `shares(entry)` gives the result. Raises `ValueError` for entries that are not in order, and for an entry
    without any sequences.
    """

    def __init__(
        self, seed: int, entries: Sequence[Entry], sources: Sequence[Source], batch: int, mixed: int = 1
    ) -> None:
        _check(entries)
        self.entries, self.batch, self.sources = tuple(entries), batch, tuple(sources)
        self._shuffled = [Shuffled(seed, source.name, source.sizes, mixed) for source in sources]
        self.categories = tuple(sorted({source.category for source in sources}))
        self._of = {name: _Category() for name in self.categories}
        for number, source in enumerate(sources):
            if self._shuffled[number].size and source.weight != 0:
                self._of[source.category].sources.append(number)
        for members in self._of.values():
            if members.sources:
                members.turns = self._turns(members.sources)
        filled = {name for name, members in self._of.items() if members.sources}
        self.missing = tuple(sorted({n for entry in entries for n, weight in entry.weights.items() if weight} - filled))
        self._plans = [self._plan(entry, filled) for entry in entries]
        self._before = self._positions()

    def _turns(self, members: list[int]) -> Apportionment:
        """How the sources of a category take turns. A source that is tiny beside the others is dealt a little more."""
        given = {k: self.sources[k].weight for k in members}
        weights = {k: float(self._shuffled[k].size) if weight is None else weight for k, weight in given.items()}
        least = 2 * SMALLEST_SHARE * sum(weights.values())
        return Apportionment({str(k): max(weight, least) for k, weight in weights.items()})

    def _plan(self, entry: Entry, filled: set[str]) -> Apportionment:
        weights = {name: entry.weights.get(name, 0.0) if name in filled else 0.0 for name in self.categories}
        if not any(weights.values()):
            raise ValueError(
                f"the phase {entry.name} has no sequences to train on: none of its categories "
                f"({', '.join(entry.weights) or 'it names none'}) has any"
            )
        return Apportionment(weights)

    def _positions(self) -> list[np.ndarray]:
        """The number of sequences that each category has given before each entry."""
        before = [np.zeros(len(self.categories), np.int64)]
        for plan, entry, following in zip(self._plans, self.entries, self.entries[1:], strict=False):
            before.append(before[-1] + plan.counts((following.first_step - entry.first_step) * self.batch))
        return before

    def shares(self, entry: int) -> dict[str, float]:
        """The share of each category in an entry; they add up to 1."""
        return {name: float(share) for name, share in self._plans[entry].shares.items() if share}

    def entry_at(self, step: int) -> int:
        """The number of the entry that `step` belongs to. Raises `ValueError` for a step before the first one."""
        if step < 1:
            raise ValueError(f"step {step} of a mixture: the first step is 1")
        return max(k for k, entry in enumerate(self.entries) if entry.first_step <= step)

    def rows(self, step: int, first: int = 0, last: int | None = None) -> Rows:
        """Rows `first` to `last` - 1 of the batch of `step`; the steps count from 1. The default is the whole batch."""
        last = self.batch if last is None else last
        number = self.entry_at(step)
        start = (step - self.entries[number].first_step) * self.batch
        dealt = self._plans[number].dealt(start + first, start + last)
        given = self._before[number] + self._plans[number].counts(start + first)
        found = Rows(*(np.empty(last - first, np.int64) for _ in range(3)))
        for category in np.unique(dealt).tolist():
            places = np.flatnonzero(dealt == category)
            self._fill(self._of[self.categories[category]], places, int(given[category]), found)
        return found

    def _fill(self, members: _Category, places: np.ndarray, position: int, found: Rows) -> None:
        """Fill in the rows at `places`, which are the sequences of a category from `position` on."""
        turns = members.turns.dealt(position, position + len(places))
        given = members.turns.counts(position)
        for turn in np.unique(turns).tolist():
            mine, source = places[turns == turn], members.sources[turn]
            found.sources[mine] = source
            positions = np.arange(given[turn], given[turn] + len(mine))
            found.shards[mine], found.rows[mine] = self._shuffled[source].at(positions)

    def categories_of(self, rows: Rows) -> np.ndarray:
        """The category of each row, an index into `categories`."""
        numbers = [self.categories.index(source.category) for source in self.sources]
        return np.array(numbers, np.int64)[rows.sources]

    def given(self, steps: int) -> dict[str, int]:
        """How many sequences each category has given in the first `steps` steps."""
        return dict(zip(self.categories, self._given(steps).tolist(), strict=True))

    def _given(self, steps: int) -> np.ndarray:
        if steps < 1:
            return np.zeros(len(self.categories), np.int64)
        number = self.entry_at(steps)
        places = (steps + 1 - self.entries[number].first_step) * self.batch
        return self._before[number] + self._plans[number].counts(places)

    def used(self, steps: int) -> list[Used]:
        """What the first `steps` steps read of every source, in the order of `sources`."""
        counts = [0] * len(self.sources)
        for name, given in self.given(steps).items():
            members = self._of[name]
            if members.turns:
                for source, count in zip(members.sources, members.turns.counts(given).tolist(), strict=True):
                    counts[source] = count
        sizes = [shuffled.size for shuffled in self._shuffled]
        return [
            Used(source.name, source.category, count, count / size if size else 0.0)
            for source, count, size in zip(self.sources, counts, sizes, strict=True)
        ]


def _check(entries: Sequence[Entry]) -> None:
    steps = [entry.first_step for entry in entries]
    if not steps or steps[0] != 1 or steps != sorted(set(steps)):
        raise ValueError(
            f"the entries of a mixture begin at the steps {steps}: the first is 1, each later one is higher"
        )
