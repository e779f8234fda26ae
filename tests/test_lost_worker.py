"""How a test run ends when a test kills its process or hangs, and how property tests stay within the time-out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import engine

PROJECT = Path(__file__).resolve().parent.parent

QUICK = "def test_1(): pass\ndef test_2(): pass\ndef test_3(): pass\ndef test_4(): pass\n"
LONG = """
import time
def test_of_two_minutes(): time.sleep(120)
def test_2(): pass
def test_3(): pass
"""
FATAL = """
import os, pytest, time
def test_1(): pass
@pytest.mark.timeout(2)
def test_fatal(): {}
"""


def run(folder: Path) -> tuple[int, str, float]:
    """Run the tests in `folder` in two processes, as `make test` does, with this project's options and hooks; returns
    the exit status, the output, and the seconds it took."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += ["-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(folder), "--basetemp", str(folder / "temp")]
    begin = time.monotonic()
    done = subprocess.run(
        [*command, "-n", "2", "--dist", "loadfile", str(folder)],
        cwd=folder,
        env={**env, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
    )
    return done.returncode, done.stdout, time.monotonic() - begin


@pytest.mark.slow
@pytest.mark.parametrize("fatal", ["os._exit(1)", "time.sleep(100)"], ids=["dies", "hangs"])
def test_a_lost_worker_ends_the_run_at_once_and_its_test_is_named(fatal, tmp_path):
    """Each worker first finishes a whole file, which makes xdist alone wait for ever, and the other worker is busy."""
    files = {"a": QUICK, "b": QUICK, "c": QUICK, "long": LONG, "fatal": FATAL.format(fatal)}
    for name, code in files.items():
        (tmp_path / f"test_{name}.py").write_text(code)
    status, output, seconds = run(tmp_path)
    assert status == 1, output
    assert "died while it ran test_fatal.py::test_fatal" in output
    assert "FAILED test_fatal.py::test_fatal" in output
    assert ("in test_fatal\n" in output) == ("sleep" in fatal), "the stack of a test that hangs is printed"
    assert seconds < 90, output


def test_a_failing_property_test_stays_within_the_time_out(pytestconfig):
    """Besides the search for a smaller example, the test tries its examples before and the smallest one after."""
    assert float(pytestconfig.getini("timeout")) > 5 * engine.MAX_SHRINKING_SECONDS


def test_property_tests_try_the_same_examples_in_every_run():
    assert settings.get_profile("repeatable").derandomize
    assert settings.get_profile("repeatable").database is None, "examples of earlier runs are not tried"
    assert not settings.get_profile("explore").derandomize
