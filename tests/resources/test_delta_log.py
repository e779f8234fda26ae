"""Changed files of the Delta log are found, also those that are still valid JSON; logs without hashes stay readable."""

import dataclasses
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from nemotron_assets.lake import upkeep
from nemotron_assets.recipe.lake import Maintenance
from nemotron_assets.table.schema import Column
from resources.contract import LakeError
from resources.delta_log import DeltaLog
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse
from tests.resources.lakehouse.rows import DOCS, PLAIN, docs, parts


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


GROWN = dataclasses.replace(PLAIN, columns=(*PLAIN.columns, Column("m", "int64", "another number", nullable=True)))
UPKEEP = Maintenance.model_construct(target_file_mb=1, min_files=2, retention_hours=0)


def log(lake, table=DOCS) -> dict[str, str | None]:
    """What is wrong with the log's files, by their names."""
    return {Path(name).name: problem for name, problem in DeltaLog(lake.path(table)).files()}


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
    assert f"delete {path} and {lake.path(DOCS)}/_committed" in lines[0] and "nemotron run --force web/docs" in lines[0]


def test_damage_that_is_older_than_the_next_commit_is_found(lake, monkeypatch):
    """The next commit records the hash of the damaged file; the file's own hash still shows the damage."""
    monkeypatch.setattr("resources.lakehouse.lake.check_log", lambda *_: None)  # it would refuse the next commit
    lake.write(DOCS, docs("A", "f", [1]), "A")
    path = commit(lake, 1)
    path.write_text(path.read_text().replace('\\"n\\": 1', '\\"n\\": 2'))
    lake.write(DOCS, docs("B", "f", [1]), "B")
    assert [name for name, problem in log(lake).items() if problem] == [path.name]
    assert "nemotron maintain --set-aside web.docs" in DeltaLog(lake.path(DOCS)).way_out(path.name)


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
    assert "when it was committed it had" in log(lake)[checkpoint.name]


def test_commits_of_another_program_are_counted_and_only_their_form_is_checked(lake, monkeypatch):
    monkeypatch.setattr(upkeep, "all_tables", lambda: {PLAIN.full_name: PLAIN})
    schema = PLAIN.arrow_schema()
    DeltaTable.create(lake.path(PLAIN), schema, configuration={"nemotron.version": "1"}, raise_if_key_not_exists=False)
    for n in range(2):
        write_deltalake(lake.path(PLAIN), pa.table({"id": [f"{n}"], "n": [n]}, schema), mode="append")
    ((whole, line),) = upkeep.verify_all(lake)
    assert whole and "not checked: 3 files of its log" in line
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


# -- the read path, and the head of the log ----------------------------------------------------------------------------


def refusals(lake, tmp_path) -> list[str]:
    """How reading, writing, SQL and verification refuse a damaged table; fails if one of them does not."""
    found = []
    for use in (lambda: lake.read(DOCS), lambda: lake.write(DOCS, docs("A", "f", [5]), "A")):
        with pytest.raises(LakeError, match=r"web\.docs: ") as error:
            use()
        found.append(str(error.value))
    warehouse = Warehouse(root=lake.root, catalog=str(tmp_path / "lake.duckdb"))
    assert not warehouse.current([DOCS]), "a catalog that was made before the damage notices it"
    warehouse.refresh([DOCS], sql_folder=None)
    with warehouse.connect(refresh=False) as connection:
        with pytest.raises(duckdb.Error, match=r"web\.docs cannot be read: ") as error:
            connection.execute("select count(*) from web.docs")
        found.append(str(error.value))
    lines = [line for is_whole, line in upkeep.verify_all(lake) if not is_whole]
    assert lines and all(line.startswith("web.docs: ") for line in lines)
    return [*found, lines[0]]


@pytest.fixture
def written(lake, tmp_path, monkeypatch):
    """A lake with a table of four versions and a catalog, and the table's commits by version."""
    monkeypatch.setattr(upkeep, "all_tables", lambda: {DOCS.full_name: DOCS})
    for n in range(3):
        lake.write(DOCS, docs(f"S{n}", "f", [n]), f"S{n}")
    Warehouse(root=lake.root, catalog=str(tmp_path / "lake.duckdb")).refresh([DOCS], sql_folder=None)
    return lake, [commit(lake, version) for version in range(4)]


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_newest_commits_that_vanished_are_named_until_the_loss_is_accepted(written, tmp_path, lost):
    lake, commits = written
    whole = rows(lake)
    kept = {path: path.read_bytes() for path in commits[-lost:]}
    for path in kept:
        path.unlink()
    if lost == 4:
        with pytest.raises(LakeError, match=r"web\.docs: its versions 0 to 3 were committed"):
            lake.read(DOCS)
    else:
        for text in refusals(lake, tmp_path)[:3]:
            assert (
                "version 3 was" if lost == 1 else "versions 2 to 3 were"
            ) in text and "nemotron run --force web/docs" in text
    assert {name for name, problem in log(lake).items() if problem} == {path.name for path in kept}
    for path, content in kept.items():
        path.write_bytes(content)
    assert rows(lake) == whole and all(is_whole for is_whole, _ in upkeep.verify_all(lake))
    for path in kept:
        path.unlink()
    shutil.rmtree(Path(lake.path(DOCS), "_committed"))  # as the message says
    lake.write(DOCS, docs("S2", "f", [2]), "S2")
    assert len(rows(lake)) == max(4 - lost, 1) and all(is_whole for is_whole, _ in upkeep.verify_all(lake))


