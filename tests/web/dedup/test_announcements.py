"""Dagster itself learns of the partitions that the arrival of another snapshot rewrites, even when the run is killed in
between. What Dagster says is stale is run, and every table is as if all snapshots had come at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest

from nemotron_assets.dagster_private import staleness
from nemotron_assets.recipe import current_recipe
from nemotron_assets.stages import partitions_of
from nemotron_assets.web.dedup.assets import ASSETS
from nemotron_assets.web.dedup.tables import DUPLICATES
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.lakehouse import Lakehouse
from tests.imports import PROJECT
from tests.web.dedup.lake import RECIPE, SUBSTRING, TABLES, Row, document_parts, make, put, state
from tests.web.dedup.test_arrivals import text

pytestmark = [pytest.mark.faults, pytest.mark.slow]

#: b1 links a1 and a2, which are too different to be a pair: a2 becomes a duplicate.
ROWS: list[Row] = [
    ("a1", "A-1", 0, text(0, 0), "en"),
    ("a2", "A-1", 1, text(0, 9), "en"),
    ("b1", "B-2", 0, text(0, 6), "en"),
    ("b2", "B-2", 1, text(1, 0), "en"),
]
SNAPSHOTS = ("A-1", "B-2")
LINKED = RECIPE.model_copy(update={"linkage": "components"})
NO_SPANS = SUBSTRING.model_copy(update={"enabled": False})

#: B-2 arrives, and the process is killed when the duplicates of A-1 are rewritten, or when they are announced.
KILLED = """
import os, sys
from tests.web.dedup.test_announcements import Graph
import nemotron_assets.table.asset as asset
from resources.lakehouse import Lakehouse

_, folder, moment = sys.argv
write, announce = Lakehouse.write, asset._announce

def write_and_die(self, table, data, partition=None, **options):
    result = write(self, table, data, partition, **options)
    if table.name == "duplicates" and partition == "A-1":
        os._exit(9)
    return result

def announce_and_die(context, table, *args):
    announce(context, table, *args)
    if table.name == "duplicates":
        os._exit(9)

if moment == "rewritten":
    Lakehouse.write = write_and_die
else:
    asset._announce = announce_and_die
with Graph(folder) as graph:
    graph.arrive("B-2")
"""


class Graph:
    """The assets of deduplication, with documents that this test writes, in a lake and a Dagster instance on disk."""

    def __init__(self, folder: str) -> None:
        self.lake = Lakehouse(root=f"{folder}/lake")
        os.makedirs(f"{folder}/dagster", exist_ok=True)
        self.compute = Compute(workers=1)  # starts no worker before it has several ranges to join
        self.instance = dg.DagsterInstance.local_temp(f"{folder}/dagster")
        self.recipe = current_recipe().with_sections({"web.dedup": LINKED, "web.substring": NO_SPANS})
        self.assets = [_documents, *ASSETS]
        definitions = dg.Definitions(assets=self.assets, resources=self._resources())
        self.graph = definitions.get_repository_def().asset_graph

    def __enter__(self) -> Graph:
        self.instance.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.instance.__exit__(*error)
        self.compute.close()

    def _resources(self) -> dict:
        return {"lake": self.lake, "io_manager": self.lake, "recipe": self.recipe, "compute": self.compute}

    def arrive(self, snapshot: str) -> None:
        """Materialise everything of a snapshot, then whatever Dagster says is stale."""
        self.instance.add_dynamic_partitions("snapshot", [snapshot])
        self.run([_documents.key], snapshot)
        self.settle()

    def run(self, keys: list[dg.AssetKey], snapshot: str) -> None:
        result = dg.materialize(
            self.assets,
            instance=self.instance,
            resources=self._resources(),
            partition_key=snapshot,
            selection=dg.AssetSelection.assets(*keys),
        )
        assert result.success

    def settle(self) -> None:
        for _ in range(20):
            stale = list(self.stale())
            if not stale:
                return
            snapshot = stale[0][1]
            due = [key for key, of in stale if of == snapshot]
            ready = [key for key in due if not self.graph.get(key).parent_keys & set(due)]
            self.run(due if len(due) == len(ASSETS) else ready, snapshot)
        raise AssertionError(f"{stale} are stale for ever")

    def stale(self) -> Iterator[tuple[dg.AssetKey, str]]:
        """In topological order, snapshot by snapshot; only of snapshots whose documents are there."""
        resolver = staleness(self.instance, self.graph)
        for snapshot in sorted(self.instance.get_dynamic_partitions("snapshot")):
            if resolver.get_status(_documents.key, snapshot).value == "MISSING":
                continue
            for asset in ASSETS:
                if resolver.get_status(asset.key, snapshot).value != "FRESH":
                    yield asset.key, snapshot


@dg.asset(key=DOCUMENTS.asset_key, partitions_def=partitions_of(DOCUMENTS), code_version="1")
def _documents(context):
    return document_parts(ROWS, context.partition_key)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> dict[str, list[tuple]]:
    """The rows of all tables, made table by table when every snapshot is there."""
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")))
    for snapshot in SNAPSHOTS:
        put(lake, ROWS, snapshot)
    for table in TABLES:
        for snapshot in SNAPSHOTS:
            make(lake, table, snapshot, LINKED, NO_SPANS)
    assert lake.read(DUPLICATES).rows == 2
    return state(lake)


@pytest.mark.parametrize("moment", ["rewritten", "announced"])
def test_a_run_that_is_killed_around_an_announcement(moment, wanted, tmp_path):
    """B-2 comes late, and its step rewrites the duplicates of A-1. Spans are not searched for, because that step would
    bring A-1 up to date, too."""
    with Graph(str(tmp_path)) as graph:
        graph.arrive("A-1")
    command = [sys.executable, "-c", KILLED, str(tmp_path), moment]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True)
    assert done.returncode == 9, done.stderr.decode()
    with Graph(str(tmp_path)) as graph:
        graph.settle()
        assert state(graph.lake) == wanted
