"""The real daemon on the project's graph: three snapshots come one after another, and nothing is started by hand.

The bodies of the assets are fakes (fake_code.py), so that a run takes seconds. The conditions, the sensor, the queue of
runs and their processes are real.
"""

from __future__ import annotations

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
from tests.fake_lake import TOGETHER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

PROJECT = Path(__file__).resolve().parents[2]
PAGES, SCORES = dg.AssetKey(["snapshots", "pages"]), dg.AssetKey(["evaluate", "benchmark_scores"])
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
    instance.report_runless_asset_event(dg.AssetMaterialization(PAGES, partition=snapshot, tags=tags))


def make_code(instance: dg.DagsterInstance) -> None:
    """Note the assets of source code as made. They belong to no snapshot; each language would be a run."""
    graph = defs.resolve_asset_graph()
    for key in graph.toposorted_asset_keys:
        if key.path[0] == "code":
            partitions = graph.get(key).partitions_def
            for partition in partitions.get_partition_keys() if partitions else [None]:
                tags = {"dagster/data_version": "code"}
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))


def come_to_rest(instance: dg.DagsterInstance, scores: int) -> None:
    """Wait until there are so many materialisations of the scores, and the daemon then asks for nothing more."""
    deadline, quiet = time.monotonic() + 1200, 0
    while quiet < 4:
        assert time.monotonic() < deadline, [
            (run.status, run.tags.get("dagster/partition")) for run in instance.get_runs()
        ]
        time.sleep(3)
        statuses = Counter(run.status for run in instance.get_runs())
        assert not statuses[dg.DagsterRunStatus.FAILURE]
        enough = len(instance.fetch_materializations(SCORES, limit=99).records) >= scores
        still = set(statuses) <= {dg.DagsterRunStatus.SUCCESS}
        quiet = quiet + 1 if enough and still else 0


def made(instance: dg.DagsterInstance) -> Counter[tuple[str, str | None]]:
    """How often each asset and partition was made by a run."""
    found: Counter[tuple[str, str | None]] = Counter()
    for key in instance.all_asset_keys():
        for record in instance.fetch_materializations(key, limit=999).records:
            if record.run_id:
                found[key.to_user_string(), record.partition_key] += 1
    return found


def seldom_twice(made: Counter[tuple[str, str | None]]) -> bool:
    """Whether few assets were made more than once. A run that begins just before one of its inputs changes lacks the
    newest content, so its asset is made again."""
    return made.total() <= 1.5 * len(made)


def test_three_snapshots_come_to_scores_without_a_hand(instance):
    arrive(instance, "S1")
    come_to_rest(instance, 1)
    first = made(instance)
    assert seldom_twice(first), f"from a lake with source code alone to scores: {first.most_common(9)}"
    counts = [first]
    for number in (2, 3):
        arrive(instance, f"S{number}")
        come_to_rest(instance, number)
        counts.append(made(instance))
    second, third = counts[1] - counts[0], counts[2] - counts[1]
    for new, snapshot in ((second, "S2"), (third, "S3")):
        assert {name for name, partition in new if partition != snapshot} == set(TOGETHER)
        assert seldom_twice(new), new.most_common(9)
    assert len(second) == len(third) == len([1 for _, partition in first if partition == "S1"]) + len(TOGETHER)
