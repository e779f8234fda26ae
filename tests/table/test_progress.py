"""Progress of long steps: rows and rates in the log, and the time that is left."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from nemotron_assets.table.parts import Batches, Part, Parts
from nemotron_assets.table.progress import CPU_SECONDS, CpuClock, time_left, watched


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by four seconds whenever it is read."""
    seconds = iter(range(0, 10_000, 4))
    monkeypatch.setattr("nemotron_assets.table.progress.time.monotonic", lambda: next(seconds))


FRAMES = [pl.DataFrame({"id": [1, 2, 3]})] * 6


def test_rows_of_a_stream_are_logged_and_stay_the_same(clock):
    logged = []
    rows = watched(Batches(iter(FRAMES)), logged.append, CpuClock())
    assert list(rows.batches) == FRAMES
    assert logged == ["9 rows, 1 rows/s", "18 rows, 1 rows/s"]


def test_rows_of_parts_are_counted_together(clock):
    logged = []
    parts = Parts(Part(key, key, lambda: iter(FRAMES[:3])) for key in "ab")
    assert [list(part.make()) for part in watched(parts, logged.append, CpuClock()).parts] == [FRAMES[:3]] * 2
    assert logged == ["9 rows, 1 rows/s", "18 rows, 1 rows/s"]


def test_a_whole_frame_stays_as_it_is():
    assert watched(FRAMES[0], print, CpuClock()) is FRAMES[0]


def test_cpu_seconds_of_the_step_and_of_its_processes_are_facts_of_it():
    """Those of a process that has ended count, and those of one that still runs."""
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    clock = CpuClock()
    made = watched(Parts((), metadata=lambda: {"kept": 1}), print, clock)
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        running = made.metadata()
        child.communicate(b"\n")
    assert running["kept"] == 1 and running[CPU_SECONDS] >= 0.25
    assert watched(Batches(()), print, clock).metadata()[CPU_SECONDS] >= running[CPU_SECONDS] >= 0.25


@pytest.mark.parametrize(
    ("done", "total", "seconds", "words"),
    [
        (0, 10, 5, ""),
        (10, 10, 5, ""),
        (1, 10, 5, "about 45 s left"),
        (1, 41, 60, "about 40 min left"),
        (10, 100, 3_600, "about 9 h left"),
        (1, 100, 86_400, "about 99 days left"),
    ],
)
def test_time_that_is_left(done, total, seconds, words):
    assert time_left(done, total, seconds) == words
