"""The verified near-duplicates of a snapshot as parts of `web.near_duplicates`, one per snapshot it is joined with.

A part depends on the signatures of its two snapshots alone. So a snapshot that is new adds its own parts; one that
arrives late adds to the partitions of later snapshots the part they lack; and nothing is ever joined twice. Snapshots
whose signatures were made by another recipe cannot be compared and are left out until they are made again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import polars as pl

from nemotron_assets.dedup import candidates
from nemotron_assets.dedup.arrivals import Arriving
from nemotron_assets.dedup.family import Family
from nemotron_assets.dedup.signatures import scheme
from nemotron_assets.dedup.texts import Sets
from nemotron_assets.dedup.workspace import workspace
from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.table.schema import Table
from resources.contract import hash63
from resources.lakehouse import Lakehouse, Reader

_PAIRS_AT_ONCE = 1 << 18


class SnapshotPairs:
    """One snapshot's near-duplicates in itself and in earlier snapshots."""

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Dedup, tables: Family) -> None:
        self.lake, self.snapshot, self.recipe, self.tables = lake, snapshot, recipe, tables
        self.left_out: list[str] = []

    def parts(self) -> Iterator[Part]:
        """A part per snapshot that can be compared, this one included; earlier ones first."""
        signatures = self.lake.read(self.tables.signatures)
        if self.snapshot not in signatures.snapshots():
            return
        mine = signatures.within(self.snapshot)
        content = mine.content()
        index = _LazyIndex(mine, self.recipe)
        try:
            for other in signatures.snapshots():
                if other > self.snapshot:
                    break
                theirs = signatures.within(other)
                if schemes(theirs) != [scheme(self.recipe.signatures)]:
                    self.left_out.append(other)
                    continue
                yield Part(other, f"{content}:{theirs.content()}", functools.partial(self._pairs, index, theirs))
        finally:
            index.close()

    def _pairs(self, index: _LazyIndex, theirs: Reader) -> Iterator[pl.DataFrame]:
        """The rows of one part."""
        connection, bands = index.open()
        within = theirs.partition == self.snapshot
        if within:
            bands.within()
        else:
            bands.between(candidates.frames(theirs.scan()))
        sets = Sets(self.recipe.signatures)
        sides = (
            {self.snapshot: ["document", "other"]}
            if within
            else {self.snapshot: ["document"], theirs.partition: ["other"]}
        )
        for snapshot, columns in sides.items():
            query = " union ".join(f"select {column} as id from candidates" for column in columns)
            ids = pl.from_arrow(connection.execute(query).to_arrow_table())["id"]
            sets.add(self.lake.read(self.tables.documents, snapshot), ids)
        found = (
            pl.from_arrow(batch) for batch in connection.execute("from candidates").to_arrow_reader(_PAIRS_AT_ONCE)
        )
        for frame in sets.similarities(found, "document", "other"):
            if self.recipe.verify:
                frame = frame.filter(pl.col("similarity") >= self.recipe.min_similarity)
            yield _rows(frame, self.snapshot, theirs.partition, self.tables.near_duplicates)


def schemes(signatures: Reader) -> list[str]:
    """How the texts of a partition were signed; more than one after a run that a changed recipe cut short."""
    return signatures.scan().select("scheme").unique().collect()["scheme"].to_list()


class _LazyIndex:
    """The index over a snapshot's bands, made when the first part needs it and shared by all of them."""

    def __init__(self, signatures: Reader, recipe: Dedup) -> None:
        self._signatures, self._recipe = signatures, recipe
        self._workspace = self._opened = None

    def open(self):
        if self._opened is None:
            self._workspace = workspace(self._recipe.memory_mb)
            connection = self._workspace.__enter__()
            index = candidates.BandIndex(
                connection,
                candidates.frames(self._signatures.scan()),
                self._signatures.rows * self._recipe.signatures.bands,
                self._recipe.max_bucket,
                bitmap_mb=self._recipe.memory_mb,
            )
            self._opened = connection, index
        return self._opened

    def close(self) -> None:
        if self._workspace is not None:
            self._workspace.__exit__(None, None, None)


class ArrivingPairs(Arriving):
    """The asset's parts: those of its snapshot, and then the parts that later snapshots have with it."""

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Dedup, tables: Family, **run: Any) -> None:
        super().__init__(lake, snapshot, **run)
        self.recipe, self.tables, self.table = recipe, tables, tables.near_duplicates
        self.left_out: list[str] = []

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        pairs = SnapshotPairs(self.lake, snapshot, self.recipe, self.tables)
        yield from pairs.parts()
        if snapshot == self.snapshot:
            self.left_out = pairs.left_out

    def later(self) -> list[str]:
        """Those whose own pairs were made of the signatures they have now; others will be made in their turn."""
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
    ids = [row_id(to.full_name, *pair) for pair in pairs.select("document", "other").iter_rows()]
    return pairs.with_columns(
        id=pl.Series(ids, dtype=pl.String),
        parents=pl.concat_list("document", "other"),
        snapshot=pl.lit(snapshot),
        other_snapshot=pl.lit(other),
    ).select(to.column_names)
