"""What a removal plans and erases beyond the rows that hold an address: journals, counts by host, rows made again."""

from __future__ import annotations

import threading

import dagster as dg
import pytest

from nemotron_assets.code.sources.tables import DUPLICATES as DUPLICATE_FILES
from nemotron_assets.lake.thresholds.tables import THRESHOLDS
from nemotron_assets.rights import exports, removal
from nemotron_assets.rights.containing import contained
from nemotron_assets.rights.forgetting import erase_rejects, erase_rows
from nemotron_assets.rights.plan import Found, Plan, plan
from nemotron_assets.rights.targets import targets
from nemotron_assets.rights.tombstones import Tombstones
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.stages import all_tables
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from nemotron_assets.web.tables import DOCUMENTS
from resources.contract import LakeError
from resources.generations import GENERATIONS, journals
from resources.journal import Journal
from resources.lakehouse import Lakehouse
from resources.lakehouse.quarantine import QUARANTINE
from resources.lakehouse.removing import is_removing, removing, wait_for_removal
from tests.rights.rows import AT, ids, row, rows_of, written


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lakehouse:
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def test_answers_in_the_journal_of_a_killed_run_go_with_the_page(lake):
    page = {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"}
    written(lake, PAGES, page)
    journals(lake).mkdir(parents=True)
    journal = Journal(journals(lake))
    journal.append(row(GENERATIONS, id="b" * 32, parents=["a" * 32], at=AT))
    journal.append(row(GENERATIONS, id="c" * 32, parents=["d" * 32], at=AT))
    journal.close()
    begun = removal.begin(lake, targets(["gone.example"]), "a test")
    assert set(begun.found["llm.generations"].rows) == {"b" * 32}
    erase_rows(lake, begun, print)
    assert ids(lake, GENERATIONS) == ["c" * 32]


def test_counts_that_name_the_host_go(lake):
    names = [
        ("host", "gone.example"),
        ("host", "kept.example"),
        ("repository", "me/gone"),
        ("language", "gone.example"),
    ]
    written(lake, THRESHOLDS, *({"id": str(k), "by": by, "name": name} for k, (by, name) in enumerate(names)))
    begun = removal.begin(lake, targets(["gone.example", "me/gone"]), "a test")
    erase_rows(lake, begun, print)
    assert ids(lake, THRESHOLDS) == ["1", "3"]


def test_rejects_that_name_the_host_go(lake):
    details = ["f.warc.gz at 3, https://www.gone.example/x: no page", "f.warc.gz at 9, https://kept.example/: no page"]
    rows = [{"id": str(k), "row_id": "e" * 32, "detail": detail} for k, detail in enumerate(details)]
    lake.append(QUARANTINE, rows_of(QUARANTINE, *rows))
    erase_rejects(lake, removal.Removal("receipt", "request", "a test", AT, {}, resumed=False), ["gone.example"])
    assert ids(lake, QUARANTINE) == ["1"]


def test_a_duplicate_of_another_file_by_now_stays(lake):
    """Both rows were planned; when the table was made again, the first got another kept file, and the same id."""
    rows = [{"id": "1", "parents": ["fork", "other"]}, {"id": "2", "parents": ["copy", "gone"]}]
    written(lake, DUPLICATE_FILES, *rows)
    found = {"code.files": Found(0, {"gone": 0}), "code.duplicates": Found(0, {"1": 0, "2": 0})}
    erase_rows(lake, removal.Removal("receipt", "request", "a test", AT, found, resumed=False), print)
    assert ids(lake, DUPLICATE_FILES) == ["1"]


def test_what_was_dropped_for_the_page_is_not_a_duplicate_any_more(lake):
    """The table is not made again by the removal, and an exact duplicate names the kept page nowhere else."""
    written(lake, PAGES, {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"})
    cleaned, duplicates = all_tables()["math.cleaned"], all_tables()["math.duplicates"]
    written(lake, cleaned, {"id": "c", "parents": ["a" * 32], "url": "https://gone.example/x"})
    rows = [("1", "kept", "c", "c"), ("2", "other", "kept", "c"), ("3", "other", "kept", "kept")]
    written(
        lake,
        duplicates,
        *({"id": id_, "parents": [d], "duplicate_of": of, "cluster": first} for id_, d, of, first in rows),
    )
    begun = removal.begin(lake, targets(["gone.example"]), "a test")
    assert set(begun.found["math.duplicates"].rows) == {"1", "2"}


def test_models_made_from_a_model_that_contains_it_are_named_in_any_order(lake):
    """The child stands before its parent, and both before the model that was trained on the page."""
    written(lake, PAGES, {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"})
    pages = f"snapshots.pages@{lake.read(PAGES).version}"
    models = [("3", ["2"], []), ("2", ["1"], []), ("1", [], [pages]), ("4", ["5"], [])]
    steps = all_tables()["models.compression_steps"]
    rows = [{"id": id_, "name": id_, "parents": above, "input_versions": read} for id_, above, read in models]
    lake.append(steps, rows_of(steps, *rows))
    begun = removal.begin(lake, targets(["gone.example"]), "a test")
    inside = contained(lake, Plan(found=begun.found), Tombstones())
    assert {model.id: model.made_from for model in inside} == {
        "1": pages,
        "2": "model 1",
        "3": "model 2",
    }


def test_a_removal_without_a_receipt_is_unfinished(lake):
    written(lake, PAGES, {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"})
    assert removal.unfinished(lake) == []
    begun = removal.begin(lake, targets(["gone.example"]), "a test")
    assert removal.unfinished(lake) == [begun.at]


def test_an_older_version_counts_by_names_and_not_by_ids(lake):
    """The rows were made in another way since, so the version that a model names has other ids."""
    page = {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"}
    written(lake, PAGES, page)
    written(lake, DOCUMENTS, {"id": "1", "parents": ["a" * 32]}, {"id": "2", "parents": ["b" * 32]})
    old = f"web.documents@{lake.read(DOCUMENTS).version}"
    written(lake, DOCUMENTS, {"id": "3", "parents": ["a" * 32]})
    steps = all_tables()["models.compression_steps"]
    lake.append(steps, rows_of(steps, {"id": "m", "name": "m", "parents": [], "input_versions": [old]}))
    exports.record(exports.Export("/exported", version=old))
    exports.record(exports.Export("/model", model="m"))
    exports.record(exports.Export("/other", version="code.files@0"))
    found = plan(lake, targets(["gone.example"]), lake.identity)
    inside = list(contained(lake, found, Tombstones()))
    assert {(one.name, one.made_from, one.rows, one.share) for one in inside} == {
        ("m", old, 1, 0.5),
        ("/exported", old, 1, 0.5),
        ("/model", "model m", None, None),
    }
    lake.open(DOCUMENTS).vacuum(0, dry_run=False, enforce_retention_duration=False)
    lake.record(DOCUMENTS, lake.open(DOCUMENTS).version())
    inside = list(contained(lake, found, Tombstones()))
    assert ("m", old, None) in {(one.name, one.made_from, one.rows) for one in inside}, "it may have had some"


def test_an_answer_that_another_row_has_too_stays_with_it(lake):
    page = {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"}
    written(lake, PAGES, page)
    rows = [{"id": "shared", "parents": ["a" * 32]}, {"id": "own", "parents": ["a" * 32]}]
    lake.append(GENERATIONS, rows_of(GENERATIONS, *rows))
    questions = [("1", ["a" * 32], "shared"), ("2", ["b" * 32], "shared"), ("3", ["a" * 32], "own")]
    made = ({"id": id_, "parents": above, "generation_id": answer} for id_, above, answer in questions)
    written(lake, DIVERSE_QA, *made)
    begun = removal.begin(lake, targets(["gone.example"]), "a test")
    assert {name: set(of.rows) for name, of in begun.found.items()} == {
        "snapshots.pages": {"a" * 32},
        "web.diverse_qa": {"1", "3"},
        "llm.generations": {"own"},
    }
    for _ in range(2):  # the second time nothing is left to do
        erase_rows(lake, begun, print)
        assert ids(lake, DIVERSE_QA) == ["2"]
        assert lake.read(GENERATIONS).scan().select("id", "parents").collect().rows() == [("shared", ["b" * 32])]


def test_runs_wait_while_rows_are_removed(lake, monkeypatch):
    said, ended = [], threading.Event()
    monkeypatch.setattr("resources.lakehouse.removing._PAUSE_S", 0.01)
    with removing(lake):
        wait_for_removal(lake, said.append)  # the removal's own process makes tables again
        assert not said
        monkeypatch.delenv("NEMOTRON_REMOVING")  # as in the process of a run, or of another removal
        with pytest.raises(LakeError, match="another `nemotron forget` is at work"), removing(lake):
            pass

        def run():
            lake.setup_for_execution(dg.build_init_resource_context())
            ended.set()

        waiting = threading.Thread(target=run)
        waiting.start()
        assert not ended.wait(0.1) and is_removing(lake)
    assert ended.wait(60)
    waiting.join()
    wait_for_removal(lake, said.append)
    assert not said
