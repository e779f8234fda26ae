"""What a measurement gives: the result of one answer to one item, and the score of a task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ItemResult:
    """How one answer to an item scored. The fields are columns of `evaluate.item_results`, where they are explained;
    `item` is the only parent."""

    task: str
    item: str
    metric: str
    score: float
    guessing: float
    weight: float = 1.0
    shots: int = 0
    run: int = 0
    answer: str | None = None
    unigram_bits_per_byte: float | None = None
    gzip_bits_per_byte: float | None = None

    def as_row(self) -> dict[str, Any]:
        """The result as columns of `evaluate.item_results`."""
        return {**asdict(self), "parents": [self.item]}


@dataclass(frozen=True)
class Score:
    """One metric of one task. `length` is the length of the prompts of a task that is scored at several lengths.
    `low` to `high` is the 95% interval of the value over the items, None if it cannot be estimated.

    A score in bits per byte has two figures of simple models for the same bytes: `unigram` is the entropy of single
    bytes, `gzip` the bits per byte that gzip -9 needs for all texts together.
    """

    task: str
    metric: str
    value: float
    stderr: float | None
    random_baseline: float | None
    samples: int
    shots: int
    length: int | None = None
    unigram: float | None = None
    gzip: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 1

    def as_row(self) -> dict[str, Any]:
        """The score as columns of `evaluate.benchmark_scores`."""
        row = asdict(self)
        return row | {"unigram_bits_per_byte": row.pop("unigram"), "gzip_bits_per_byte": row.pop("gzip")}
