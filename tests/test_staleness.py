"""Raising the code version of a trainer makes its assets stale and no other; once they are made anew and differ,
what is made from them is stale and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import dagster as dg
import pytest

from nemotron_assets.dagster_private import staleness
from tests.imports import PROJECT

#: Loads the definitions with some constants raised, and does some tasks one after the other. A task is "versions" (the
#: code versions), "make" (note in the instance that everything was made), the name of one asset (it was made anew), or
#: "stale" (what is stale). Prints the result of each.
SCRIPT = """
import importlib, json, os, sys
raised, tasks = json.loads(sys.argv[1]), sys.argv[2:]
for name in raised:
    module, _, constant = name.partition(":")
    module = importlib.import_module(module)
    setattr(module, constant, str(int(getattr(module, constant)) + 1))
import dagster as dg
from nemotron_assets.dagster_private import input_tags, staleness
from nemotron_assets.definitions import defs

graph = defs.get_repository_def().asset_graph
keys = [key for key in graph.toposorted_asset_keys if key in graph.executable_asset_keys]
versions = {key.to_user_string(): graph.get(key).code_version for key in keys}


def do(task):
    if task == "versions":
        return versions
    with dg.DagsterInstance.get() as instance:
        if task == "make":
            instance.add_dynamic_partitions("snapshot", ["S"])
        resolver = staleness(instance, graph, of_most=True)
        stale = []
        for key in keys:
            definition = graph.get(key).partitions_def
            partition = None
            if definition is not None:
                of_snapshots = isinstance(definition, dg.DynamicPartitionsDefinition)
                partition = "S" if of_snapshots else definition.get_partition_keys()[0]
            if task == "make" or key.to_user_string() == task:
                version = versions[key.to_user_string()]
                tags = {"dagster/data_version": task} | ({"dagster/code_version": version} if version else {})
                for parent in graph.get(key).parent_keys:
                    wanted = dg.AssetRecordsFilter(asset_key=parent)
                    for record in instance.fetch_materializations(wanted, limit=1).records:
                        tags |= input_tags(parent, record)
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))
            elif task == "stale" and resolver.get_status(key, partition).value != "FRESH":
                stale.append(key.to_user_string())
        return stale


print(json.dumps([do(task) for task in tasks]))
"""


def ask(*tasks: str, raised: str = "", home=None) -> list:
    """What each task says, in a new process with a constant raised."""
    env = os.environ | {"PYTHONWARNINGS": "ignore"} | ({"DAGSTER_HOME": str(home)} if home else {})
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([raised] if raised else []), *tasks],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def versions() -> dict[str, str]:
    return ask("versions")[0]


@pytest.mark.parametrize(
    ("constant", "assets"),
    [
        ("nemotron_assets.math.corpus:SCORER_CODE", {"models/math_scorers"}),
        ("nemotron_assets.web.quality:ANNOTATION_CODE", {"web/annotations"}),
    ],
)
def test_raising_the_code_of_a_trainer_changes_the_versions_of_its_assets_alone(versions, constant, assets):
    (raised,) = ask("versions", raised=constant)
    assert {name for name in versions if raised[name] != versions[name]} == assets


#: Two more constants. What is below each asset is listed too.
@pytest.mark.parametrize(
    ("constant", "assets", "below"),
    [
        (
            "nemotron_assets.pretrain:CODE",
            {"models/base"},
            {
                "models/long_context",
                "evaluate/ruler_answers",
                "evaluate/bits_by_position",
                "evaluate/item_results",
                "evaluate/suite_answers",
                "evaluate/suite_comparisons",
            },
        ),
        (
            "nemotron_assets.scorers:TRAINING_CODE",
            {"models/quality_scorers", "models/math_scorers"},
            {"web/quality_scores", "web/quality_thresholds", "web/quality", "math/quality"},
        ),
    ],
)
def test_what_is_made_from_a_model_is_stale_once_the_model_is_another(tmp_path, versions, constant, assets, below):
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    _, stale = ask("make", "stale", home=tmp_path)
    before = set(stale)
    tasks = ("versions", "stale", *sorted(assets), "stale")  # the assets are made anew, with other content
    raised, first, *_, last = ask(*tasks, raised=constant, home=tmp_path)
    assert {name for name in versions if raised[name] != versions[name]} == assets
    assert set(first) - before == assets
    assert set(last) - before == below


def test_an_input_with_many_partitions_makes_an_asset_stale():
    """Dagster looks at inputs with fewer than 100 partitions; the published recipe has 107 snapshots."""
    snapshots = dg.DynamicPartitionsDefinition(name="snapshot")
    raw = dg.asset(key="raw", partitions_def=snapshots, code_version="1")(lambda: None)
    blend = dg.asset(key="blend", deps=["raw"], code_version="1")(lambda: None)
    with dg.DagsterInstance.ephemeral() as instance:

        def arrive(snapshot: str, content: str) -> None:
            tags = {"dagster/data_version": content}
            instance.report_runless_asset_event(dg.AssetMaterialization("raw", partition=snapshot, tags=tags))

        def status() -> str:
            graph = dg.Definitions(assets=[raw, blend]).resolve_asset_graph()
            return staleness(instance, graph).get_status(dg.AssetKey("blend"), None).value

        names = [f"S{number}" for number in range(120)]
        instance.add_dynamic_partitions("snapshot", names)
        for name in names:
            arrive(name, "first")
        assert dg.materialize([raw, blend], instance=instance, selection=["blend"]).success
        assert status() == "FRESH"
        arrive("S7", "first")
        assert status() == "FRESH", "made again with the same content"
        arrive("S7", "second")
        assert status() == "STALE"
