"""Branches of a lake: they read the other lake's tables, write only their own, and share the generation ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemotron_assets.stages import all_tables
from nemotron_assets.web.tables import DOCUMENTS
from resources.contract import LakeError
from resources.generations import GENERATIONS
from resources.lakehouse import Lakehouse
from resources.lakehouse.branch import make_branch, roots
from resources.warehouse import Warehouse
from tests.sql.lake import frame

BASE = all_tables()["models.base"]
CURATED = all_tables()["web.curated"]


def lake_at(root: Path) -> Lakehouse:
    return Lakehouse(root=str(root), free_disk_mb=0)


def files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and "_locks" not in p.parts}


@pytest.fixture
def lake(tmp_path):
    lake = lake_at(tmp_path / "main")
    lake.write(DOCUMENTS, frame(DOCUMENTS, [{"id": "d1", "snapshot": "S1", "warc_file": "w"}]), "S1")
    lake.write(CURATED, frame(CURATED, [{"id": "c1", "snapshot": "S1"}]), "S1")
    return lake


def test_a_branch_has_its_own_tables_and_reads_all_others(lake, tmp_path):
    root = tmp_path / "branch"
    make_branch(root, lake.root, ["web.curated"])
    before = files(tmp_path / "main")
    branch = lake_at(root)
    assert branch.read(DOCUMENTS).scan().collect()["id"].to_list() == ["d1"]
    assert not branch.read(CURATED).exists, "an own table is empty at first"
    branch.write(CURATED, frame(CURATED, [{"id": "c2", "snapshot": "S1"}]), "S1")
    assert branch.read(CURATED).scan().collect()["id"].to_list() == ["c2"]
    assert lake.read(CURATED).scan().collect()["id"].to_list() == ["c1"]
    assert files(tmp_path / "main") == before, "nothing in the lake changes"
    assert not (root / "web" / "documents").exists(), "nothing is copied"


@pytest.mark.parametrize("write", ["write", "append", "replace"])
def test_a_branch_never_writes_the_tables_of_the_lake(lake, tmp_path, write):
    make_branch(tmp_path / "branch", lake.root, ["web.curated"])
    branch, rows = lake_at(tmp_path / "branch"), frame(DOCUMENTS, [{"id": "d2", "snapshot": "S1", "warc_file": "w"}])
    before = files(tmp_path / "main")
    more = {"write": ["S1"], "append": [], "replace": [{"snapshot": "S1"}]}[write]
    with pytest.raises(LakeError, match=r"web\.documents belongs to the lake .*main"):
        getattr(branch, write)(DOCUMENTS, rows, *more)
    assert files(tmp_path / "main") == before


def test_answers_that_a_branch_pays_for_are_in_the_ledger_of_the_lake(lake, tmp_path):
    make_branch(tmp_path / "branch", lake.root, ["web.curated", "llm.generations"])
    branch = lake_at(tmp_path / "branch")
    branch.append(GENERATIONS, frame(GENERATIONS, [{"id": "g1"}]))
    assert lake.read(GENERATIONS).rows == branch.read(GENERATIONS).rows == 1


def test_a_branch_of_a_branch_reads_through_both(lake, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    make_branch(first, lake.root, ["web.curated"])
    lake_at(first).write(CURATED, frame(CURATED, [{"id": "c2", "snapshot": "S1"}]), "S1")
    make_branch(second, str(first), ["models.base"])
    branch = lake_at(second)
    assert branch.read(CURATED).scan().collect()["id"].to_list() == ["c2"]
    assert branch.read(DOCUMENTS).rows == 1 and not branch.read(BASE).exists
    assert roots(branch.root) == [str(second), str(first), lake.root]
    (folder := tmp_path / "weights").mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    uri, _ = lake.put_weights(folder, "base")
    assert branch.get_weights(uri).is_relative_to(tmp_path / "main"), "weights of the lake are not copied"
    (folder / "model.safetensors").write_bytes(b"others")
    assert branch.get_weights(branch.put_weights(folder, "base")[0]).is_relative_to(second)


def test_queries_of_a_branch_see_both(lake, tmp_path):
    make_branch(tmp_path / "branch", lake.root, ["web.curated"])
    lake_at(tmp_path / "branch").write(CURATED, frame(CURATED, [{"id": "c2", "snapshot": "S1"}]), "S1")
    warehouse = Warehouse(root=str(tmp_path / "branch"), catalog=str(tmp_path / "catalog.duckdb"))
    warehouse.refresh([DOCUMENTS, CURATED], None)
    with warehouse.connect(refresh=False) as connection:
        query = "select (select id from web.documents), (select id from web.curated)"
        assert connection.execute(query).fetchall() == [("d1", "c2")]


def test_a_folder_stays_the_branch_that_it_is(lake, tmp_path):
    make_branch(tmp_path / "branch", lake.root, ["web.curated"])
    make_branch(tmp_path / "branch", lake.root, ["web.curated"])
    with pytest.raises(LakeError, match="other tables of its own: delete the folder"):
        make_branch(tmp_path / "branch", lake.root, ["web.documents"])
    with pytest.raises(LakeError, match="copy it to a folder first"):
        make_branch(tmp_path / "remote", "s3://bucket/lake", ["web.curated"])
