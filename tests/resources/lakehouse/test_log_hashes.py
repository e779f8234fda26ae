"""Changed files of the Delta log are found, also those that are still valid JSON; logs without hashes stay readable."""

import dataclasses
import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from nemotron_assets.lake import upkeep
from nemotron_assets.recipe.lake import Maintenance
from nemotron_assets.table.schema import Column
from resources.lakehouse.log_hashes import log_files
from resources.store import store_at
from tests.resources.lakehouse.rows import DOCS, PLAIN, docs, parts

GROWN = dataclasses.replace(PLAIN, columns=(*PLAIN.columns, Column("m", "int64", "another number", nullable=True)))
UPKEEP = Maintenance.model_construct(target_file_mb=1, min_files=2, retention_hours=0)


def log(lake, table=DOCS) -> dict[str, str | None]:
    """What is wrong with the log's files, by their names."""
    return {Path(name).name: problem for name, problem in log_files(store_at(lake.path(table)))}


def commit(lake, version: int, table=DOCS) -> Path:
    return Path(lake.path(table), "_delta_log", f"{version:020}.json")


def rows(lake, table=DOCS):
    return sorted(lake.read(table).scan().collect().rows(), key=str)


def every_kind_of_commit(lake):
    """A table of two partitions with quoted names: created, written by part, replaced, dropped, compacted, vacuumed."""
    lake.write(DOCS, parts("A ü", [], x=[1, 2], y=[3], z=[4]), "A ü", run_id="r", code_version="c")
    lake.write(DOCS, parts("A ü", [], x=[1, 2], y=[5]), "A ü")
    upkeep.maintain_table(lake, DOCS, lake.open(DOCS), UPKEEP, (), dry_run=False)
    lake.write(DOCS, docs("B", "f", [6, 7]), "B")


def test_every_commit_of_every_kind_of_write_has_a_hash(lake):
    every_kind_of_commit(lake)
    for n in range(3):
        lake.append(PLAIN, pl.DataFrame({"id": [f"{n}"], "n": [n]}))
    lake.replace(PLAIN, pl.DataFrame({"id": ["1"], "n": [7]}), {"id": "1"})
    lake.create(GROWN)
    assert lake.open(GROWN).version() == 5
    for table in (DOCS, GROWN):
        assert set(log(lake, table).values()) == {""}
        newest = commit(lake, lake.open(table).version(), table)
        newest.write_bytes(newest.read_bytes().replace(b"actions_hash", b"actions_hush"))
        assert [name for name, problem in log(lake, table).items() if problem] == [newest.name]


def test_a_flipped_bit_of_a_commit_is_found_or_changes_no_row(lake, monkeypatch):
    """Without an effect are the time and the name of the program, and names of fields that are null."""
    monkeypatch.setattr(upkeep, "all_tables", lambda: {DOCS.full_name: DOCS})
    every_kind_of_commit(lake)
    whole, chance, found = rows(lake), random.Random(7), 0
    commits = sorted(Path(lake.path(DOCS), "_delta_log").glob("*.json"))
    for _ in range(250):
        path = chance.choice(commits)
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        if any(path.name in line for is_whole, line in upkeep.verify_all(lake) if not is_whole):
            found += 1
        else:
            assert rows(lake) == whole
        path.write_bytes(content)
    assert found > 225, "only changes without an effect are not found"
    assert all(is_whole for is_whole, _ in upkeep.verify_all(lake))


@pytest.mark.parametrize(
    ("before", "after"), [('{"add"', '{"bdd"'), ('"path"', '"pbth"'), ("numRecords", "numRecorda"), ('"txn"', '"txo"')]
)
def test_a_newest_commit_that_is_still_valid_json_is_found(lake, monkeypatch, before, after):
    monkeypatch.setattr(upkeep, "all_tables", lambda: {DOCS.full_name: DOCS})
    for n in range(2):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    path = commit(lake, 2)
    path.write_text(path.read_text().replace(before, after))
    lines = [line for is_whole, line in upkeep.verify_all(lake) if not is_whole]
    assert f"web.docs: the file {path} of its log" in lines[0]
    assert "nemotron maintain --set-aside web.docs" in lines[0]


def test_damage_that_is_older_than_the_next_commit_is_found(lake):
    """The next commit records the hash of the damaged file; the file's own hash still shows the damage."""
    lake.write(DOCS, docs("A", "f", [1]), "A")
    path = commit(lake, 1)
    path.write_text(path.read_text().replace('\\"n\\": 1', '\\"n\\": 2'))
    lake.write(DOCS, docs("B", "f", [1]), "B")
    assert [name for name, problem in log(lake).items() if problem] == [path.name]


def test_checkpoints_have_hashes_and_old_commits_may_go(lake):
    for n in range(3):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    lake.open(DOCS).create_checkpoint()
    checkpoint = commit(lake, 3).with_suffix(".checkpoint.parquet")
    assert log(lake)[checkpoint.name] is None, "nothing is recorded before the next commit"
    lake.write(DOCS, docs("B", "f", [9]), "B")
    for version in range(4):  # Delta deletes log entries before a checkpoint when they are old
        commit(lake, version).unlink()
    assert log(lake) == {commit(lake, 4).name: "", checkpoint.name: ""}
    lake.write(DOCS, docs("B", "f", [8]), "B")
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    assert "a later commit recorded" in log(lake)[checkpoint.name]


def test_commits_of_another_program_are_counted_and_only_their_form_is_checked(lake, monkeypatch):
    monkeypatch.setattr(upkeep, "all_tables", lambda: {PLAIN.full_name: PLAIN})
    schema = PLAIN.arrow_schema()
    DeltaTable.create(lake.path(PLAIN), schema, configuration={"nemotron.version": "1"}, raise_if_key_not_exists=False)
    for n in range(2):
        write_deltalake(lake.path(PLAIN), pa.table({"id": [f"{n}"], "n": [n]}, schema), mode="append")
    ((whole, line),) = upkeep.verify_all(lake)
    assert whole and "3 files of its log were not checked" in line
    lake.append(PLAIN, pl.DataFrame({"id": ["c"], "n": [3]}))
    assert log(lake, PLAIN) == {
        commit(lake, version, PLAIN).name: None if version < 2 else "" for version in (3, 2, 1, 0)
    }
    path = commit(lake, 1, PLAIN)
    path.write_text(path.read_text().replace('{"add"', '{"bdd"'))
    assert log(lake, PLAIN)[path.name] == "has the action 'bdd', which Delta does not know"


def test_a_table_with_other_partitions_is_refused(lake):
    """A changed list of partition columns would read the partition column from the files, which lack it."""
    lake.write(DOCS, docs("A", "f", [1]), "A")
    with pytest.raises(Exception, match=r"it is partitioned by \['snapshot'\], this program partitions it by 'file'"):
        lake.open(dataclasses.replace(DOCS, partition_by="file"))
