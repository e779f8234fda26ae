"""The project's graph under its automation conditions: a new snapshot costs the same however many there are, and the
daemon brings an empty lake to scores."""

from __future__ import annotations

import dagster as dg
import pytest

from nemotron_assets.definitions import defs
from nemotron_assets.snapshots.automation import new_snapshots
from nemotron_assets.snapshots.tables import CATALOG, PAGES
from resources.crawl import Crawl
from tests.fake_lake import TOGETHER, FakeLake

#: Evaluating all conditions takes about two CPU seconds, so these tests are slow on a busy machine.
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def lake():
    """A lake that is empty before the first test; the second goes on where the first ended."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield FakeLake(defs, instance)


def test_the_daemon_brings_an_empty_lake_to_scores(lake):
    assert lake.settle() == [], "without a snapshot nothing is made, and nothing is downloaded"
    crawl = Crawl(source="sample", max_snapshots=9)
    tick = new_snapshots(dg.build_sensor_context(instance=lake.instance, resources={"crawl": crawl}))
    for snapshot in (s for request in tick.dynamic_partitions_requests for s in request.partition_keys):
        lake.add_snapshot(snapshot)
    for request in tick.run_requests:
        for key in request.asset_selection:
            lake.make(key, request.partition_key)
    made = [unit for run in lake.settle() for unit in run]
    assert len(made) == len(set(made)), "nothing is made twice"
    maintained = dg.AssetKey(["lake", "maintenance"])  # it has a schedule
    left = [unit for key in lake.keys if key != maintained for unit in lake.units(key) if not lake.is_made(*unit)]
    assert left == []


@pytest.mark.slow
def test_the_twentieth_snapshot_costs_what_the_third_costs(lake):
    """Counts the runs and events of two of the snapshots that follow the first two. The others are made as `nemotron
    run` makes them, because evaluating all conditions takes seconds."""
    events, runs = [], []
    for number in range(3, 21):
        snapshot = f"S{number:02}"
        lake.make(CATALOG.asset_key)
        lake.add_snapshot(snapshot)
        lake.make(PAGES.asset_key, snapshot)
        if number not in (3, 20):
            lake.make_all(snapshot)
            continue
        made = lake.settle()
        again = {name for run in made for name, partition in run if partition != snapshot}
        assert again == set(TOGETHER), "nothing else is made again, and no other snapshot"
        runs.append(len(made))
        events.append(sum(map(len, made)))
    assert set(events) == {events[0]} and set(runs) == {runs[0]} and runs[0] <= 7, (events, runs)
    # The catalogue, pages and models are made again with the same content.
    lake.make(CATALOG.asset_key)
    lake.make(PAGES.asset_key, "S07")
    for name in ("models/quality_scorers", "web/quality_thresholds", "models/generator"):
        lake.make(dg.AssetKey(name.split("/")))
    assert lake.settle() == []
