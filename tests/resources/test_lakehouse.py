"""The lake: the write contract, partitions and parts, markers, rejects, schema changes, weights, object stores."""

import os
import urllib.request

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.table.columns import ID, PARENTS, SNAPSHOT
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from nemotron_assets.table.schema import Column, Table
from resources.contract import CommitConflict, ContentHash, ContractError, LakeError, checked
from resources.lakehouse import QUARANTINE, Lakehouse
from resources.weights import WeightsError
from tests.s3 import s3_server

DOCS = Table(
    "web",
    "docs",
    "Documents of the tests.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("file", "string", "name of the part"),
        Column("n", "int64", "a number"),
        Column("at", "timestamp", "a time", nullable=True, volatile=True),
    ),
    partition_by="snapshot",
    part_by="file",
)
PLAIN = Table("web", "plain", "Unpartitioned.", (ID, Column("n", "int64", "a number")))


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def docs(snapshot: str, file: str, numbers, at=None) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": f"{snapshot}/{file}/{n}", "parents": ["p"], "snapshot": snapshot, "file": file, "n": n, "at": at}
        for n in numbers
    ).cast({"at": pl.Datetime("us", "UTC")})


def parts(snapshot: str, calls: list, **files) -> Parts:
    """One part per file. `calls` collects the files whose part was made."""

    def make(file):
        calls.append(file)
        return docs(snapshot, file, files[file])

    return Parts([Part(file, f"{file}:{files[file]}", lambda file=file: make(file)) for file in files])


def numbers(lake, snapshot=None):
    return sorted(lake.read(DOCS, snapshot).scan().collect()["n"])


def data_files(lake, table):
    return {f for _, _, names in os.walk(lake.path(table)) for f in names if f.endswith(".parquet")}


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


def test_finished_parts_are_skipped_and_others_made(lake):
    calls = []
    first = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    again = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    assert calls == ["x", "y"]
    assert (again.parts_skipped, again.data_version) == (2, first.data_version)
    changed = lake.write(DOCS, parts("A", calls, x=[1], y=[5]), "A")
    assert calls == ["x", "y", "y"] and changed.data_version != first.data_version
    assert numbers(lake) == [1, 5]
    lake.write(DOCS, parts("A", calls, x=[1]), "A")
    assert numbers(lake) == [1], "a part that is no longer listed is deleted"
    lake.write(DOCS, parts("A", calls, x=[1]), "A", force=True)
    assert calls[-1] == "x"
    lake.write(DOCS, parts("A", calls, x=[1]), "A", code_version="new")
    assert calls[-2:] == ["x", "x"]


def test_incomplete_parts_leave_the_other_parts_alone(lake):
    calls = []
    whole = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    version = lake.read(DOCS).version
    none = lake.write(DOCS, Parts([], complete=False), "A")
    assert (none.data_version, none.rows, lake.read(DOCS).version) == (whole.data_version, 2, version)
    some = Parts(parts("A", calls, y=[5], z=[3]).parts, complete=False)
    assert lake.write(DOCS, some, "A").rows == 3 and numbers(lake) == [1, 3, 5]
    again = lake.write(DOCS, Parts([], complete=False), "A")
    assert again.data_version == lake.write(DOCS, parts("A", calls, x=[1], y=[5], z=[3]), "A").data_version
    assert calls == ["x", "y", "y", "z"]
    assert lake.write(DOCS, Parts([], complete=False), "B").rows == 0, "also in a partition without rows"


def test_incomplete_parts_may_be_the_first_rows_of_a_table(lake):
    assert lake.write(DOCS, Parts([], complete=False), "A").rows == 0 and lake.read(DOCS).exists


def test_a_part_may_have_an_empty_name(lake):
    """A data set may have rows without the name of a repository, for example."""
    named = {"": [1], "x": [2], "y": [3]}
    calls = []
    lake.write(DOCS, parts("A", calls, **named), "A")
    lake.write(DOCS, parts("A", calls, **named | {"": [4, 5]}), "A")
    assert calls == ["", "x", "y", ""] and numbers(lake) == [2, 3, 4, 5], "only this part was replaced"
    assert [b.num_rows for b in lake.read(DOCS, "A").part("").batches(["n"])] == [2]
    lake.write(DOCS, parts("A", calls, x=[2], y=[3]), "A")
    assert numbers(lake) == [2, 3], "only this part was deleted"


