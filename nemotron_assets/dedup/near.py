"""The verified near-duplicates of a snapshot as parts of `web.near_duplicates`, or of a table like it.

A snapshot has one part per snapshot that it is compared with: itself and every earlier one. A part depends only on the
signatures of its two snapshots. So a new snapshot adds its own parts, a snapshot that arrives late adds the missing
part to each later partition, and no two snapshots are ever joined twice. Snapshots whose signatures were made with
another recipe cannot be compared; they are left out until their signatures are made again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nemotron_assets.dedup.arrivals import CascadingParts
from nemotron_assets.dedup.candidates import Map, candidates, here
from nemotron_assets.dedup.corpus import CorpusTables
from nemotron_assets.dedup.shingle_store import ShingleStore
from nemotron_assets.dedup.signatures import scheme
from nemotron_assets.dedup.sorted_bands import SortedBands, sorted_bands
from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.table.ids import row_ids
from nemotron_assets.table.parts import Part
from nemotron_assets.table.schema import Table
from resources.contract import hash63

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

_PAIRS_AT_ONCE = 1 << 18


class SnapshotPairs:
    """One snapshot's near-duplicates within itself and in earlier snapshots."""

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Dedup, tables: CorpusTables, over: Map = here) -> None:
        """`over` maps a function over the ranges of hashes that are joined."""
        self.lake, self.snapshot, self.recipe, self.tables, self.over = lake, snapshot, recipe, tables, over
        self.left_out: list[str] = []

    def parts(self) -> Iterator[Part]:
        """A part per snapshot that can be compared, from the earliest to this one. Snapshots that cannot be compared
        are added to `left_out`."""
        signatures = self.lake.read(self.tables.signatures)
        if self.snapshot not in signatures.snapshots():
            return
        own = signatures.within(self.snapshot)
        content = own.content()
        for snapshot in signatures.snapshots():
            if snapshot > self.snapshot:
                break
            other = signatures.within(snapshot)
            if schemes(other) != [scheme(self.recipe.signatures)]:
                self.left_out.append(snapshot)
                continue
            yield Part(snapshot, f"{content}:{other.content()}", functools.partial(self._pairs, own, other))

    def _pairs(self, own: Reader, other: Reader) -> Iterator[pl.DataFrame]:
        """The rows of the part for the snapshot whose signatures are `other`.

        Memory: see `candidates`, and about 100 bytes per text with a candidate.
        """
        sides = {side.partition: sorted_bands(side, self.recipe.memory_mb) for side in (own, other)}
        first, second = sides[own.partition], sides[other.partition]
        within = own.partition == other.partition
        pairs = candidates(first, None if within else second, self.recipe.max_bucket, self.recipe.memory_mb, self.over)
        store = ShingleStore(self.recipe.signatures)
        if within:
            both = _Texts(first, *pairs)
            texts = both, both
        else:
            texts = _Texts(first, pairs[0]), _Texts(second, pairs[1])
        for snapshot, some in zip(sides, texts, strict=False):
            store.add(self.lake.read(self.tables.documents, snapshot), some.documents["document"])
        places = [store.places(some.documents["document"]) for some in texts]
        for begin in range(0, len(pairs[0]), _PAIRS_AT_ONCE):
            rows = [some.rows(side[begin : begin + _PAIRS_AT_ONCE]) for some, side in zip(texts, pairs, strict=True)]
            left, right = (place[row] for place, row in zip(places, rows, strict=True))
            kept = np.flatnonzero((left >= 0) & (right >= 0))
            similarity, contained = store.measure(left[kept], right[kept])
            if self.recipe.verify:
                near = similarity >= self.recipe.min_similarity
                kept, similarity, contained = kept[near], similarity[near], contained[near]
            documents, others = (some.documents[row[kept]] for some, row in zip(texts, rows, strict=True))
            frame = documents.with_columns(
                other=others["document"],
                other_content_hash=others["content_hash"],
                similarity=pl.Series(similarity, dtype=pl.Float64),
                containment=pl.Series(contained, dtype=pl.Float64),
            )
            yield _rows(frame, self.snapshot, other.partition, self.tables.near_duplicates)


class _Texts:
    """The texts of a snapshot that are in pairs: frame of document and content_hash, and where each number stands."""

    def __init__(self, of: SortedBands, *numbers: np.ndarray) -> None:
        wanted = np.zeros(of.texts, np.bool_)
        for some in numbers:
            wanted[some] = True
        self._numbers = np.flatnonzero(wanted)
        self.documents = of.documents(self._numbers)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """The rows of the texts with these numbers in `documents`."""
        return np.searchsorted(self._numbers, numbers)


def schemes(signatures: Reader) -> list[str]:
    """How the texts of a partition were signed. There are several schemes only if the recipe changed and the run that
    signs the texts again was stopped half-way."""
    return signatures.scan().select("scheme").unique().collect()["scheme"].to_list()


class CascadingPairs(CascadingParts):
    """The parts of the asset's snapshot, followed by the parts that later snapshots have with it."""

    def __init__(
        self,
        lake: Lakehouse,
        snapshot: str,
        recipe: Dedup,
        tables: CorpusTables,
        over: Map = here,
        **run: Any,
    ) -> None:
        super().__init__(lake, snapshot, **run)
        self.recipe, self.tables, self.over, self.table = recipe, tables, over, tables.near_duplicates
        self.left_out: list[str] = []

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        pairs = SnapshotPairs(self.lake, snapshot, self.recipe, self.tables, self.over)
        yield from pairs.parts()
        if snapshot == self.snapshot:
            self.left_out = pairs.left_out

    def later(self) -> list[str]:
        """The later snapshots whose own pairs were made from their present signatures. Dagster will make the pairs of
        the others again, because their signatures changed."""
        delta, signatures = self.lake.open(self.table), self.lake.read(self.tables.signatures)

        def is_current(other: str) -> bool:
            content = signatures.within(other).content()
            made = hash63(f"{content}:{content}", self.code_version)
            return self.lake.marker(delta, "made", other, other) == made

        return [other for other in signatures.snapshots() if other > self.snapshot and is_current(other)]

    def metadata(self) -> dict[str, str]:
        left_out = ", ".join(self.left_out) or "none"
        return {**super().metadata(), "left_out_for_other_signatures": left_out}


def _rows(pairs: pl.DataFrame, snapshot: str, other: str, to: Table) -> pl.DataFrame:
    return pairs.with_columns(
        id=row_ids(to.full_name, pl.col("document"), pl.col("other")),
        parents=pl.concat_list("document", "other"),
        snapshot=pl.lit(snapshot),
        other_snapshot=pl.lit(other),
    ).select(to.column_names)
