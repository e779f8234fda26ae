"""Which assets a selection selects, and which units run together."""

import gzip

import dagster as dg
import pytest

from nemotron_assets.commands.progress import Progress
from nemotron_assets.commands.run import summary
from nemotron_assets.commands.runner import Outcome, Runner, SelectionError, Unit, _facts
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import Lakehouse
from tests.resources.crawl_server import serving
from tests.snapshots.test_pages import SNAPSHOTS, materialize

KEY = dg.AssetKey


@pytest.fixture
def runner(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    runner = Runner(Progress())
    yield runner
    runner.instance.dispose()


@pytest.mark.parametrize(
    ("selection", "keys"),
    [
        ("web/documents", {"web/documents"}),
        ("web.documents", {"web/documents"}),
        ("snapshots.pages or web/documents", {"snapshots/pages", "web/documents"}),
        ("+web.documents", {"web/documents", "snapshots/pages", "snapshots/catalog"}),
        ("snapshots/pages or web/documents", {"snapshots/pages", "web/documents"}),
        ("+web/documents", {"web/documents", "snapshots/pages", "snapshots/catalog"}),
        (
            "group:blend",
            {
                f"blend/{name}"
                for name in ("tokenizer", "token_shards", "sequences", "categories", "phases", "dataset_sample")
            },
        ),
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
        ("web.documentz", "Did you mean web/documents"),
        ("web/documents or web/documentz", "'web/documentz'"),
        ("group:wep", "group:web"),
        ("unique_documents", "no asset is selected by 'unique_documents'. Did you mean web/unique_documents?"),
        ("((", "cannot parse the selection"),
    ],
)
def test_a_selection_with_a_mistake_selects_nothing(runner, selection, hint):
    with pytest.raises(SelectionError) as error:
        runner.select(selection)
    assert hint in str(error.value)


def test_unknown_snapshot_beside_the_catalogue(runner, monkeypatch):
    """The catalogue may add snapshots, so the names are checked after it has run."""
    monkeypatch.setattr(
        runner, "_run_here", lambda batch: runner.outcomes.update({u: Outcome(u, "done") for u in batch})
    )
    with pytest.raises(SelectionError, match="no snapshot 2031; there are: no snapshots yet"):
        runner.run(runner.select("snapshots/catalog or web/documents"), ["2031"])


def test_unknown_snapshot(runner):
    with pytest.raises(SelectionError, match="no snapshot 2031; there are: no snapshots yet"):
        runner.run(runner.select("web/documents"), ["2031"])


def test_a_selection_has_nothing_to_run_without_a_snapshot(runner):
    with pytest.raises(SelectionError, match="no snapshot is known, so snapshots/pages has nothing to run: select"):
        runner.run(runner.select("snapshots/pages or code/files"))


def test_what_is_up_to_date_but_cannot_be_read_failed(runner, tmp_path, monkeypatch):
    lake = Lakehouse(root=str(tmp_path / "lake"))
    monkeypatch.setattr("nemotron_assets.definitions.lake", lake)
    items = Unit(BENCHMARKS.asset_key)
    report(runner, items)
    lake.write(BENCHMARKS, BENCHMARKS.empty())
    assert runner._fresh(items).status == "fresh"
    last = sorted((tmp_path / "lake/evaluate/benchmarks/_delta_log").glob("*.json"))[-1]
    last.write_bytes(b"")
    runner._readers.clear()
    outcome = runner._fresh(items)
    assert outcome.status == "failed" and "evaluate.benchmarks" in outcome.note and last.name in outcome.note


PAGES, DOCUMENTS, SIGNATURES = (
    Unit(KEY([schema, name]), "A")
    for schema, name in [("snapshots", "pages"), ("web", "documents"), ("web", "signatures")]
)


def report(runner: Runner, unit: Unit) -> None:
    """Note in Dagster that a unit was made."""
    tags = {"dagster/data_version": "1", "dagster/code_version": runner.graph.get(unit.key).code_version}
    runner.instance.report_runless_asset_event(dg.AssetMaterialization(unit.key, partition=unit.partition, tags=tags))


def test_what_is_due_and_what_may_become_due(runner):
    runner.instance.add_dynamic_partitions("snapshot", ["A"])
    units = [PAGES, DOCUMENTS, SIGNATURES]
    assert runner._plan(units, set()) == (set(units), set()), "nothing was made yet"
    assert runner._plan(units, {PAGES}) == ({DOCUMENTS, SIGNATURES}, set())
    runner.outcomes[PAGES] = Outcome(PAGES, "failed")
    assert runner._plan(units, set()) == (set(), set())
    assert [runner.outcomes[unit].status for unit in (DOCUMENTS, SIGNATURES)] == ["skipped", "skipped"]


@pytest.mark.parametrize(("severity", "again"), [("ERROR", True), ("WARN", False)])
def test_a_unit_whose_check_failed_runs_again_but_once(runner, severity, again):
    items = Unit(KEY(["evaluate", "benchmarks"]))
    report(runner, items)
    assert runner._plan([items], set())[0] == set()
    check = next(key for key in runner.graph.asset_check_keys if key.asset_key == items.key)
    runner.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=items.key,
            check_name=check.name,
            passed=False,
            metadata={},
            severity=dg.AssetCheckSeverity(severity),
        )
    )
    runner._known.clear()
    assert (runner._plan([items], set())[0] == {items}) == again
    runner._known.clear()
    runner._runs[items] = 1
    assert runner._plan([items], set())[0] == set()


