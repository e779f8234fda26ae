"""`nemotron run` as a program: side by side it makes the same tables as one by one, it stops at a signal and leaves no
process behind, and a killed worker costs the units of its run alone. The tests of the home that is interrupted belong
together: each goes on where the one before stopped."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nemotron_assets.commands.signals import STOPPED
from tests.imports import PROJECT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

RECIPE = "extends: laptop\nsnapshots: {crawl: {max_warc_files: 1, max_snapshots: 2}}\n"
SELECTION = "+web/unique_documents or +math/rendered"


class Home:
    """A home with a small recipe, and the command on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "small.yaml").write_text(RECIPE)

    def start(self, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, "NEMOTRON_HOME": str(self.path), "NEMOTRON_RECIPE": str(self.path / "small.yaml")}
        return subprocess.Popen(
            [sys.executable, "-m", "nemotron_assets.commands", "run", *arguments],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        printed = process.communicate()[0]
        assert process.returncode == 0, printed[-3000:]
        return printed

    def query(self, database: str, query: str) -> list[tuple]:
        with sqlite3.connect(self.path / "dagster" / "history" / database) as connection:
            return connection.execute(query).fetchall()

    def data_versions(self) -> dict[tuple[str, str], str]:
        """The data version of the last materialisation of every asset and partition."""
        rows = self.query(
            "runs/index.db",
            "select asset_key, partition, event from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' "
            "order by id",
        )
        found = (
            (key, partition, re.search(r'"dagster/data_version": "(\w+)"', event)) for key, partition, event in rows
        )
        return {(key, partition): version[1] for key, partition, version in found if version}

    def statuses(self) -> set[str]:
        return {status for (status,) in self.query("runs.db", "select status from runs")}


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory) -> Home:
    """A home in which everything ran at once, three units at a time, and what the run printed."""
    home = Home(tmp_path_factory.mktemp("three"))
    home.printed = home.run(SELECTION, "--jobs", "3")
    return home


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Home:
    """A home for runs that are stopped, and end one by one."""
    return Home(tmp_path_factory.mktemp("one"))


def started(printed: str) -> list[str]:
    """The units that a run started."""
    return re.findall(r"^start   (.*)$", printed, re.MULTILINE)


def test_every_unit_runs_once_and_is_not_run_again(side_by_side):
    units = started(side_by_side.printed)
    assert len(units) == len(set(units)) > 15 and len(side_by_side.data_versions()) > 15
    assert started(side_by_side.run(SELECTION, "--jobs", "3")) == ["snapshots/catalog"]


def test_a_signal_stops_it(interrupted):
    process = interrupted.start(SELECTION, "--jobs", "2")
    for line in process.stdout:
        if line.startswith("start   web/documents"):
            break
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 2, "workers and their own processes"
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and printed.splitlines()[-1] == STOPPED, printed
    assert "failed" not in printed and "Traceback" not in printed
    psutil.wait_procs(below, timeout=10)
    assert not [child for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert interrupted.statuses() <= {"SUCCESS", "CANCELED"} and "CANCELED" in interrupted.statuses()


def test_the_next_run_goes_on_and_a_killed_worker_costs_the_units_of_its_run_alone(interrupted):
    process = interrupted.start(SELECTION, "--jobs", "1")
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("start   math/candidate_pages"):
            (worker,) = (c for c in psutil.Process(process.pid).children() if "worker" in " ".join(c.cmdline()))
            worker.kill()
            break
    printed += process.communicate()[0]
    assert process.returncode == 1
    assert "its process was killed by SIGKILL" in printed.splitlines()[-1]
    assert "made    web/unique_documents" in printed, "other units went on in a new worker"
    assert interrupted.statuses() == {"SUCCESS", "CANCELED", "FAILURE"}


def test_one_by_one_after_all_that_makes_the_same_as_side_by_side(interrupted, side_by_side):
    interrupted.run(SELECTION, "--jobs", "1")
    assert interrupted.data_versions() == side_by_side.data_versions()