def test_a_concurrent_writer_while_parts_are_deleted_is_a_conflict(lake, monkeypatch):
    from deltalake.exceptions import CommitFailedError

    def fail(self, *args, **kwargs):
        raise CommitFailedError("a concurrent transaction deleted the same data")

    lake.write(DOCS, parts("A", [], x=[1], y=[2]), "A")
    monkeypatch.setattr(DeltaTable, "delete", fail)
    with pytest.raises(CommitConflict, match="run the step again"):
        lake.write(DOCS, parts("A", [], x=[1]), "A")


def test_data_version_is_the_content(lake):
    from datetime import UTC, datetime

    rows = docs("A", "f", range(100))
    one = lake.write(DOCS, rows, "A").data_version
    assert lake.write(DOCS, iter([rows[60:], rows[:60]]), "A").data_version == one, "order and batching do not count"
    later = docs("A", "f", range(100), at=datetime(2026, 1, 1, tzinfo=UTC))
    assert lake.write(DOCS, later, "A").data_version == one, "volatile columns do not count"
    assert lake.write(DOCS, rows.with_columns(n=pl.col("n") + 1), "A").data_version != one


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1), st.integers(0, 5), st.randoms())
def test_content_hash_ignores_order_and_nothing_else(values, change, random):
    def value(rows):
        content = ContentHash(PLAIN)
        frame = pl.DataFrame({"id": [str(v) for v in rows], "n": rows}, schema={"id": pl.String, "n": pl.Int64})
        list(content.counting(checked(PLAIN, frame, None)))
        return content.value

    shuffled = random.sample(values, len(values))
    assert value(shuffled) == value(values)
    assert value([*values, change]) != value(values)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (docs("A", "f", [1]).drop("n"), "missing column 'n'"),
        (docs("A", "f", [1]).with_columns(extra=1), "undeclared column 'extra'"),
        (docs("A", "f", [1]).cast({"n": pl.Int32}), "column 'n' is int32, declared int64"),
        (docs("A", "f", [1]).cast({"n": pl.String}), "column 'n' is"),
        (docs("A", "f", [1]).with_columns(n=pl.lit(None, pl.Int64)), "column 'n' has 1 nulls"),
        (docs("B", "f", [1]), "column 'snapshot' holds 'B'"),
    ],
)
def test_contract_is_checked_before_anything_is_written(lake, frame, words):
    with pytest.raises(ContractError, match=words):
        lake.write(DOCS, frame, "A")
    assert not os.path.exists(lake.path(DOCS)), "not even the table"
    lake.write(DOCS, docs("A", "f", [7]), "A")
    files, version = data_files(lake, DOCS), lake.open(DOCS).version()
    with pytest.raises(ContractError):
        lake.write(DOCS, iter([docs("A", "f", [8]), frame]), "A")
    assert (data_files(lake, DOCS), lake.open(DOCS).version(), numbers(lake)) == (files, version, [7])


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
    lake.replace(PLAIN, pl.DataFrame({"id": ["c"], "n": [3]}), "n >= 2")
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


class TestOlderLake:
    """A lake of an earlier version can be opened, or the error says what to do."""

    def test_a_new_nullable_column_evolves_in_place(self, lake):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
        newer = Table("web", "plain", "", (*PLAIN.columns, Column("more", "string", "new", nullable=True)))
        assert lake.read(newer).scan().collect().rows() == [("a", 1, None)]
        assert next(lake.read(newer).batches(["more", "n"])).to_pylist() == [{"more": None, "n": 1}]
        lake.append(newer, pl.DataFrame({"id": ["b"], "n": [2], "more": ["x"]}))
        assert sorted(lake.read(newer).scan().collect().rows()) == [("a", 1, None), ("b", 2, "x")]

    @pytest.mark.parametrize(
        ("columns", "version", "words"),
        [
            ((ID, Column("n", "string", "")), 1, "column 'n' is"),
            ((ID,), 1, "column 'n' is no longer declared"),
            ((*PLAIN.columns, Column("more", "string", "")), 1, "'more' is not stored and must not be null"),
            (PLAIN.columns, 2, "schema version 1, this program writes version 2"),
        ],
    )
    def test_anything_else_says_what_to_do(self, lake, columns, version, words):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
        newer = Table("web", "plain", "", columns, version=version)
        with pytest.raises(LakeError, match=r"nemotron maintain --set-aside web\.plain") as error:
            lake.read(newer)
        assert words in str(error.value)

    def test_set_aside_keeps_the_old_table(self, lake, monkeypatch):
        from nemotron_assets.lake import upkeep

        monkeypatch.setattr(upkeep, "all_tables", lambda: {"web.plain": PLAIN})
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
        said = upkeep.set_aside(lake, "web.plain")
        kept = said.split("kept in ")[1].split(";")[0]
        assert DeltaTable(kept).version() >= 0 and not lake.read(PLAIN).exists
        with pytest.raises(LakeError, match=r"no table 'web\.nothing'"):
            upkeep.set_aside(lake, "web.nothing")


