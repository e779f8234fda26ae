"""The sensor and the schedule: they request each new snapshot of the window once, and no other snapshot."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from nemotron_assets.snapshots.assets import pages
from nemotron_assets.snapshots.automation import new_snapshots, regular_ingestion
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.snapshots.tables import PAGES
from resources.crawl import Crawl

BOTH = ["CC-MAIN-2024-51", "CC-MAIN-2025-08"]


def crawl(**options) -> Crawl:
    return Crawl(source="sample", **{"max_snapshots": 9, **options})


def tick(instance, source, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"crawl": source})
    return new_snapshots(context)


def test_sensor_requests_new_snapshots_once():
    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(instance, crawl())
        assert [r.partition_key for r in result.run_requests] == [None, *BOTH]
        assert [r.run_key for r in result.run_requests[1:]] == [f"pages:{s}" for s in BOTH]
        assert result.dynamic_partitions_requests[0].partition_keys == BOTH
        instance.add_dynamic_partitions(snapshot_partitions.name, BOTH)
        for snapshot in BOTH:
            instance.report_runless_asset_event(dg.AssetMaterialization(PAGES.asset_key, partition=snapshot))
        assert "nothing new" in tick(instance, crawl(), result.cursor).skip_message


def test_pages_that_a_waiting_run_will_fetch_are_not_requested_again():
    with dg.DagsterInstance.ephemeral() as instance:
        same_key = dg.asset(key=PAGES.asset_key, partitions_def=snapshot_partitions)(lambda: None)
        job = dg.Definitions(assets=[same_key]).resolve_implicit_global_asset_job_def()
        instance.create_run_for_job(job, tags={"dagster/partition": BOTH[0]})
        assert [r.partition_key for r in tick(instance, crawl()).run_requests] == [None, BOTH[1]]


def test_sensor_keeps_to_the_window():
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(instance, crawl(max_snapshots=1)).dynamic_partitions_requests[0].partition_keys == BOTH[1:]
        assert tick(instance, crawl(last="CC-MAIN-2024-99")).dynamic_partitions_requests[0].partition_keys == BOTH[:1]
        assert tick(instance, crawl(first="CC-MAIN-2030-01")).dynamic_partitions_requests == []


def test_an_unreachable_source_is_not_an_error(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        assert "cannot be read now" in tick(instance, Crawl(source=str(tmp_path))).skip_message


def test_schedule(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2025, 1, 6, 3, tzinfo=UTC),
            resources={"crawl": crawl()},
        )
        requests = regular_ingestion(context)
        assert [r.partition_key for r in requests] == [None, *BOTH]
        assert instance.get_dynamic_partitions(snapshot_partitions.name) == BOTH


def test_defaults():
    assert new_snapshots.default_status == dg.DefaultSensorStatus.RUNNING  # the laptop recipe reads a local folder
    assert regular_ingestion.default_status == dg.DefaultScheduleStatus.STOPPED
    assert next(iter(pages.specs)).automation_condition is None  # only a sensor, schedule or person starts it
