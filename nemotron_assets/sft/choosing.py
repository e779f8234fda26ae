"""Chooses what a table is made from: the rows with the lowest hashes, the same ones in every run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

_BATCH = 1_024
_SORTED = 65_536  # with at most so many rows, the rows come in their order


@dataclass(frozen=True)
class Lowest:
    """The rows of a frame with the lowest values in the columns `order`: `most` of them, or all. It can be read again
    and again, and never holds the rows of a large table: only the ids of the chosen ones."""

    frame: pl.LazyFrame
    most: int | None = None
    order: Sequence[str] = ("content_hash", "id")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.most == 0:
            return
        rows, order = self.frame, list(self.order)
        if self.most is not None:
            ids = (
                rows.select(*dict.fromkeys([*order, "id"]))
                .bottom_k(self.most, by=order)
                .collect(engine="streaming")["id"]
            )
            rows = rows.filter(pl.col("id").is_in(ids.implode()))
            rows = rows.sort(order) if self.most <= _SORTED else rows
        for batch in rows.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
            yield from batch.iter_rows(named=True)


def seeds(rows: pl.LazyFrame, sets: Iterable[str], most: int | None = None) -> list[dict[str, Any]]:
    """The rows of `sft.seeds` of these sets: at most `most`, those with the lowest content hashes, in their order."""
    found = Lowest(rows.filter(pl.col("seed_set").is_in(list(sets))), most)
    return sorted(found, key=lambda seed: (seed["content_hash"], seed["id"]))