def test_secrets_are_refused_in_storage_options():
    with pytest.raises(Exception, match="AWS_SECRET_ACCESS_KEY") as error:
        Lakehouse(root="s3://bucket", storage_options={"aws_secret_access_key": "hunter2"})
    assert "environment variables" in str(error.value)


def test_weights_are_stored_once_and_verified(lake, tmp_path):
    folder = tmp_path / "weights"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"w" * 100)
    (folder / "sub" / "config.json").write_text("{}")
    uri, digest = lake.put_weights(folder, "base")
    assert lake.put_weights(folder, "base") == (uri, digest)
    assert (lake.get_weights(uri) / "sub" / "config.json").read_text() == "{}"
    (folder / "model.safetensors").write_bytes(b"v" * 100)
    assert lake.put_weights(folder, "base")[1] != digest
    with pytest.raises(WeightsError, match="materialise the model again"):
        lake.get_weights(f"{lake.root}/models/weights/base/none")
    with pytest.raises(WeightsError, match="no files"):
        lake.put_weights(tmp_path / "nothing", "base")


@pytest.fixture
def s3(monkeypatch, tmp_path):
    with s3_server() as endpoint:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "s3cret-value",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NEMOTRON_HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/lake", method="PUT"), timeout=5).close()
        yield "s3://lake/root"


def test_object_store(s3, tmp_path):
    """The same code works on S3, with credentials from the environment."""
    lake = Lakehouse(root=s3)
    calls = []
    lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    again = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    assert (calls, again.parts_skipped) == (["x", "y"], 2)
    assert numbers(lake, "A") == [1, 2]
    assert sum(b.num_rows for b in lake.read(DOCS, "A").batches()) == 2
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(os.urandom(1 << 20))
    uri, _ = lake.put_weights(folder, "base")
    copy = lake.get_weights(uri)
    assert (copy / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert "s3cret-value" not in str(lake.open(DOCS).history()) + repr(lake)


def test_a_table_of_another_program_is_an_error(lake):
    write_deltalake(lake.path(PLAIN), pa.table({"id": ["a"], "n": ["text"]}))
    with pytest.raises(LakeError, match="another version of the lakehouse"):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))


def test_a_part_in_a_compacted_file_is_replaced_alone(lake):
    calls = []
    lake.write(DOCS, parts("A", calls, x=[1, 2], y=[3], z=[4]), "A")
    lake.write(DOCS, parts("B", calls, x=[9]), "B")
    lake.open(DOCS).optimize.compact()
    assert len(lake.open(DOCS).file_uris()) == 2
    result = lake.write(DOCS, parts("A", calls, x=[1, 2], y=[30, 31], z=[4]), "A")
    assert result.parts_skipped == 2, "parts are skipped after compaction too"
    assert numbers(lake, "A") == [1, 2, 4, 30, 31] and numbers(lake, "B") == [9]


def test_the_log_knows_rows_and_ranges(lake):
    lake.write(DOCS, docs("A", "f", [5, 7, 6]), "A")
    action = pa.table(lake.open(DOCS).get_add_actions(flatten=True)).to_pylist()[0]
    assert (action["num_records"], action["min.n"], action["max.n"]) == (3, 5, 7)
    assert (action["min.file"], action["max.file"], action["null_count.at"]) == ("f", "f", 3)


def test_an_error_after_the_commit_keeps_the_rows(lake, monkeypatch):
    lake.write(DOCS, docs("A", "f", [1]), "A")
    commit = DeltaTable.create_write_transaction

    def commit_then_fail(self, *args, **kwargs):
        commit(self, *args, **kwargs)
        raise OSError("No space left on device: the checkpoint")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", commit_then_fail)
    lake.write(DOCS, docs("A", "f", [2]), "A")
    assert numbers(lake) == [2]


@pytest.mark.parametrize("folder", ["a lake", "it's ours", "50%", "Zürich"])
def test_the_path_of_the_lake_may_need_quoting(tmp_path, folder):
    lake = Lakehouse(root=str(tmp_path / folder), free_disk_mb=0)
    lake.write(DOCS, docs("A", "f", [1]), "A")
    lake.write(DOCS, docs("A", "f", [2, 3]), "A")
    assert numbers(lake, "A") == [2, 3] and list(lake.read(DOCS, "A").parts()) == ["f"]
    assert sum(b.num_rows for b in lake.read(DOCS).batches()) == 2


