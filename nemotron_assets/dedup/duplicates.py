"""Keeps `web.duplicates`, or a table like it, correct over all snapshots, in whatever order they arrive.

The duplicates of a snapshot depend on the documents and pairs of that snapshot and of earlier ones; with the linkage
`components` also on later ones. When a snapshot arrives or changes, the partitions of other snapshots that it may
affect are computed again, and those whose rows change are rewritten.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.dedup.arrivals import Announce, Updated, nobody, participating_snapshots
from nemotron_assets.dedup.corpus import CorpusTables
from nemotron_assets.dedup.linkage import PAIR_COLUMNS, dropped_documents
from nemotron_assets.dedup.shingle_store import ShingleStore
from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.table.ids import row_ids
from nemotron_assets.table.schema import Table
from nemotron_assets.table.spill import SpillFile
from resources.contract import ContentHash, checked

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse


def duplicates_of(
    snapshot: str, lake: Lakehouse, recipe: Dedup, tables: CorpusTables, arriving: str | None = None
) -> Iterator[pl.DataFrame]:
    """The rows of one partition of `web.duplicates`, from the documents and pairs that the lake holds now.

    `arriving` is the snapshot that is being made, if it is not `snapshot`: it takes part already, although its own
    partition is not finished.
    """
    if not recipe.enabled:
        return
    here = participating_snapshots(lake, tables.duplicates, arriving or snapshot, tables.documents)
    here = [other for other in here if other <= snapshot or recipe.linkage == "components"]
    if snapshot not in here:  # it has no documents
        return
    own = lake.read(tables.documents, snapshot)
    others = lake.read(tables.documents, [other for other in here if other != snapshot])
    pairs = lake.read(tables.near_duplicates, here).batches(PAIR_COLUMNS, batch_size=65_536, keep_memory=True)
    frames = dropped_documents(
        functools.partial(own.batches, batch_size=65_536, keep_memory=True),
        functools.partial(others.batches, batch_size=65_536, keep_memory=True),
        (_among(batch, here) for batch in pairs),
        texts=own.rows,
        linkage=recipe.linkage,
        memory_mb=recipe.memory_mb,
        measure=lambda missing: _measure(missing, lake, recipe, tables),
    )
    for frame in frames:
        yield _rows(frame, snapshot, tables.duplicates)


def rewrite_others(
    snapshot: str,
    lake: Lakehouse,
    recipe: Dedup,
    tables: CorpusTables,
    *,
    run_id: str = "",
    code_version: str = "",
    announce: Announce = nobody,
) -> list[Updated]:
    """Bring the partitions of other snapshots up to date with `snapshot`, which arrived or changed.

    Returns the partitions that were looked at; `announce` is called with them. A partition whose rows are the same is
    not written.
    """
    updated, table = [], tables.duplicates
    for other in participating_snapshots(lake, table, snapshot, tables.documents):
        if other == snapshot or (other < snapshot and recipe.linkage == "direct"):
            continue
        content, rows = ContentHash(table), SpillFile()
        rows.add(table.empty())
        made = checked(table, duplicates_of(other, lake, recipe, tables, arriving=snapshot), other)
        for batch in content.counting(made):
            rows.add(pl.from_arrow(batch))
        if content.value == lake.marker(lake.open(table), "data", other, ""):
            updated.append(Updated(other, lake.stored(table, other, {"": content.value}), rows_changed=False))
            continue
        result = lake.write(table, rows.batches(), other, run_id=run_id, code_version=code_version)
        updated.append(Updated(other, result, rows_changed=True))
    announce(updated)
    return updated


def _among(pairs: pa.RecordBatch, snapshots: list[str]) -> pa.RecordBatch:
    """The pairs whose second document is in one of the snapshots."""
    return pairs.filter(pc.is_in(pairs.column("other_snapshot"), pa.array(snapshots, pa.large_string())))


def _measure(pairs: pl.DataFrame, lake: Lakehouse, recipe: Dedup, tables: CorpusTables) -> pl.DataFrame:
    """Pairs of documents with their similarity; the texts are looked up snapshot by snapshot."""
    store = ShingleStore(recipe.signatures)
    both = pl.concat(
        [pairs.select("document", "snapshot"), pairs.select(document="other", snapshot="other_snapshot")]
    ).unique()
    for (snapshot,), documents in both.group_by("snapshot"):
        store.add(lake.read(tables.documents, snapshot), documents["document"])
    return store.similarities(pairs, "document", "other")


def _rows(found: pl.DataFrame, snapshot: str, to: Table) -> pl.DataFrame:
    return found.with_columns(
        id=row_ids(to.full_name, pl.col("id")),
        parents=pl.concat_list("id"),
        document="id",
        snapshot=pl.lit(snapshot),
    ).select(to.column_names)
