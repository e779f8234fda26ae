"""The folder of an export: it is replaced, continued after a kill, and files that no export wrote are never lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nemotron_assets.commands.tables import find
from nemotron_assets.export import ExportError, export
from nemotron_assets.export.card import CardError
from nemotron_assets.table.parts import Parts
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from resources.lakehouse import Lakehouse
from tests.export.dataset import COUNTS, fill, read, recipe


def test_a_second_export_does_nothing_and_a_changed_table_replaces(lake, tmp_path):
    out = tmp_path / "out"
    fill(lake, COUNTS)
    export(lake, NEMOTRON_CC_V2, out, recipe())
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    assert not export(lake, NEMOTRON_CC_V2, out, recipe()).written
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before
    fill(lake, COUNTS)  # the same rows again: another Delta version, the same content
    assert not export(lake, NEMOTRON_CC_V2, out, recipe()).written
    fill(lake, {**COUNTS, "High-Quality": 7})
    done = export(lake, NEMOTRON_CC_V2, out, recipe())
    assert done.written and done.moved_aside is None
    assert len(read(out, "High-Quality")) == 14
    (next((out / "data" / "Diverse-QA").iterdir())).write_bytes(b"damaged")
    assert export(lake, NEMOTRON_CC_V2, out, recipe()).written, "a damaged export is made again"
    assert len(read(out, "Diverse-QA")) == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "out"], "no other folder is left"


def test_partition(lake, tmp_path):
    table = fill(lake, COUNTS)
    done = export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(), partitions=["S2"])
    assert sum(c.rows for c in done.configs.values()) == table.filter(snapshot="S2").height
    assert set(read(tmp_path / "out", "High-Quality")["id"]) == set(
        table.filter(snapshot="S2", subset="High-Quality")["id"]
    )
    with pytest.raises(ExportError, match=r"no partition S3; it has S1, S2"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(), partitions=["S3"])


@pytest.mark.parametrize("where", ["a file", "in an export", "a folder", "a file in place of the folder"])
def test_other_files_are_refused_and_moved_aside_by_force(lake, tmp_path, where):
    fill(lake, COUNTS)
    out = tmp_path / "out"
    notes = out / "sub" / "notes.txt" if where == "a folder" else out / "notes.txt"
    if where == "in an export":
        export(lake, NEMOTRON_CC_V2, out, recipe())
    if where == "a file in place of the folder":
        notes = out
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text("my notes")
    with pytest.raises(ExportError, match="no export wrote"):
        export(lake, NEMOTRON_CC_V2, out, recipe())
    assert notes.read_text() == "my notes"
    done = export(lake, NEMOTRON_CC_V2, out, recipe(), force=True)
    moved = done.moved_aside if notes == out else done.moved_aside / notes.relative_to(out)
    assert moved.read_text() == "my notes"
    assert len(read(out, "High-Quality")) == 10


def test_an_empty_folder_is_used(lake, tmp_path):
    fill(lake, COUNTS)
    (tmp_path / "out").mkdir()
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "out"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 3, 6])
def test_it_goes_on_after_the_last_complete_shard(lake, tmp_path, after):
    table = fill(lake, {"High-Quality": 900, "Diverse-QA": 300}, width=4_096)
    small, out = recipe(shard_mb=1, row_group_mb=1), tmp_path / "out"
    lines = []

    def die(line: str) -> None:
        lines.append(line)
        if len(lines) == after:
            raise Killed

    with pytest.raises(Killed):
        export(lake, NEMOTRON_CC_V2, out, small, progress=die)
    assert not out.exists(), "the target appears only when the export is complete"
    work = tmp_path / "out.partial"
    with (work / "journal.jsonl").open("a") as journal:
        journal.write('{"config": "High-Qu')  # the kill cut this line
    (work / "data" / "High-Quality" / "train-00099.tmp").write_bytes(b"half")
    kept = {p: p.stat().st_mtime_ns for p in work.glob("data/*/*.parquet")}
    assert len(kept) == after
    lines = []
    export(lake, NEMOTRON_CC_V2, out, small, progress=lines.append)
    assert lines[0].startswith(f"going on after {after} shard")
    times = {p.stat().st_mtime_ns for p in out.glob("data/*/*.parquet")}
    assert set(kept.values()) <= times, "complete shards are not written again"
    reference = tmp_path / "reference"
    export(lake, NEMOTRON_CC_V2, reference, small)
    for config in ("High-Quality", "Diverse-QA"):
        assert read(out, config).equals(read(reference, config))
    assert (out / "export.json").read_bytes() == (reference / "export.json").read_bytes()
    assert len(read(out, "High-Quality")) + len(read(out, "Diverse-QA")) == len(table)


def test_a_changed_table_is_not_mixed_with_an_interrupted_export(lake, tmp_path):
    fill(lake, {"High-Quality": 900}, width=4_096)
    small, out, shards = recipe(shard_mb=1, row_group_mb=1), tmp_path / "out", []

    def die(line: str) -> None:
        shards.append(line)
        raise Killed

    with pytest.raises(Killed):
        export(lake, NEMOTRON_CC_V2, out, small, progress=die)
    table = fill(lake, {"High-Quality": 901}, width=4_096)
    export(lake, NEMOTRON_CC_V2, out, small)
    assert sorted(read(out, "High-Quality")["id"]) == sorted(table["id"])


@pytest.mark.faults
def test_sigkill(lake, tmp_path):
    """A process is killed by SIGKILL while it writes, and a second process finishes the export."""
    fill(lake, {"High-Quality": 4_000}, width=4_096)
    out = tmp_path / "out"
    script = (
        "import sys; from pathlib import Path; import tests.export.dataset as t\n"
        "from nemotron_assets.export import export\n"
        "export(t.Lakehouse(root=sys.argv[1], free_disk_mb=0), t.NEMOTRON_CC_V2, Path(sys.argv[2]),\n"
        "         t.recipe(shard_mb=1, row_group_mb=1), progress=lambda line: print(line, flush=True))\n"
    )
    arguments = [sys.executable, "-c", script, lake.root, str(out)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        assert "shard" in process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0 and "going on after" in done.stdout, done.stderr[-2000:]
    assert read(out, "High-Quality")["id"].n_unique() == 8_000


def test_two_exports_into_one_folder(lake, tmp_path):
    fill(lake, COUNTS)
    refused = []

    def other(line: str) -> None:
        if not refused:
            with pytest.raises(ExportError, match="another export is writing"):
                export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
            refused.append(line)

    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(), progress=other)
    assert refused


def test_a_full_disk_is_an_error_and_complete_shards_are_kept(lake, tmp_path, monkeypatch):
    fill(lake, {"High-Quality": 900}, width=4_096)
    small = recipe(shard_mb=1, row_group_mb=1)
    free = iter([10_000 << 20, 10_000 << 20])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=next(free, 0)))
    with pytest.raises(ExportError, match=r"0 MB of free disk.*run the same command again"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", small)
    monkeypatch.undo()
    lines = []
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", small, progress=lines.append)
    assert lines[0].startswith("going on after 2 shards")


def test_an_error_says_why_a_table_cannot_be_exported(lake, tmp_path):
    lake.write(NEMOTRON_CC_V2, Parts([]), "S1")
    with pytest.raises(ExportError, match="has no rows"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "none", recipe())
    lake = Lakehouse(root=str(tmp_path / "lake2"), free_disk_mb=0)
    with pytest.raises(ExportError, match=r"web\.documents is not published as a dataset; .*web\.nemotron_cc_v2"):
        export(lake, find("web/documents"), tmp_path / "out", recipe())
    with pytest.raises(Exception, match=r"there is no table 'web/nemotron'; perhaps web\.nemotron_cc_v2"):
        find("web/nemotron")
    with pytest.raises(ExportError, match=r"has not been written yet: `nemotron run \+web/nemotron_cc_v2`"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
    fill(lake, COUNTS)
    with pytest.raises(CardError, match=r"release\.licence_text: .*nowhere\.txt cannot be read"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(licence_text=str(tmp_path / "nowhere.txt")))
    assert not list(tmp_path.glob("out*")), "no export was started"
