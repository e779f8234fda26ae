"""What a removal plans and erases beyond the rows that hold an address: journals, counts by host, rows made again."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from nemotron_assets.code.sources.tables import DUPLICATES as DUPLICATE_FILES
from nemotron_assets.lake.thresholds.tables import THRESHOLDS
from nemotron_assets.rights import removal
from nemotron_assets.rights.forgetting import erase_rejects, erase_rows
from nemotron_assets.rights.plan import Found, Plan, contained
from nemotron_assets.rights.targets import targets
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table
from resources.generations import GENERATIONS, journals
from resources.journal import Journal
from resources.lakehouse import Lakehouse
from resources.lakehouse.quarantine import QUARANTINE

AT = datetime(2025, 1, 1, tzinfo=UTC)
VALUES = {"string": "", "int64": 0, "int32": 0, "float64": 0.0, "binary": b"", "list[string]": [], "timestamp": AT}


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lakehouse:
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def row(table: Table, **given) -> dict:
    return {c.name: given.get(c.name, None if c.nullable else VALUES.get(c.dtype)) for c in table.columns}


def written(lake: Lakehouse, table: Table, *rows: dict) -> None:
    partition = "S" if table.partition_by else None
    lake.write(table, pa.Table.from_pylist([row(table, **r) for r in rows], table.arrow_schema()), partition)


def ids(lake: Lakehouse, table: Table) -> list[str]:
    return lake.read(table).scan().select("id").collect()["id"].sort().to_list()


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
    lake.append(QUARANTINE, pa.Table.from_pylist([row(QUARANTINE, **r) for r in rows], QUARANTINE.arrow_schema()))
    erase_rejects(lake, removal.Removal("receipt", "request", "a test", AT, {}, resumed=False), ["gone.example"])
    assert ids(lake, QUARANTINE) == ["1"]


def test_a_duplicate_of_another_file_by_now_stays(lake):
    """Both rows were planned; when the table was made again, the first got another kept file, and the same id."""
    rows = [{"id": "1", "parents": ["fork", "other"]}, {"id": "2", "parents": ["copy", "gone"]}]
    written(lake, DUPLICATE_FILES, *rows)
    found = {"code.files": Found(0, {"gone": 0}), "code.duplicates": Found(0, {"1": 0, "2": 0})}
    erase_rows(lake, removal.Removal("receipt", "request", "a test", AT, found, resumed=False), print)
    assert ids(lake, DUPLICATE_FILES) == ["1"]


def test_models_made_from_a_model_that_contains_it_are_named_in_any_order(lake):
    """The child stands before its parent, and both before the model that was trained on the page."""
    written(lake, PAGES, {"id": "a" * 32, "snapshot": "S", "url": "https://gone.example/x", "host": "gone.example"})
    pages = f"snapshots.pages@{lake.read(PAGES).version}"
    models = [("3", ["2"], []), ("2", ["1"], []), ("1", [], [pages]), ("4", ["5"], [])]
    steps = all_tables()["models.compression_steps"]
    rows = [{"id": id_, "name": id_, "parents": above, "input_versions": read} for id_, above, read in models]
    lake.append(steps, pa.Table.from_pylist([row(steps, **r) for r in rows], steps.arrow_schema()))
    begun = removal.begin(lake, targets(["gone.example"]), "a test")
    inside = contained(lake, Plan(found=begun.found))
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
