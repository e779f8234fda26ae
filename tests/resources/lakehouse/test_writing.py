"""Writing a lake: partitions, rejects, errors, commits, row groups."""

import os

import polars as pl
import pytest
from deltalake import DeltaTable

from nemotron_assets.table.columns import ID
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from nemotron_assets.table.schema import Column, Table
from resources.contract import LakeError
from resources.lakehouse import QUARANTINE, Lakehouse, commits
from resources.lakehouse.changes import compact
from tests.resources.lakehouse.rows import DOCS, PLAIN, data_files, docs, numbers, parts


def test_partition_replaces_only_itself(lake):
    lake.write(DOCS, docs("A", "f", [1, 2]), "A")
    lake.write(DOCS, docs("B", "f", [3]), "B")
    lake.write(DOCS, docs("A", "f", [4]), "A")
    assert numbers(lake) == [3, 4]
    assert numbers(lake, "A") == [4]
    assert DeltaTable(lake.path(DOCS)).metadata().partition_columns == ["snapshot"]


@pytest.mark.parametrize("name", ["it's", "a/b", "a=b", "naïve ", "%27", 'x" OR 1=1'])
def test_partition_and_part_names_may_be_anything(lake, name):
    calls = []
    lake.write(DOCS, parts(name, calls, **{name: [1]}), name)
    lake.write(DOCS, parts("other", calls, other=[2]), "other")
    result = lake.write(DOCS, parts(name, calls, **{name: [1]}), name)
    assert (result.parts_skipped, result.rows) == (1, 1)
    assert numbers(lake, name) == [1]
    assert list(lake.read(DOCS, name).parts()) == [name]
    assert [b.num_rows for b in lake.read(DOCS, name).part(name).batches(["n"])] == [1]


def test_an_error_in_the_stream_is_raised_and_leaves_no_file(lake):
    lake.write(DOCS, docs("A", "f", [7]), "A")
    files = data_files(lake, DOCS)

    def rows():
        yield docs("A", "f", range(1000))
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        lake.write(DOCS, rows(), "A")
    assert (data_files(lake, DOCS), numbers(lake)) == (files, [7])


@pytest.mark.parametrize("name", ["C#", "C++", "a b", "50%", "ü/x", "a%23b", "q?=&"])
def test_a_partition_whose_name_needs_quoting_is_replaced_not_doubled(lake, name):
    table = Table("code", "named", "", (ID, Column("language", "string", "")), partition_by="language")
    for number in range(3):
        rows = pl.DataFrame({"id": [f"row {number}"], "language": [name]})
        assert lake.write(table, rows, name).rows == 1
        assert lake.read(table, name).scan().collect()["id"].to_list() == [f"row {number}"]


def test_empty_results_make_an_empty_table(lake):
    assert lake.write(DOCS, docs("A", "f", [1]).clear(), "A").rows == 0
    assert lake.write(DOCS, Parts([]), "B").rows == 0
    reader = lake.read(DOCS)
    assert reader.exists and reader.rows == 0
    assert lake.read(DOCS, "A").parts() == {}
    assert reader.scan().collect().columns == list(DOCS.column_names)
    never = lake.read(PLAIN)
    assert not never.exists and never.scan().collect().is_empty() and list(never.batches()) == []


def test_rejects_follow_their_part(lake):
    def make():
        rejects.add(Reject("row-1", "too_odd", "x" * 900))
        rejects.add(Reject("row-1", "too_odd"))
        return docs("A", "f", [1])

    rejects = Rejects()
    result = lake.write(DOCS, Parts([Part("f", "1", make)], rejects=rejects), "A", run_id="run-1")
    assert result.rejected == {"too_odd": 1}
    row = lake.read(QUARANTINE).scan().collect().row(0, named=True)
    assert (row["stage"], row["partition"], row["part"], row["row_id"]) == ("web.docs", "A", "f", "row-1")
    assert len(row["detail"]) <= 500 and row["run_id"] == "run-1"
    assert lake.write(DOCS, Parts([Part("f", "1", make)]), "A").rejected == {"too_odd": 1}, "the part was skipped"
    assert lake.write(DOCS, docs("A", "f", [1]), "A").rejected == {"too_odd": 1}
    clean = lake.write(DOCS, Parts([Part("f", "2", lambda: docs("A", "f", [1]))]), "A")
    assert clean.rejected == {}, "a part made again without rejects clears the old ones"


