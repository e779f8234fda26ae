"""Lists the snapshots that the source offers (rows of `snapshots.catalog`) and makes them partitions of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.snapshots.tables import CATALOG, INGESTED
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.crawl import Crawl
    from resources.lakehouse import Lakehouse


def catalog_rows(crawl: Crawl, lake: Lakehouse) -> pa.Table:
    """Rows of `snapshots.catalog`: one per snapshot of the source, and one per data set ingested by `nemotron
    ingest`."""
    import polars as pl
    import pyarrow as pa

    wanted = {snapshot.id for snapshot in crawl.window()}
    rows = [
        {
            "id": row_id(CATALOG.full_name, s.id),
            "snapshot": s.id,
            "name": s.name,
            "from_date": s.from_date,
            "to_date": s.to_date,
            "source": crawl.source,
            "in_window": s.id in wanted,
            "warc_files": len(crawl.warc_paths(s.id)) if s.id in wanted else None,
        }
        for s in crawl.snapshots()
    ]
    file = pl.coalesce("whole_file", "file")
    files = lake.read(INGESTED).scan().group_by("snapshot").agg(file.n_unique().alias("files"))
    ingested = files.sort("snapshot").collect()
    rows += [
        {
            "id": row_id(CATALOG.full_name, name),
            "snapshot": name,
            "name": name,
            "from_date": None,
            "to_date": None,
            "source": "ingest",
            "in_window": True,
            "warc_files": files,
        }
        for name, files in ingested.iter_rows()
    ]
    return pa.Table.from_pylist(rows, CATALOG.arrow_schema())


def register(instance: dg.DagsterInstance, names: list[str]) -> list[str]:
    """Make snapshots partitions of the lake; returns the names of the partitions that are new."""
    known = set(instance.get_dynamic_partitions(snapshot_partitions.name))
    new = [name for name in names if name not in known]
    if new:
        instance.add_dynamic_partitions(snapshot_partitions.name, new)
    return new
