"""The table stays complete when writers are killed, when writers race, and when the disk is full."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import polars as pl
import pytest

from nemotron_assets.table.columns import ID, SNAPSHOT
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Column, Table
from resources.contract import LakeError
from resources.lakehouse import Lakehouse

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
ROWS = Table(
    "web",
    "rows",
    "",
    (ID, SNAPSHOT, Column("file", "string", ""), Column("text", "string", ""), Column("n", "int64", "")),
    partition_by="snapshot",
    part_by="file",
)


def rows(snapshot: str, file: str, count: int, width: int = 20) -> pl.DataFrame:
    texts = [os.urandom(width // 2).hex() if width > 100 else "t" * width for _ in range(count)]
    frame = pl.DataFrame({"text": texts, "n": range(count)}, schema_overrides={"n": pl.Int64})
    return frame.select(
        id=pl.format(f"{snapshot}/{file}/{{}}", "n"), snapshot=pl.lit(snapshot), file=pl.lit(file), text="text", n="n"
    )


def contents(lake: Lakehouse) -> dict[tuple[str, str], int]:
    """The number of rows per snapshot and file. Fails when an id is stored twice."""
    frame = lake.read(ROWS).scan().collect()
    assert frame["id"].is_unique().all()
    return {(s, f): n for s, f, n in frame.group_by("snapshot", "file").len().iter_rows()}


WRITER = """
    import sys, time
    sys.path.insert(0, {root!r})
    from tests.faults.test_writes import *
    lake = Lakehouse(root={lake!r}, free_disk_mb=0)

    def slow(file, count, pause):
        for start in range(count):
            print("batch", file, start, flush=True)
            time.sleep(pause)
            yield rows("A", file, count)[start : start + 1]

    {body}
"""


def writer(lake: Lakehouse, body: str) -> subprocess.Popen:
    code = textwrap.dedent(WRITER).format(root=str(ROOT), lake=lake.root, body=body)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def wait_for(process: subprocess.Popen, line: str) -> None:
    for text in process.stdout:
        if line in text:
            return
    raise AssertionError(f"the writer ended before it printed {line!r}")


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


PARTS = """lake.write(ROWS, Parts([Part(f, f, lambda f=f: slow(f, 40, {pause})) for f in ("x", "y", "z")]), "A")"""


def test_a_killed_writer_leaves_the_old_rows_and_the_next_one_finishes(lake):
    lake.write(ROWS, Parts([Part("y", "old", lambda: rows("A", "y", 7))]), "A")
    process = writer(lake, PARTS.format(pause=0.02))
    wait_for(process, "batch y 20")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(lake) == {("A", "x"): 40, ("A", "y"): 7}, "x is stored, y has its old rows"
    made = []
    todo = [Part(f, f, lambda f=f: (made.append(f), rows("A", f, 40))[1]) for f in ("x", "y", "z")]
    result = lake.write(ROWS, Parts(todo), "A")
    assert made == ["y", "z"] and result.parts_skipped == 1
    assert contents(lake) == {("A", "x"): 40, ("A", "y"): 40, ("A", "z"): 40}


@pytest.mark.parametrize("moment", range(4))
def test_killed_at_any_moment(lake, moment):
    """Whether the kill comes between files or in a commit, the next run ends with the same rows."""
    process = writer(lake, PARTS.format(pause=0.0))
    wait_for(process, "batch x 0")
    time.sleep(0.03 + 0.11 * moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert set(contents(lake).values()) <= {40}, "a part is stored completely or not at all"
    lake.write(ROWS, Parts([Part(f, f, lambda f=f: rows("A", f, 40)) for f in ("x", "y", "z")]), "A")
    assert contents(lake) == {("A", f): 40 for f in "xyz"}


def test_two_writers_of_different_partitions(lake):
    first = writer(lake, 'lake.write(ROWS, (rows("A", "a", 500) for _ in "1"), "A")')
    second = writer(lake, 'lake.write(ROWS, (rows("B", "b", 700) for _ in "1"), "B")')
    assert (first.wait(), second.wait()) == (0, 0)
    assert contents(lake) == {("A", "a"): 500, ("B", "b"): 700}


def test_two_writers_of_the_same_partition(lake):
    body = 'lake.write(ROWS, slow("a", 30, 0.01), "A")'
    first, second = writer(lake, body), writer(lake, body)
    assert (first.communicate()[0], second.communicate()[0]) != ("", "")
    assert (first.returncode, second.returncode) == (0, 0), "on one machine the second waits for the first"
    assert contents(lake) == {("A", "a"): 30}


def test_two_writers_of_the_same_parts_make_each_part_once(lake):
    writers = [writer(lake, PARTS.format(pause=0.02)) for _ in range(2)]
    printed = "".join(process.communicate()[0] for process in writers)
    assert [process.returncode for process in writers] == [0, 0] and printed.count("batch") == 3 * 40
    assert contents(lake) == {("A", f): 40 for f in "xyz"}


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 24 MB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_fails_cleanly(small_disk):
    lake = Lakehouse(root=str(small_disk / "lake"), free_disk_mb=0)
    lake.write(ROWS, rows("A", "a", 100), "A")
    before = set(small_disk.rglob("*.parquet"))
    with pytest.raises(LakeError, match="is full; nothing of this write was kept"):
        lake.write(ROWS, (rows("A", "a", 500, width=8000) for _ in range(40)), "A")
    assert contents(lake) == {("A", "a"): 100}
    assert set(small_disk.rglob("*.parquet")) == before, "no half-written file stays"
    lake.write(ROWS, rows("A", "a", 50), "A")
    assert contents(lake) == {("A", "a"): 50}


def test_too_little_disk_is_an_error_before_the_write(small_disk):
    lake = Lakehouse(root=str(small_disk / "lake"), free_disk_mb=512)
    with pytest.raises(LakeError, match=r"has \d+ MB of free disk; a write needs 512 MB"):
        lake.write(ROWS, rows("A", "a", 1), "A")
    assert not list(small_disk.rglob("*.parquet"))