def test_rejects_of_a_part_that_failed_do_not_reach_another_part(lake):
    def make(file):
        rejects.add(Reject(f"row of {file}", "too_odd"))
        if fails:
            raise ZeroDivisionError("mine")
        return docs("A", file, [1])

    rejects = Rejects()
    todo = [Part(file, "1", lambda file=file: make(file)) for file in ("x", "y")]
    fails = True
    with pytest.raises(ZeroDivisionError, match="mine"):
        lake.write(DOCS, Parts(todo, rejects=rejects), "A")
    fails = False
    lake.write(DOCS, Parts(todo[1:] + todo[:1], rejects=rejects), "A")
    found = lake.read(QUARANTINE).scan().sort("part").select("part", "row_id").collect().rows()
    assert found == [("x", "row of x"), ("y", "row of y")]


def test_an_error_keeps_its_cause(lake):
    def make():
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("no such key") from error

    with pytest.raises(ValueError, match="no such key") as raised:
        lake.write(DOCS, Parts([Part("x", "1", make)]), "A")
    assert isinstance(raised.value.__cause__, KeyError)


def test_commits_carry_the_run_id(lake):
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}), run_id="run-9", code_version="c1")
    history = lake.open(PLAIN).history()
    assert [h.get("dagster_run_id") for h in history if h["operation"] == "WRITE"] == ["run-9"], "one commit"


def test_append_and_replace(lake):
    lake.append(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    lake.append(PLAIN, pl.DataFrame({"id": ["b"], "n": [2]}))
    lake.replace(PLAIN, pl.DataFrame({"id": ["c"], "n": [3]}), {"id": "b"})
    assert sorted(lake.read(PLAIN).scan().collect().rows()) == [("a", 1), ("c", 3)]


def test_partition_must_fit_the_table(lake):
    with pytest.raises(LakeError, match=r"web.docs is partitioned"):
        lake.write(DOCS, docs("A", "f", [1]))
    with pytest.raises(LakeError, match=r"web.plain is not partitioned"):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}), "A")


def test_lazy_frames_readers_and_batches_are_taken(lake):
    frame = pl.DataFrame({"id": ["a", "b"], "n": [1, 2]})
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    for data in (frame.lazy(), table, table.to_reader(), iter(table.to_batches()), iter([frame])):
        assert lake.write(PLAIN, data).rows == 2
    with pytest.raises(LakeError, match="cannot store a int"):
        lake.write(PLAIN, 3)


def test_wide_rows_get_small_row_groups(lake):
    import pyarrow.parquet as pq

    wide = Table("web", "wide", "", (ID, Column("html", "binary", "")))
    small = Lakehouse(root=lake.root, row_group_mb=1, free_disk_mb=0)
    rows = pl.DataFrame({"id": [str(i) for i in range(2000)], "html": [os.urandom(4000)] * 2000})
    small.write(wide, rows)
    file = pq.ParquetFile(lake.open(wide).file_uris()[0])
    assert max(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)) < 3 << 20


def test_an_error_after_the_commit_keeps_the_rows(lake, monkeypatch):
    lake.write(DOCS, docs("A", "f", [1]), "A")
    commit = DeltaTable.create_write_transaction

    def commit_then_fail(self, *args, **kwargs):
        commit(self, *args, **kwargs)
        raise OSError("No space left on device: the checkpoint")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", commit_then_fail)
    lake.write(DOCS, docs("A", "f", [2]), "A")
    assert numbers(lake) == [2]
    version = lake.append(DOCS, docs("B", "f", [3]))
    assert version == lake.read(DOCS).version, "the rows are added once"
    lake.replace(DOCS, docs("B", "f", [4]), {"snapshot": "B"})
    assert numbers(lake) == [2, 4]
    for number in (5, 6):
        lake.append(DOCS, docs("B", "f", [number]))
    assert compact(lake, DOCS, "B", 1 << 20, commits.properties("")) == (3, 1)
    assert numbers(lake) == [2, 4, 5, 6]


def test_a_commit_without_an_answer_is_not_repeated_although_its_file_was_joined_with_another(lake, monkeypatch):
    lake.append(DOCS, docs("B", "f", [1]))
    commit = DeltaTable.create_write_transaction

    def lose_the_answer(self, *args, **kwargs):
        commit(self, *args, **kwargs)
        DeltaTable(lake.path(DOCS)).optimize.compact()
        raise OSError("Generic S3 error: error sending request")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", lose_the_answer)
    lake.append(DOCS, docs("B", "f", [2]))
    assert numbers(lake) == [1, 2]


def test_compaction_is_not_the_last_write(lake):
    assert lake.read(DOCS).commit() == {}
    lake.write(DOCS, parts("s1", [], a=[1], b=[2]), "s1", run_id="run 1", code_version="c1")
    reader = lake.read(DOCS)
    lake.open(DOCS).optimize.compact()
    lake.write(DOCS, parts("s2", [], a=[1]), "s2", run_id="run 2", code_version="c2")
    assert (reader.commit()["dagster_run_id"], reader.commit()["code_version"]) == ("run 1", "c1")
    assert lake.read(DOCS).commit()["dagster_run_id"] == "run 2"
