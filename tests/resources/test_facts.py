"""The facts of tables: they follow every commit, and a damaged cache or log affects nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse
from resources.warehouse.facts import Facts, facts, facts_of, history

COUNTS = Table("web", "counts", "Counts.", (ID, Column("n", "int64", "how many")))
OTHERS = Table("web", "others", "Others.", COUNTS.columns)
ABSENT = Table("web", "absent", "Absent.", COUNTS.columns)


def counts(*numbers: int):
    import pyarrow as pa

    return pa.Table.from_pylist([{"id": str(n), "n": n} for n in numbers], COUNTS.arrow_schema())


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"))


@pytest.fixture
def warehouse(lake, tmp_path):
    return Warehouse(root=lake.root, catalog=str(tmp_path / "cache" / "lake.duckdb"))


def test_facts_follow_every_commit(lake, warehouse):
    lake.append(COUNTS, counts(1, 2))
    first = facts(warehouse, COUNTS)
    assert (first.rows, first.files, first.partitions) == (2, 1, None)
    assert facts(warehouse, COUNTS) == first
    lake.append(COUNTS, counts(3))
    second = facts(warehouse, COUNTS)
    assert (second.rows, second.files, second.version) == (3, 2, first.version + 1)
    assert [commit["version"] for commit in history(warehouse, COUNTS, 1)] == [second.version]


def test_a_table_that_was_made_again_has_new_facts(lake, warehouse):
    lake.append(COUNTS, counts(1, 2))
    before = facts(warehouse, COUNTS)
    shutil.rmtree(lake.path(COUNTS))
    assert facts(warehouse, COUNTS) is None
    assert history(warehouse, COUNTS, 1) == []
    lake.append(COUNTS, counts(1))
    after = facts(warehouse, COUNTS)
    assert (after.version, after.rows) == (before.version, 1)


def test_another_lake_has_facts_of_its_own(lake, warehouse, tmp_path):
    lake.append(COUNTS, counts(1, 2))
    assert facts(warehouse, COUNTS).rows == 2
    other = Lakehouse(root=str(tmp_path / "other"))
    other.append(COUNTS, counts(3))
    assert facts(Warehouse(root=other.root, catalog=warehouse.catalog), COUNTS).rows == 1
    assert facts(warehouse, COUNTS).rows == 2


def test_a_damaged_log_affects_no_other_table(lake, warehouse):
    for table in (COUNTS, OTHERS):
        lake.append(table, counts(1))
    log = Path(lake.path(COUNTS), "_delta_log")
    (log / "00000000000000000000.json").write_text("nonsense")
    found = facts_of(warehouse, [COUNTS, OTHERS, ABSENT])
    assert isinstance(found["web.counts"], Exception)
    assert isinstance(found["web.others"], Facts) and found["web.absent"] is None
    with pytest.raises(type(found["web.counts"])):
        facts(warehouse, COUNTS)


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"a": 1}', '{"a": [null, {"rows": 1}]}'])
def test_a_damaged_cache_is_replaced(lake, warehouse, content):
    lake.append(COUNTS, counts(1))
    expected = facts(warehouse, COUNTS)
    cache = warehouse.path.with_name("table_facts.json")
    cache.write_text(content)
    assert facts(warehouse, COUNTS) == expected
    assert cache.read_text() != content