def test_a_part_that_comes_back_is_made_again(lake):
    calls = []
    lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    lake.write(DOCS, parts("A", calls, x=[1]), "A")
    result = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    assert (calls, result.parts_skipped, numbers(lake)) == (["x", "y", "y"], 1, [1, 2])


def test_the_content_of_a_partition_changes_with_its_rows_only(lake):
    assert lake.read(DOCS, "s1").content() == ""
    lake.write(DOCS, parts("s1", [], a=[1, 2], b=[3]), "s1", code_version="1")
    lake.write(DOCS, parts("s2", [], a=[1]), "s2")
    first = lake.read(DOCS, "s1").content()
    lake.write(DOCS, parts("s1", [], a=[1, 2], b=[3]), "s1", code_version="2")  # all rows are written again
    assert lake.read(DOCS, "s1").content() == first != lake.read(DOCS, "s2").content()
    lake.write(DOCS, parts("s1", [], a=[1, 2], b=[4]), "s1")
    second = lake.read(DOCS, "s1").content()
    lake.write(DOCS, parts("s1", [], a=[1, 2]), "s1")
    assert len({first, second, lake.read(DOCS, "s1").content()}) == 3
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    plain = lake.read(PLAIN).content()
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    assert plain and lake.read(PLAIN).content() == plain


def test_rows_are_read_in_the_same_order_and_filtered(lake):
    for snapshot in ("s1", "s2"):
        lake.write(DOCS, parts(snapshot, [], **{f"f{k}": [k, k + 100] for k in range(6)}), snapshot)
    whole = lake.read(DOCS)
    ids = [i for b in whole.batches(["id"]) for i in b.column("id").to_pylist()]
    assert ids == [i for b in lake.read(DOCS).batches(["id"], batch_size=1) for i in b.column("id").to_pylist()]
    assert ids == [i for s in ("s1", "s2") for b in whole.within(s).batches(["id"]) for i in b.column("id").to_pylist()]
    found = [i for b in whole.within("s2").batches(["id"], where=("file", "f3")) for i in b.column("id").to_pylist()]
    assert sorted(found) == ["s2/f3/103", "s2/f3/3"]
    assert list(whole.batches(["id"], where=("file", "f9"))) == []
    assert whole.within(None) is whole and whole.within("s1").version == whole.version


def test_parts_are_read_of_one_partition(lake):
    with pytest.raises(LakeError, match=r"web\.docs was never written: materialise web/docs first"):
        lake.read(DOCS, "s1").parts()
    lake.write(DOCS, parts("s1", [], a=[1]), "s1")
    with pytest.raises(LakeError, match="read one partition, not all"):
        lake.read(DOCS).parts()
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    with pytest.raises(LakeError, match=r"web\.plain has no parts"):
        lake.read(PLAIN).parts()


def test_compaction_is_not_the_last_write(lake):
    assert lake.read(DOCS).commit() == {}
    lake.write(DOCS, parts("s1", [], a=[1], b=[2]), "s1", run_id="run 1", code_version="c1")
    reader = lake.read(DOCS)
    lake.open(DOCS).optimize.compact()
    lake.write(DOCS, parts("s2", [], a=[1]), "s2", run_id="run 2", code_version="c2")
    assert (reader.commit()["dagster_run_id"], reader.commit()["code_version"]) == ("run 1", "c1")
    assert lake.read(DOCS).commit()["dagster_run_id"] == "run 2"


def test_rows_of_one_value_are_found_in_files_without_statistics_of_it(tmp_path):
    table = Table("test", "mixed", "d", (ID, SNAPSHOT, Column("colour", "string", "m")), partition_by="snapshot")
    lake = Lakehouse(root=str(tmp_path), free_disk_mb=0)
    for snapshot in ("S1", "S2"):
        rows = {"id": ["1", "2", "3"], "snapshot": [snapshot] * 3, "colour": ["blue", "green", "blue"]}
        lake.write(table, pl.DataFrame(rows), snapshot)
    found = {
        colour: sum(batch.num_rows for batch in lake.read(table, "S1").batches(["id"], where=("colour", colour)))
        for colour in ("blue", "green", "red")
    }
    assert found == {"blue": 2, "green": 1, "red": 0}
    assert sum(batch.num_rows for batch in lake.read(table).batches(where=("colour", "blue"))) == 4
