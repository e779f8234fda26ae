"""`nemotron ingest`: its exit code and its last line say when a snapshot cannot be used."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nemotron_assets.commands.ingest import conclusion
from tests.commands.test_cli import nemotron


@pytest.mark.parametrize(
    ("status", "note", "warning", "pages", "unusable", "failed", "line"),
    [
        ("done", "", "", 5, 0, False, "snapshot own is stored; `nemotron run"),
        ("done", "", "", 5, 2, False, "snapshot own is stored (2 files could not be used); "),
        ("done", "", "", 5, 1, False, "snapshot own is stored (1 file could not be used); "),
        ("done", "", "check broken_records failed", 5, 0, False, "is stored (check broken_records failed); "),
        ("done", "check unique_page_ids failed", "", 5, 0, True, "is not ready for use: check unique_page_ids failed"),
        ("done", "", "", 0, 0, True, "is not ready for use: it has no page"),
        ("failed", "the disk is full", "", 5, 0, True, "is not ready for use: the disk is full"),
        ("skipped", "", "", 0, 0, True, "is not ready for use: it has no page"),
    ],
)
def test_the_last_line(status, note, warning, pages, unusable, failed, line):
    outcome = SimpleNamespace(status=status, note=note, warning=warning)
    found = conclusion("own", outcome, pages, unusable)
    assert found[0] is failed and line in found[1]


def test_a_snapshot_without_a_page_is_a_failure(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "blank.jsonl").write_text(json.dumps({"text": " "}) + "\n")
    (own / "empty.jsonl").write_text("")
    options = ("--snapshot", "own", "--text-column", "text")
    printed = nemotron(tmp_path / "home", "ingest", str(own), *options, code=1)
    assert f"not usable: {own}/empty.jsonl is empty\n" in printed
    last = printed.splitlines()[-1]
    assert last.startswith("snapshot own is not ready for use: ")
    assert "no record can be used as a page, by their fates: 1 empty, 1 empty_file" in last
    refused = nemotron(tmp_path / "home", "ingest", str(own), *options, "--strict", code=1)
    assert "empty.jsonl is empty (--strict refuses such a file)" in refused


def test_a_file_that_is_damaged_in_its_middle_is_said_and_refused_by_strict(tmp_path):
    lines = b"".join(json.dumps({"text": f"text {n} {'abc' * (n % 7)}"}).encode() + b"\n" for n in range(3_000))
    packed = gzip.compress(lines)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    words = ("ingest", str(tmp_path / "cut.jsonl.gz"), "--snapshot", "own", "--text-column", "text")
    last = nemotron(tmp_path / "home", *words).splitlines()[-1]
    assert last.startswith("snapshot own is stored (1 file is damaged, and what could not be read is missing)")
    last = nemotron(tmp_path / "home", *words, "--strict", code=1).splitlines()[-1]
    assert last == "snapshot own is not ready for use: 1 file is damaged (--strict refuses such a file)"


def test_a_mistake_is_found_before_dagster_is_loaded(tmp_path):
    script = (
        "import sys; from click.testing import CliRunner; from nemotron_assets.commands.cli import cli\n"
        f"result = CliRunner().invoke(cli, ['ingest', {str(tmp_path / 'no.jsonl')!r}, '--snapshot', 'own'])\n"
        "print(result.exception, {'dagster', 'polars', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'no.jsonl'} does not exist set()\n"