def test_a_commit_that_lacks_any_of_its_lines_is_refused(written, tmp_path):
    lake, commits = written
    for path in commits[1:]:
        content = path.read_bytes()
        lines = content.splitlines(keepends=True)
        assert b"commitInfo" in lines[0] and len(lines) > 2
        for gone in (lines[:1], lines[-1:], lines[1:2], lines[1:]):
            path.write_bytes(b"".join(line for line in lines if line not in gone))
            assert all(path.name in text for text in refusals(lake, tmp_path))
        path.write_bytes(content)
        Warehouse(root=lake.root, catalog=str(tmp_path / "lake.duckdb")).refresh([DOCS], sql_folder=None)
    assert len(rows(lake)) == 3


def test_a_newest_commit_without_notes_is_damaged_even_without_a_head(written):
    lake, commits = written
    shutil.rmtree(Path(lake.path(DOCS), "_committed"))
    content = commits[3].read_bytes()
    commits[3].write_bytes(b"".join(content.splitlines(keepends=True)[1:]))
    assert "commitInfo" in log(lake)[commits[3].name]
    with pytest.raises(LakeError, match="commitInfo"):
        lake.read(DOCS)


def test_a_flipped_bit_of_a_checkpoint_or_of_the_hint_to_it_is_refused_or_changes_no_row(lake):
    for n in range(4):
        lake.write(DOCS, docs(f"S{n}", "f", [n]), f"S{n}")
        if n in (0, 2):
            lake.open(DOCS).create_checkpoint()
    whole, chance, refused = rows(lake), random.Random(3), 0
    assert DeltaLog(lake.path(DOCS)).damage() == ""
    files = [commit(lake, 3).with_suffix(".checkpoint.parquet")] * 60
    files += [commit(lake, 3).with_name("_last_checkpoint")] * 120
    for path in files:
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert rows(lake) == whole
        except LakeError as error:
            assert "web.docs" in str(error)
            refused += 1
        path.write_bytes(content)
    assert refused >= 60, "every flip in the checkpoint is refused"


def test_a_crash_between_a_commit_and_its_head_is_no_damage(written, monkeypatch):
    lake, _ = written
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, "record", lambda *_: None)
        lake.write(DOCS, docs("S3", "f", [3]), "S3")
    log_of = DeltaLog(lake.path(DOCS))
    assert (log_of.head().version, lake.open(DOCS).version(), log_of.damage()) == (3, 4, "")
    assert set(log(lake).values()) == {""}, "the newest commit still has its own hash"
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, "_write_head", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        lake.write(DOCS, docs("S4", "f", [4]), "S4")  # the rows are stored
    lake.write(DOCS, docs("S5", "f", [5]), "S5")
    assert log_of.head().version == 6 and len(rows(lake)) == 6


def test_every_kind_of_commit_writes_the_head_and_a_late_writer_does_not_turn_it_back(lake):
    every_kind_of_commit(lake)
    lake.append(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    lake.replace(PLAIN, pl.DataFrame({"id": ["a"], "n": [7]}), {"id": "a"})
    lake.create(GROWN)
    for table in (DOCS, GROWN):
        newest = DeltaLog(lake.path(table))
        assert newest.head().version == lake.open(table).version() > 2
        assert len(newest.names("_committed")) == 1
        newest._write_head(f"{1:020}-{'0' * 32}")
        assert newest.head().version == lake.open(table).version() and newest.damage() == ""
    upkeep.maintain_table(lake, DOCS, lake.open(DOCS), UPKEEP, (), dry_run=False)
    assert DeltaLog(lake.path(DOCS)).head().version == lake.open(DOCS).version()


def test_writers_side_by_side_leave_the_head_of_the_newest_commit(lake):
    lake.create(DOCS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: lake.write(DOCS, docs(f"S{n}", "f", [n]), f"S{n}"), range(8)))
    assert DeltaLog(lake.path(DOCS)).head().version == lake.open(DOCS).version() == 8
    assert len(rows(lake)) == 8 and set(log(lake).values()) == {""}
