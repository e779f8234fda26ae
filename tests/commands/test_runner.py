"""Which assets a selection selects, which units run together, and how runs of killed processes are ended."""

import dagster as dg
import pytest

from nemotron_assets.commands import runner as module
from nemotron_assets.commands.runner import Outcome, Runner, SelectionError, Unit

KEY = dg.AssetKey


@pytest.fixture
def runner(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    runner = Runner(progress=lambda line: None)
    yield runner
    runner.instance.dispose()


@pytest.mark.parametrize(
    ("selection", "keys"),
    [
        ("web/documents", {"web/documents"}),
        ("snapshots/pages or web/documents", {"snapshots/pages", "web/documents"}),
        ("+web/documents", {"web/documents", "snapshots/pages", "snapshots/catalog"}),
        ("group:blend", {"blend/tokenizer", "blend/token_shards"}),
        ("lake/maintenance", {"lake/maintenance"}),
    ],
)
def test_selection(runner, selection, keys):
    assert {key.to_user_string() for key in runner.select(selection)} == keys


def test_without_a_selection_all_assets_but_upkeep_run_in_order(runner):
    names = [key.to_user_string() for key in runner.select(None)]
    assert "lake/maintenance" not in names and len(names) > 10
    assert names.index("snapshots/pages") < names.index("web/documents") < names.index("models/base")


@pytest.mark.parametrize(
    ("selection", "hint"),
    [
        ("web/documentz", "Did you mean web/documents"),
        ("web/documents or web/documentz", "'web/documentz'"),
        ("group:wep", "group:web"),
        ("((", "cannot parse the selection"),
    ],
)
def test_a_selection_with_a_mistake_selects_nothing(runner, selection, hint):
    with pytest.raises(SelectionError) as error:
        runner.select(selection)
    assert hint in str(error.value)


def test_the_catalogue_comes_first_and_alone(runner):
    wave = runner._next_wave({Unit(k) for k in runner.select(None) if not runner.graph.get(k).is_partitioned}, {})
    assert wave == [Unit(KEY(["snapshots", "catalog"]))]


def test_waves_respect_what_failed(runner):
    pages, documents = (Unit(KEY(path), "A") for path in (["snapshots", "pages"], ["web", "documents"]))
    other = Unit(documents.key, "B")
    missing = type("Status", (), {"value": "MISSING"})
    status = dict.fromkeys((pages, documents, other), missing)
    assert runner._next_wave({pages, documents}, status) == [pages, documents], "missing ones share a run"
    stale = {**status, documents: type("Status", (), {"value": "STALE"})}
    assert runner._next_wave({pages, documents}, stale) == [pages], "a stale one waits: it may turn out fresh"
    runner.outcomes[pages] = Outcome(pages, "failed")
    assert runner._next_wave({documents, other}, status) == [other], "another snapshot goes on"


def test_unknown_snapshot(runner):
    with pytest.raises(SelectionError, match="no snapshot 2031; there are: no snapshots yet"):
        runner.run(runner.select("web/documents"), ["2031"])


def test_runs_of_a_killed_process_are_ended(runner, tmp_path):
    from dagster._core.test_utils import create_run_for_test

    host = module._process().split(":")[0]
    tags = [f"{host}:999999999:1.0", module._process(), "elsewhere:1:1.0"]
    runs = [
        create_run_for_test(runner.instance, status=dg.DagsterRunStatus.STARTED, tags={module.PROCESS_TAG: tag})
        for tag in tags
    ]
    runner._end_dead_runs()
    status = [runner.instance.get_run_by_id(run.run_id).status.value for run in runs]
    assert status == ["FAILURE", "STARTED", "STARTED"]
