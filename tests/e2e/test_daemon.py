"""The real daemon on the project's graph: three snapshots come one after another, and nothing is started by hand.
tests/test_automation.py has a lake of twenty snapshots, without processes.

The bodies of the assets are fakes (fake_code.py), so that a run takes seconds. The conditions, the sensor, the queue of
runs and their processes are real.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from nemotron_assets.commands.ui import _PATIENCE
from nemotron_assets.definitions import defs
from tests.e2e import fake_code
from tests.fake_lake import TOGETHER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

PROJECT = Path(__file__).resolve().parents[2]
PAGES, RECORDS = dg.AssetKey(["snapshots", "pages"]), dg.AssetKey(["snapshots", "records"])
SCORES = dg.AssetKey(["evaluate", "benchmark_scores"])
SETTINGS = "telemetry: {enabled: false}\nconcurrency: {runs: {max_concurrent_runs: 2}}\n"


@pytest.fixture
def instance(tmp_path):
    """An instance whose daemon runs on the fake code until the test ends."""
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(PROJECT)}
    environment |= _PATIENCE
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance, (tmp_path / "daemon.log").open("wb") as log:
        make_code(instance)
        daemon = [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-m", "tests.e2e.fake_code"]
        process = subprocess.Popen(daemon, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        try:
            yield instance
        finally:
            process.terminate()
            process.wait(60)


def arrive(instance: dg.DagsterInstance, snapshot: str) -> None:
    """The pages of a snapshot, as `nemotron ingest` or the sensor of snapshots brings them in."""
    instance.add_dynamic_partitions("snapshot", [snapshot])
    tags = {"dagster/data_version": snapshot}
    for key in (PAGES, RECORDS):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=snapshot, tags=tags))


def make_code(instance: dg.DagsterInstance) -> None:
    """Note the assets of source code, and what they are made from, as made. They belong to no snapshot; each language
    would be a run."""
    graph = defs.resolve_asset_graph()
    code = {key for key in graph.toposorted_asset_keys if key.path[0] == "code"}
    for key in code.union(*(graph.get(key).parent_keys for key in code)):
        partitions = graph.get(key).partitions_def
        for partition in partitions.get_partition_keys() if partitions else [None]:
            tags = {"dagster/data_version": key.to_user_string()}
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))


def come_to_rest(instance: dg.DagsterInstance, scores: int) -> None:
    """Wait until there are so many materialisations of the scores, and the daemon has evaluated the conditions three
    times since the last run ended."""
    deadline = time.monotonic() + 1200
    while time.monotonic() < deadline:
        time.sleep(3)
        runs = instance.get_run_records()
        assert dg.DagsterRunStatus.FAILURE not in {record.dagster_run.status for record in runs}
        enough = len(instance.fetch_materializations(SCORES, limit=99).records) >= scores
        if enough and evaluations(instance, max(record.end_time or math.inf for record in runs)) >= 3:
            return
    raise AssertionError([(run.status, run.tags.get("dagster/partition")) for run in instance.get_runs()])


def evaluations(instance: dg.DagsterInstance, since: float) -> int:
    """How many complete evaluations of the conditions have begun since a moment."""
    if since == math.inf:
        return 0
    (state,) = instance.all_instigator_state()
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
    return len([tick for tick in ticks if tick.end_timestamp])


def made(instance: dg.DagsterInstance) -> Counter[tuple[str, str | None]]:
    """How often each asset and partition was made by a run."""
    found: Counter[tuple[str, str | None]] = Counter()
    for key in fake_code.GRAPH.executable_asset_keys:
        for record in instance.fetch_materializations(key, limit=999).records:
            if record.run_id:
                found[key.to_user_string(), record.partition_key] += 1
    return found


def outdated(instance: dg.DagsterInstance) -> list[tuple[str, str | None]]:
    """The assets and partitions whose newest content does not follow from the newest contents of their inputs."""
    found = []
    for spec in fake_code.specs():
        newest: dict[str | None, dg.EventLogRecord] = {}
        for record in instance.fetch_materializations(spec.key, limit=999).records:
            newest.setdefault(record.partition_key, record)
        for partition, record in newest.items():
            version = (record.asset_materialization.tags or {})["dagster/data_version"]
            if record.run_id and version != fake_code.content(instance, spec, partition):
                found.append((spec.key.to_user_string(), partition))
    return found


def test_three_snapshots_come_to_scores_without_a_hand(instance):
    counts: list[Counter[tuple[str, str | None]]] = [Counter()]
    for number in (1, 2, 3):
        arrive(instance, f"S{number}")
        come_to_rest(instance, number)
        counts.append(made(instance))
        new = counts[-1] - counts[-2]
        assert {unit for unit, times in new.items() if times > 1} == set(), "everything is made once"
        assert outdated(instance) == [], "and from the newest inputs"
        if number > 1:
            assert {name for name, partition in new if partition != f"S{number}"} == set(TOGETHER)
    first, second, third = (counts[number] - counts[number - 1] for number in (1, 2, 3))
    assert len(second) == len(third) == len([1 for _, partition in first if partition == "S1"]) + len(TOGETHER)
