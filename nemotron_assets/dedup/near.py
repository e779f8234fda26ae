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

import polars as pl

from nemotron_assets.dedup import candidates
from nemotron_assets.dedup.arrivals import CascadingParts
from nemotron_assets.dedup.corpus import CorpusTables
from nemotron_assets.dedup.shingle_store import ShingleStore
from nemotron_assets.dedup.signatures import scheme
from nemotron_assets.dedup.workspace import workspace
from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.table.schema import Table
from resources.contract import hash63

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

_PAIRS_AT_ONCE = 1 << 18


class SnapshotPairs:
    """One snapshot's near-duplicates within itself and in earlier snapshots."""

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Dedup, tables: CorpusTables) -> None:
        self.lake, self.snapshot, self.recipe, self.tables = lake, snapshot, recipe, tables
        self.left_out: list[str] = []

    def parts(self) -> Iterator[Part]:
        """A part per snapshot that can be compared, from the earliest to this one. Snapshots that cannot be compared
        are added to `left_out`."""
        signatures = self.lake.read(self.tables.signatures)
        if self.snapshot not in signatures.snapshots():
            return
        own = signatures.within(self.snapshot)
        content = own.content()
        index = _LazyIndex(own, self.recipe)
        try:
            for snapshot in signatures.snapshots():
                if snapshot > self.snapshot:
                    break
                other = signatures.within(snapshot)
                if schemes(other) != [scheme(self.recipe.signatures)]:
                    self.left_out.append(snapshot)
                    continue
                yield Part(snapshot, f"{content}:{other.content()}", functools.partial(self._pairs, index, other))
        finally:
            index.close()

    def _pairs(self, index: _LazyIndex, other: Reader) -> Iterator[pl.DataFrame]:
        """The rows of the part for the snapshot whose signatures are `other`."""
        connection, bands = index.open()
        same_snapshot = other.partition == self.snapshot
        if same_snapshot:
            bands.join_itself()
        else:
            bands.join_with(candidates.frames(other.scan()))
        store = ShingleStore(self.recipe.signatures)
        id_columns = (
            {self.snapshot: ["document", "other"]}
            if same_snapshot
            else {self.snapshot: ["document"], other.partition: ["other"]}
        )
        for snapshot, columns in id_columns.items():
            query = " union ".join(f"select {column} as id from candidates" for column in columns)
            ids = pl.from_arrow(connection.execute(query).to_arrow_table())["id"]
            store.add(self.lake.read(self.tables.documents, snapshot), ids)
        found = (
            pl.from_arrow(batch) for batch in connection.execute("from candidates").to_arrow_reader(_PAIRS_AT_ONCE)
        )
        for frame in store.similarities(found, "document", "other"):
            if self.recipe.verify:
                frame = frame.filter(pl.col("similarity") >= self.recipe.min_similarity)
            yield _rows(frame, self.snapshot, other.partition, self.tables.near_duplicates)


def schemes(signatures: Reader) -> list[str]:
    """How the texts of a partition were signed. There are several schemes only if the recipe changed and the run that
    signs the texts again was stopped half-way."""
    return signatures.scan().select("scheme").unique().collect()["scheme"].to_list()


class _LazyIndex:
    """The index of a snapshot's bands. It is built when the first part needs it, and all parts share it."""

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
                filter_mb=self._recipe.memory_mb,
            )
            self._opened = connection, index
        return self._opened

    def close(self) -> None:
        if self._workspace is not None:
            self._workspace.__exit__(None, None, None)


class CascadingPairs(CascadingParts):
    """The parts of the asset's snapshot, followed by the parts that later snapshots have with it."""

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Dedup, tables: CorpusTables, **run: Any) -> None:
        super().__init__(lake, snapshot, **run)
        self.recipe, self.tables, self.table = recipe, tables, tables.near_duplicates
        self.left_out: list[str] = []

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        pairs = SnapshotPairs(self.lake, snapshot, self.recipe, self.tables)
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
    ids = [row_id(to.full_name, *pair) for pair in pairs.select("document", "other").iter_rows()]
    return pairs.with_columns(
        id=pl.Series(ids, dtype=pl.String),
        parents=pl.concat_list("document", "other"),
        snapshot=pl.lit(snapshot),
        other_snapshot=pl.lit(other),
    ).select(to.column_names)
