"""Parquet dumps with unusual, wrong and damaged content."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.repositories import ParquetDump, RepositoryError, SourceError
from tests.resources.repositories.places import LIMITS

ONE, TWO = "1" * 40, "2" * 40


def dump(folder, name="files", **columns) -> ParquetDump:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=3)
    return ParquetDump("dump", folder, LIMITS)


def columns(rows: list[tuple]) -> dict[str, pa.Array]:
    repo, commit, path, content = zip(*rows, strict=True)
    return {
        "repo": pa.array(repo),
        "commit_id": pa.array(commit),
        "rel_path": pa.array(path),
        "content": pa.array(content),
    }


def read(source: ParquetDump) -> dict[tuple[str, str], list[tuple]]:
    return {(r.repo, r.commit_id): [(e.path, e.data, e.fate) for e in source.entries(r)] for r in source.repositories()}


def test_rows_may_be_in_any_order_and_commits_are_kept_apart(tmp_path):
    rows = [("o/a", ONE, "x", b"1"), ("o/b", ONE, "x", b"2"), ("o/a", TWO, "x", b"3"), ("o/b", ONE, "y", b"4"),
            ("o/a", ONE, "x", b"5"), ("o/a", ONE, None, b"6"), ("o/a", ONE, "z", None)]  # fmt: skip
    assert read(dump(tmp_path, **columns(rows))) == {
        ("o/a", ONE): [("x", b"1", None), ("x", b"5", None), ("None", None, "unreadable"), ("z", None, "unreadable")],
        ("o/b", ONE): [("x", b"2", None), ("y", b"4", None)],
        ("o/a", TWO): [("x", b"3", None)],
    }


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.binary(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_every_type_of_text_column_is_read(tmp_path, kind):
    made = columns([("o/a", ONE, "x", "1"), ("o/a", ONE, "y", "2")])
    source = dump(tmp_path, **{name: column.cast(kind) for name, column in made.items()})
    assert read(source) == {("o/a", ONE): [("x", b"1", None), ("y", b"2", None)]}


@pytest.mark.parametrize("name", ["repo", "commit_id", "rel_path", "content"])
def test_the_error_names_a_column_of_a_wrong_type(tmp_path, name):
    made = columns([("o/a", ONE, "x", b"1")])
    source = dump(tmp_path, **{**made, name: pa.array([7])})
    with pytest.raises(SourceError, match=f"{name}.*int64"):
        list(source.repositories())


def test_bytes_that_are_not_utf_8_are_kept_in_contents_and_names(tmp_path):
    """Writers of Parquet do not check that strings are UTF-8."""

    def text(*values: bytes) -> pa.Array:
        binary = pa.array(values, pa.binary())
        return pa.Array.from_buffers(pa.string(), len(values), binary.buffers())

    source = dump(
        tmp_path,
        repo=text(b"o/a", b"o/\xff", b"o/a"),
        commit_id=text(*[ONE.encode()] * 3),
        rel_path=text(b"x", b"x", b"\xff"),
        content=text(b"\xff1", b"2", b"3"),
    )
    found = {r.repo: list(source.entries(r)) for r in source.repositories()}
    assert set(found) == {"o/a", "o/\udcff"}
    assert [(e.path, e.data) for e in found["o/a"]] == [("x", b"\xff1"), ("\udcff", b"3")]


@pytest.mark.parametrize(
    "extra",
    [
        {"stars": pa.array([2**63], pa.uint64())},
        {"stars": pa.array([1.5])},
        {"version": pa.array([b"\xff\xfe"])},
        {"version": pa.array([{"a": 1}])},
        {"version": pa.array(["v" * 10_000])},
        {"updated_at": pa.array([2**62], pa.timestamp("us"))},
        {"updated_at": pa.array([1], pa.timestamp("ns"))},
        {"updated_at": pa.array(["yesterday"])},
        {"updated_at": pa.array([datetime.date(2020, 1, 1)])},
        {"updated_at": pa.array([1], pa.timestamp("us", "Mars/Phobos"))},
    ],
    ids=lambda extra: str(next(iter(extra.values())).type),
)
def test_invalid_metadata_of_a_repository_is_left_out(tmp_path, extra):
    from nemotron_assets.code.sources.files import as_rows

    dump(tmp_path, "repositories", repo=pa.array(["o/a"]), commit_id=pa.array([ONE]), **extra)
    source = dump(tmp_path, **columns([("o/a", ONE, "x", b"1")]))
    (batch,) = as_rows(source.repositories())
    assert batch.num_rows == 1 and len(batch["version"][0].as_py() or "") <= 100


def test_empty_dumps_have_no_repositories(tmp_path):
    empty = {name: pa.array([], pa.string()) for name in ("repo", "commit_id")}
    dump(tmp_path, "repositories", **empty)
    source = dump(tmp_path, **empty, rel_path=empty["repo"], content=pa.array([], pa.binary()))
    assert list(source.repositories()) == []


def test_rows_without_a_repository_form_a_repository_without_a_name(tmp_path):
    rows = columns([("o/a", ONE, "x", b"1"), ("o/a", ONE, "y", b"2")])
    rows["repo"] = pa.array([None, "o/a"], pa.string())
    assert read(dump(tmp_path, **rows)) == {(None, ONE): [("x", b"1", None)], ("o/a", ONE): [("y", b"2", None)]}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 900))
def test_a_damaged_dump_is_a_source_error_or_a_repository_error(tmp_path_factory, changes, cut):
    folder = tmp_path_factory.mktemp("dump")
    dump(folder, **columns([("o/a", ONE, f"x{n}", b"%d" % n * 50) for n in range(8)]))
    data = bytearray((folder / "files.parquet").read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    (folder / "files.parquet").write_bytes(data[: -cut or None] if cut < 50 else data)
    try:
        read(ParquetDump("dump", folder, LIMITS))
    except (SourceError, RepositoryError):
        pass
