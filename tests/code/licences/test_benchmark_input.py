"""The forms in which `benchmarks/licenses.py` takes repositories and expectations, and its errors for others."""

from __future__ import annotations

import json

import polars as pl
import pytest

from benchmarks.licenses import main, read, read_truth


def truth(tmp_path, *rows: dict) -> dict:
    file = tmp_path / "truth.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_truth(file)


@pytest.mark.parametrize("folder", ["own/er", "own__er", "own--er", "own_er", "er", "own/er/c0"])
def test_folders(tmp_path, folder):
    place = tmp_path / "in" / folder
    (place / "src").mkdir(parents=True)
    (place / "src" / "a.py").write_text("x = 1\n")
    (place / "LICENSE").write_bytes("MIT License\n".encode("utf-16"))
    (place / "b.png").write_bytes(b"\x89PNG\0\0\0\1")
    (place / "link").symlink_to("/etc/passwd")
    expected = truth(tmp_path, {"repo": "own/er", "expected": "accept", "commit_id": "c0"})
    assert list(read(tmp_path / "in", expected)) == [
        ("own/er", "c0", [("LICENSE", "MIT License\n"), ("src/a.py", "x = 1\n")])
    ]


def test_names_without_an_owner_and_names_that_lead_out(tmp_path):
    (tmp_path / "in" / "er").mkdir(parents=True)
    (tmp_path / "in" / "er" / "a.py").write_text("x = 1\n")
    assert [r[0] for r in read(tmp_path / "in", truth(tmp_path, {"repo": "er", "expected": "reject"}))] == ["er"]
    with pytest.raises(ValueError, match=r"none of the truth's 1 repositories \(\.\./in\)"):
        list(read(tmp_path / "in", truth(tmp_path, {"repo": "../in", "expected": "reject"})))


def test_what_is_not_there_is_said(tmp_path, capsys):
    (tmp_path / "in" / "er").mkdir(parents=True)
    (tmp_path / "in" / "er" / "a.py").write_text("x = 1\n")
    rows = [{"repo": "er", "expected": "reject"}, {"repo": "own/gone", "expected": "accept"}]
    assert [r[0] for r in read(tmp_path / "in", truth(tmp_path, *rows))] == ["er"]
    assert "1 of the truth's 2 repositories (own/gone)" in capsys.readouterr().err


def test_parquet(tmp_path):
    rows = pl.DataFrame({"repo": ["o/r"], "rel_path": ["a.py"], "content": ["x = 1\n"]})
    rows.write_parquet(tmp_path / "some.parquet")
    expected = truth(tmp_path, {"repo": "o/r", "expected": "accept"})
    assert list(read(tmp_path / "some.parquet", expected)) == [("o/r", "", [("a.py", "x = 1\n")])]
    folder = tmp_path / "in"
    folder.mkdir()
    rows.with_columns(commit_id=pl.lit("c0")).write_parquet(folder / "files.parquet")
    pl.DataFrame(
        {"repo": ["o/r"], "commit_id": ["c0"], "licence_files": [[{"path": "LICENSE", "text": "MIT License\n"}]]}
    ).write_parquet(folder / "repositories.parquet")
    assert list(read(folder, expected)) == [("o/r", "c0", [("LICENSE", "MIT License\n"), ("a.py", "x = 1\n")])]
    rows.drop("rel_path").write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="lacks the columns"):
        list(read(tmp_path / "other.parquet", expected))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('{"repo": "a/b", "expected": "yes"}', "row 1: it needs repo, and expected"),
        ('{"repo": "a/b", "expected": "accept", "files": {"x": "no"}}', "row 1"),
        ("repo,expected", "not one JSON object per line"),
        ("", "is empty"),
        ("[]", "is empty"),
    ],
)
def test_truth_that_cannot_be_read(tmp_path, content, error, capsys):
    file = tmp_path / "truth"
    file.write_text(content)
    with pytest.raises(ValueError, match=error):
        read_truth(file)
    assert main(["--input", str(tmp_path), "--truth", str(file)]) == 2
    assert "licenses:" in capsys.readouterr().err


def test_a_list_is_a_truth_as_well(tmp_path):
    file = tmp_path / "truth.json"
    file.write_text(json.dumps([{"repo": "a/b", "expected": "accept", "commit_id": None}]))
    assert set(read_truth(file)) == {("a/b", "")}
