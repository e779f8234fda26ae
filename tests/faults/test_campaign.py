"""The kill campaign itself: it hits whom and when it says, notices what went wrong, and goes on where it stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import psutil
import pytest

from benchmarks._faults_kill import Kill, Moment, draw, end, left_behind, play
from benchmarks._faults_scenes import answer, copy, write_files
from benchmarks._faults_state import differences
from benchmarks.faults import Campaign, Result, done_before, report
from tests.resources.endpoint import Endpoint

pytestmark = pytest.mark.faults

#: Prints two lines, then one when its child has ended, which sleeps.
PARENT = """
import subprocess, sys
print("one", flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
print("three", flush=True)
"""


def start(tmp_path, code: str = PARENT) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"NEMOTRON_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("number", "target", "code", "child_lives"),
    [
        (signal.SIGKILL, "group", -9, False),
        (signal.SIGKILL, "parent", -9, True),
        (signal.SIGKILL, "worker", 0, False),
        (signal.SIGTERM, "parent", -15, True),
    ],
)
def test_the_target_is_hit_after_the_event(tmp_path, number, target, code, child_lives):
    run = play(start(tmp_path), tmp_path, Kill(number, target, Moment(2, 0.3)), timeout=50)
    assert (run.code, run.hit) == (code, True)
    assert run.output.split()[:1] == ["one"] and ("three" in run.output) == (target == "worker")
    assert len(left_behind(tmp_path, wait=0 if child_lives else 5)) == child_lives
    assert left_behind(tmp_path, wait=5) == [], "what was left behind was ended"


def test_a_moment_that_never_comes_hits_nothing_and_a_run_that_hangs_is_ended(tmp_path):
    run = play(start(tmp_path, "print('done')"), tmp_path, Kill(signal.SIGKILL, "group", Moment(7, 0)), timeout=50)
    assert (run.code, run.hit, run.output) == (0, False, "done\n")
    before = time.monotonic()
    assert play(start(tmp_path), tmp_path, None, timeout=1).code == -9
    assert time.monotonic() - before < 30 and left_behind(tmp_path, wait=5) == []


def test_moments_are_drawn_all_over_a_run_and_the_same_for_the_same_seed():
    events = [0.0, 1.5, 4.0, 4.1, 9.0]
    moments = [draw(random.Random(seed), events, 10.0, early=False) for seed in range(300)]
    assert moments == [draw(random.Random(seed), events, 10.0, early=False) for seed in range(300)]
    times = [events[moment.event] + moment.seconds for moment in moments]
    assert all(0 <= at <= 10 for at in times)
    assert {moment.event for moment in moments} == set(range(5)), "short steps are hit as well"
    early = [draw(random.Random(seed), events, 10.0, early=True) for seed in range(300)]
    assert sum(moment.event < 2 for moment in early) > 2 * sum(moment.event < 2 for moment in moments)
    assert any(moment.event == 0 and moment.seconds < 1 for moment in early), "the first second is included"


def test_differences_name_the_partition_and_both_contents():
    expected = {"web.documents [A]": "3 rows 0a", "web.documents [B]": "1 rows 0b"}
    assert differences(expected, dict(expected)) == []
    found = {"web.documents [A]": "2 rows 0c", "runs that seem to be going on": "1"}
    assert differences(expected, found) == [
        "runs that seem to be going on: 1 instead of nothing",
        "web.documents [A]: 2 rows 0c instead of 3 rows 0a",
        "web.documents [B]: missing instead of 1 rows 0b",
    ]


def test_an_answer_that_was_stored_and_asked_for_again_is_noticed(tmp_path):
    endpoint = Endpoint(answer)
    campaign = Campaign(tmp_path, endpoint, "http://127.0.0.1:1/v1")
    endpoint.bodies += [{"seed": number} for number in (1, 2, 3)]
    assert campaign._paid_twice(0, 2, stored={1, 2}, expected={1, 2, 3}) == []
    endpoint.bodies += [{"seed": 3}]
    assert campaign._paid_twice(0, 2, {1, 2}, {1, 2, 3}) == [], "an answer that was under way may be lost"
    endpoint.bodies += [{"seed": 2}, {"seed": 9}]
    assert campaign._paid_twice(0, 2, {1, 2}, {1, 2, 3}) == [
        "1 answers that were stored were asked for again",
        "1 requests were sent that the unbroken run does not send",
    ]


def test_a_campaign_goes_on_where_it_stopped(tmp_path, capsys):
    good = Result(1, "web", "SIGKILL", "group", 3, 0.25, "ended with -9 in 0.0 s", 4.0)
    bad = Result(2, "dedup", "SIGTERM", "parent", 4, 0.5, "ended with 1 in 9.0 s", 4.0, ["it took 9.0 s to stop"])
    lines = [json.dumps(asdict(result) | {"seed": 0}) for result in (good, bad)]
    progress = tmp_path / "progress.jsonl"
    progress.write_text("\n".join([*lines, json.dumps(asdict(good) | {"number": 3, "seed": 5}), lines[0][:40]]))
    assert done_before(progress, seed=0) == {1: good, 2: bad}
    assert list(done_before(progress, seed=5)) == [3] and done_before(tmp_path / "none", 0) == {}
    assert report([good], tmp_path) == 0 and "Holds" in capsys.readouterr().out.splitlines()[-1]
    assert report([good, bad], tmp_path) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("DOES NOT HOLD: 1 of 2") and "--only 2" in printed


def test_files_of_a_snapshot_are_the_same_every_time_and_others_in_the_second_delivery(tmp_path):
    def contents(name: str, **options: bool) -> dict[str, str]:
        write_files(tmp_path / name, "A-1", **options)
        return {path.name: path.read_text() for path in (tmp_path / name).iterdir()}

    first, second = contents("x"), contents("y", second=True)
    assert contents("x") == first and len(first) == len(second) == 6
    assert first.keys() - second.keys() == {"part-4.jsonl"} and second.keys() - first.keys() == {"part-6.jsonl"}
    assert {name for name in first.keys() & second.keys() if first[name] != second[name]} == {"part-2.jsonl"}


def test_a_copied_home_shares_only_files_that_nobody_changes(tmp_path):
    (tmp_path / "home").mkdir()
    for name in ("a.parquet", "log.json"):
        (tmp_path / "home" / name).write_text("x")
    copy(tmp_path / "home", tmp_path / "copy")
    same = {
        p.name: p.stat().st_ino == (tmp_path / "home" / p.name).stat().st_ino for p in (tmp_path / "copy").iterdir()
    }
    assert same == {"a.parquet": True, "log.json": False}


def test_only_processes_of_the_home_are_ended(tmp_path):
    other = start(tmp_path / "other", "import time; time.sleep(60)")
    try:
        assert left_behind(tmp_path, wait=0) == [] and psutil.pid_exists(other.pid)
    finally:
        end([other.pid])
        other.wait()
