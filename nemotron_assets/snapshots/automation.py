"""Looks for new snapshots: a sensor that notices them, and a schedule for ingestion at fixed times.

Both request the same two things: the catalogue, and the pages of every snapshot in the recipe's window that has no
pages yet. The recipe sets the window and its limits, so that no more than the window is ever downloaded. For a source
on the network the sensor starts stopped: a person must switch it on.
"""

from __future__ import annotations

import hashlib
import json

import dagster as dg

from nemotron_assets.dagster_private import PARTITION_TAG, unfinished_statuses
from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.catalog import register
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.snapshots.tables import CATALOG, PAGES
from resources.crawl import Crawl, CrawlError

_CRAWL = current_recipe().snapshots.crawl

ingest_snapshots = dg.define_asset_job(
    "ingest_snapshots",
    dg.AssetSelection.assets(CATALOG.asset_key, PAGES.asset_key),
    description="Read the list of snapshots that the crawl's source offers, and fetch the pages of snapshots.",
)
fetch_pages = dg.define_asset_job(
    "fetch_pages", dg.AssetSelection.assets(PAGES.asset_key), description="Fetch and parse the pages of snapshots."
)


def _missing(instance: dg.DagsterInstance, offered: list[str]) -> list[str]:
    """The offered snapshots that have no pages and whose pages no run is fetching now."""
    present = instance.get_materialized_partitions(PAGES.asset_key)
    return [snapshot for snapshot in offered if snapshot not in present and not _is_running(instance, snapshot)]


def _is_running(instance: dg.DagsterInstance, snapshot: str) -> bool:
    filters = dg.RunsFilter(tags={PARTITION_TAG: snapshot}, statuses=unfinished_statuses())
    return instance.get_runs_count(filters) > 0


def _requests(new: list[str], state: str) -> list[dg.RunRequest]:
    """The runs to request: the catalogue, and the pages of every new snapshot."""
    runs = [dg.RunRequest(run_key=f"catalog:{state}", asset_selection=[CATALOG.asset_key])]
    runs += [
        dg.RunRequest(run_key=f"pages:{snapshot}", partition_key=snapshot, asset_selection=[PAGES.asset_key])
        for snapshot in new
    ]
    return runs


@dg.sensor(
    job=ingest_snapshots,
    description="Looks for snapshots in the recipe's window that the lake lacks, and requests their pages. Starts "
    "switched off for a source on the network.",
    minimum_interval_seconds=60 if "://" not in _CRAWL.source else 3600,
    default_status=(dg.DefaultSensorStatus.RUNNING if "://" not in _CRAWL.source else dg.DefaultSensorStatus.STOPPED),
)
def new_snapshots(
    context: dg.SensorEvaluationContext, crawl: dg.ResourceParam[Crawl]
) -> dg.SensorResult | dg.SkipReason:
    """The snapshots in the recipe's window that the lake lacks. Tells the daemon why it requests nothing."""
    try:
        offered = [snapshot.id for snapshot in crawl.window()]
    except CrawlError as error:
        return dg.SkipReason(f"the crawl's source cannot be read now: {error}")
    state = hashlib.sha256(json.dumps(offered).encode()).hexdigest()[:16]
    new = _missing(context.instance, offered)
    if not new and context.cursor == state:
        return dg.SkipReason(f"nothing new among the {len(offered)} snapshots in the recipe's window")
    return dg.SensorResult(
        run_requests=_requests(new, state),
        dynamic_partitions_requests=[snapshot_partitions.build_add_request(new)] if new else [],
        cursor=state,
    )


@dg.schedule(
    job=ingest_snapshots,
    cron_schedule=_CRAWL.schedule,
    execution_timezone="UTC",
    description="Reads the list of snapshots and requests the pages of new ones, at the times that the recipe sets. "
    "Starts switched off: it is for those who want fixed times instead of the sensor new_snapshots.",
)
def regular_ingestion(
    context: dg.ScheduleEvaluationContext, crawl: dg.ResourceParam[Crawl]
) -> list[dg.RunRequest] | dg.SkipReason:
    """The catalogue and the snapshots that the lake lacks, at a time of the schedule."""
    try:
        offered = [snapshot.id for snapshot in crawl.window()]
    except CrawlError as error:
        return dg.SkipReason(f"the crawl's source cannot be read now: {error}")
    new = _missing(context.instance, offered)
    register(context.instance, new)
    return _requests(new, context.scheduled_execution_time.isoformat())


JOBS = [fetch_pages, ingest_snapshots]
SENSORS = [new_snapshots]
SCHEDULES = [regular_ingestion]