def test_a_source_that_refuses_every_file_is_named_once_in_the_note_of_the_pages(runner, tmp_path):
    root = tmp_path / "served"
    refused = Crawl(source="sample").warc_paths(SNAPSHOTS[0])[0]
    for name, content in {
        "collinfo.json": (SAMPLE / "collinfo.json").read_bytes(),
        **{f"crawl-data/{s}/warc.paths.gz": gzip.compress(refused.encode()) for s in SNAPSHOTS},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    with serving(root) as server:
        server.faults += [(refused, (403, {}))] * 9
        _, result = materialize(tmp_path / "lake", server.url, runner.instance, SNAPSHOTS[:1])
        url = server.url
    errors = {event.step_key: event.step_failure_data.error for event in result.all_events if event.is_step_failure}
    failures, _, blocked = runner._checks(PAGES.key, result.all_events, errors)
    (note,) = failures
    assert blocked and note.startswith("check pages_present failed (1 file of the snapshot could not be read")
    assert f"{url}/{refused}: HTTP status 403. The server refuses access: check the address in the recipe" in note


def test_a_failed_check_names_its_numbers_and_short_texts():
    metadata = {
        "share": dg.MetadataValue.float(0.5),
        "missed": dg.MetadataValue.text("gsm8k/7"),
        "plot": dg.MetadataValue.md("![plot](data:image/png;base64,AAAA)"),
        "log": dg.MetadataValue.text("x" * 201),
    }
    assert _facts(metadata) == ["share = 0.5", "missed = gsm8k/7"]


def test_what_is_wrong_stands_in_the_last_line():
    good = Outcome(PAGES, "done", rows=3)
    assert summary([good]) == []
    empty = Outcome(DOCUMENTS, "done", rows=0)
    assert summary([good, empty]) == ["warning: no rows in web/documents [A]"] and not empty.is_wrong
    checked = Outcome(DOCUMENTS, "done", rows=3, note="check few_broken failed (share = 0.5)")
    assert checked.is_wrong
    assert summary([good, checked])[-1] == "failed: web/documents [A]: check few_broken failed (share = 0.5)"
    skipped = Outcome(SIGNATURES, "skipped", note="an asset it depends on failed")
    lines = summary([Outcome(PAGES, "failed", note="no such host", warning="old"), skipped])
    assert lines[0] == "warning: snapshots/pages [A]: old"
    assert lines[-1] == "failed: snapshots/pages [A]: no such host; skipped: 1 other asset"
