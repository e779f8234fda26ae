"""Tells Dagster about partitions that were rewritten because another snapshot arrived."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import get_input_data_version_tag, get_input_event_pointer_tag

from nemotron_assets.table import Table
from nemotron_assets.web.dedup.arrivals import Rewritten


def of_run(table: Table, context: dg.AssetExecutionContext) -> dict[str, Any]:
    """What a step that also writes partitions of other snapshots of a table needs to know of its run."""
    return {
        "run_id": context.run_id,
        "code_version": context.assets_def.get_asset_spec(table.asset_key).code_version or "",
        "announce": lambda rewritten: announce(table, rewritten, context),
    }


def announce(table: Table, rewritten: list[Rewritten], context: dg.AssetExecutionContext) -> None:
    """Tell Dagster about rewritten partitions, so that what was made from them, and only that, becomes stale."""

    def latest(key: dg.AssetKey, snapshot: str) -> dg.EventLogRecord | None:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[snapshot])
        return next(iter(context.instance.fetch_materializations(wanted, limit=1).records), None)

    for change in rewritten:
        # The code is that of the run that made the partition first; its inputs are now those that are in the lake.
        known = latest(table.asset_key, change.snapshot)
        tags = dict(known.asset_materialization.tags or {}) if known else {}
        for key in context.assets_def.asset_deps[table.asset_key]:
            if record := latest(key, change.snapshot):
                made = (record.asset_materialization.tags or {}).get("dagster/data_version")
                tags[get_input_event_pointer_tag(key)] = str(record.storage_id)
                tags |= {get_input_data_version_tag(key): made} if made else {}
        context.log_event(
            dg.AssetMaterialization(
                table.asset_key,
                description=f"Rewritten because {context.partition_key} arrived or changed.",
                partition=change.snapshot,
                metadata={
                    "dagster/partition_row_count": change.result.rows,
                    "delta_version": change.result.version,
                    "rewritten_for": context.partition_key,
                },
                tags={**tags, "dagster/data_version": change.result.data_version},
            )
        )
