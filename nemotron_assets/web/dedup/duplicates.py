"""Keeps `web.duplicates` right over all snapshots, in whatever order they arrive.

A snapshot's duplicates depend on the documents of that and of earlier snapshots. When an earlier snapshot arrives late
or changes, the partitions of later ones are looked at again, and those whose rows change are rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import polars as pl

from nemotron_assets.recipe import Dedup
from nemotron_assets.table import row_id
from nemotron_assets.web.dedup import exact
from nemotron_assets.web.dedup.tables import DUPLICATES
from nemotron_assets.web.tables import DOCUMENTS
from resources.contract import ContentHash, checked
from resources.lakehouse import Lakehouse, Reader, WriteResult


@dataclass(frozen=True)
class Rewritten:
    """A partition that another snapshot's arrival changed."""

    snapshot: str
    result: WriteResult


def snapshots_of(reader: Reader) -> list[str]:
    """The partitions a table has rows in, in the order in which texts are kept."""
    return sorted(reader.scan().select("snapshot").unique().collect(engine="streaming")["snapshot"])


def duplicates_of(snapshot: str, lake: Lakehouse, recipe: Dedup) -> Iterator[pl.DataFrame]:
    """The rows of one partition of `web.duplicates`, from the documents that are in the lake now."""
    documents = lake.read(DOCUMENTS)
    earlier = [other for other in snapshots_of(documents) if other < snapshot]
    mine = Reader(lake, DOCUMENTS, [snapshot]).batches(exact.COLUMNS, batch_size=65_536)
    other = Reader(lake, DOCUMENTS, earlier).batches(exact.COLUMNS, batch_size=65_536) if earlier else iter(())
    for frame in exact.find_duplicates(mine, other, recipe.memory_mb):
        yield _rows(frame, snapshot)


def rewrite_later(snapshot: str, lake: Lakehouse, recipe: Dedup, *, run_id: str, code_version: str) -> list[Rewritten]:
    """Bring the partitions of later snapshots up to date with the documents that are in the lake now; those changed."""
    rewritten = []
    for later in snapshots_of(lake.read(DOCUMENTS)):
        known = lake.marker(lake.open(DUPLICATES), "data", later, "")
        if later <= snapshot or known is None:  # one that was never made is made when its turn comes
            continue
        # Looked at first and written only if different: an unchanged partition must not get a new version.
        content = ContentHash(DUPLICATES)
        for _ in content.counting(checked(DUPLICATES, duplicates_of(later, lake, recipe), later)):
            pass
        if content.value == known:
            continue
        result = lake.write(
            DUPLICATES, duplicates_of(later, lake, recipe), later, run_id=run_id, code_version=code_version
        )
        rewritten.append(Rewritten(later, result))
    return rewritten


def announce(rewritten: list[Rewritten], context: dg.AssetExecutionContext) -> None:
    """Tell Dagster about rewritten partitions, so that what was made from them, and only that, becomes stale."""
    key = DUPLICATES.asset_key
    for change in rewritten:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[change.snapshot])
        records = context.instance.fetch_materializations(wanted, limit=1).records
        # The code and the inputs are those of the run that made the partition first; only the rows are new.
        before = records[0].asset_materialization.tags if records else {}
        context.log_event(
            dg.AssetMaterialization(
                key,
                description=f"Rewritten because {context.partition_key} arrived or changed.",
                partition=change.snapshot,
                metadata={
                    "dagster/partition_row_count": change.result.rows,
                    "delta_version": change.result.version,
                    "rewritten_for": context.partition_key,
                },
                tags={**before, "dagster/data_version": change.result.data_version},
            )
        )


def _rows(found: pl.DataFrame, snapshot: str) -> pl.DataFrame:
    return found.with_columns(
        id=pl.Series([row_id(DUPLICATES.full_name, document) for document in found["id"]], dtype=pl.String),
        parents=pl.concat_list("id"),
        snapshot=pl.lit(snapshot),
        kind=pl.lit("exact"),
        similarity=pl.lit(1.0),
    ).select(DUPLICATES.column_names)
