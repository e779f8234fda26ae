"""`nemotron forget` on a tiny lake: afterwards the lake is as if the source had never been there, also after a kill."""

from __future__ import annotations

import json
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from nemotron_assets.code.sources.tables import DUPLICATES as DUPLICATE_FILES
from nemotron_assets.code.sources.tables import FILES, REPOSITORIES
from nemotron_assets.lineage.walk import trace
from nemotron_assets.rights import forgetting, receipt, removal
from nemotron_assets.rights.plan import plan
from nemotron_assets.rights.targets import targets
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.stages import all_tables
from nemotron_assets.web.dedup.tables import DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS
from resources import compute
from resources.warehouse import Warehouse
from tests.rights.small_lake import OF_CODE, OF_WEB, ROWS, SmallLake

WORDS = ("gone.example", "https://stays.example/page", "gone/lib")
GONE = {url for rows in ROWS.values() for url, _ in rows if "gone.example" in url or "stays.example" in url}


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    """A lake with everything, and one that never had what is forgotten."""
    patch = pytest.MonkeyPatch()
    patch.setattr(compute, "_KEPT", {})  # workers start once and not in every run
    folder = tmp_path_factory.mktemp("rights")
    with dg.DagsterInstance.ephemeral() as first, dg.DagsterInstance.ephemeral() as second:
        whole = SmallLake(folder / "whole", first)
        never = SmallLake(folder / "never", second, {*GONE, "gone/lib"})
        for made in (whole, never):
            made.make([*OF_WEB, *OF_CODE])
        yield whole, never
        whole.close()
        never.close()
    patch.undo()


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_forgotten_source_was_never_there(lakes):
    whole, never = lakes
    lake, wanted = whole.lake, targets(WORDS)
    before = whole.versions()
    assert before != never.versions()
    found = plan(lake, wanted, lake.identity)
    assert {name: len(found.found[name].rows) for name in ("snapshots.pages", "code.repositories")} == {
        "snapshots.pages": 5,
        "code.repositories": 1,
    }
    assert found.returning == {"web.duplicates": 2, "web.repeated_spans": 1, "code.duplicates": 1}
    assert whole.versions() == before, "a plan changes nothing"
    texts = unique(lake)

    def killed(tables):
        whole.make(tables[:2])
        raise Killed

    begun = removal.begin(lake, wanted, "a test", found)
    with pytest.raises(Killed):
        forgetting.carry_out(lake, begun, killed, whole.instance)
    again = removal.begun(lake, wanted)
    assert again.resumed and again.ids == begun.ids == found.ids and again.reason == "a test"
    done = forgetting.carry_out(lake, again, whole.make, whole.instance, vacuum=True)

    assert whole.versions() == never.versions()
    assert unique(lake).equals(unique(never.lake)) and not unique(lake).equals(texts)
    for table in (PAGES, DOCUMENTS, DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS, FILES, DUPLICATE_FILES):
        assert set(lake.read(table).scan().select("id").collect()["id"]).isdisjoint(again.ids), table.full_name
    assert done.rows["web.documents"] == 5 and done.vacuumed["web.documents"] > 0
    fates = lake.read(RECORDS).scan().filter(pl.col("fate") == "forgotten").collect()
    assert (fates["records"].sum(), set(fates["snapshot"])) == (5, {"A", "B"})

    lines = list(receipt.lines_of(done, receipt.inside_of(lake, again, wanted)))
    stored = json.loads(receipt.store(lake, again, lines).read_text())
    assert removal.begun(lake, wanted) is None, "it has its receipt"
    assert not any(word in json.dumps(stored) for word in ("gone.example", "stays.example"))
    tables = {line["place"]: line for line in stored["lines"] if line["kind"] == "table"}
    assert tables["web.documents"]["rows"] == 5
    warehouse = Warehouse(root=lake.root)
    warehouse.refresh()
    with warehouse.connect() as connection:
        version = f"web.documents@{found.found['web.documents'].version}"
        notes = trace(connection, all_tables().values(), version).notes
    assert any("removed 5 rows" in note for note in notes)


def test_it_does_not_come_back(lakes):
    """Runs after the test above: the files are read again, and the sources still have everything."""
    whole, never = lakes
    pages = set(whole.lake.read(PAGES).scan().select("id").collect()["id"])
    with_everything = whole.lake
    with_everything.replace(RECORDS, RECORDS.empty(), {"snapshot": ["A", "B"]})  # now every file is read again
    whole.make([PAGES, REPOSITORIES])
    assert set(with_everything.read(PAGES).scan().select("id").collect()["id"]) == pages
    assert whole.versions() == never.versions()
    fates = with_everything.read(RECORDS).scan().filter(pl.col("fate") == "forgotten").collect()
    assert fates["records"].sum() == 5


def test_checkpoints_in_an_object_store_go_too(monkeypatch, tmp_path):
    """An unfinished training has seen what is forgotten."""
    monkeypatch.setattr(forgetting, "store_at", lambda root: SubTreeFileSystem(str(tmp_path), LocalFileSystem()))
    weights = tmp_path / "models/checkpoints/m/step-0000000050/rank-00000-of-00001.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    for _ in range(2):  # the second time there are none
        forgetting.forget_checkpoints(SimpleNamespace(is_local=False, root="s3://bucket/lake"))
        assert [path.name for path in tmp_path.rglob("*")] == ["models"]


def unique(lake) -> pl.DataFrame:
    return lake.read(UNIQUE_DOCUMENTS).scan().select("url", "text").collect().sort("url")
