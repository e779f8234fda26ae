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

from tests import ending

PROJECT = Path(__file__).resolve().parent.parent

QUICK = "def test_1(): pass\ndef test_2(): pass\ndef test_3(): pass\ndef test_4(): pass\n"
LONG = """
import time
def test_of_two_minutes(): time.sleep(120)
def test_2(): pass
def test_3(): pass
"""
FATAL = """
import os, pytest, re, signal, threading, time
def test_1(): pass
@pytest.mark.timeout(2)
def test_fatal(): {}
"""
#: What a test may do to its process.
FATES = {
    "dies": "os._exit(1)",
    "hangs": "time.sleep(1000)",
    "holds the interpreter": "re.match('(a+)+$', 'a' * 60 + 'b')",
    "stops": "os.kill(os.getpid(), signal.SIGSTOP)",
    "dies, and its child lives on": "os.fork() or time.sleep(30); os._exit(1)",
}


def run(folder: Path, *options: str) -> tuple[int, str, float]:
    """Run the tests in `folder` in two processes, as `make test` does, with this project's options and hooks of
    ending.py; returns the exit status, the output, and the seconds it took. No process loads Dagster or a plugin that
    these tests do not need."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "pytest_timeout", "-p", "tests.ending"]
    command += ["-p", "no:cacheprovider"]
    command += ["-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(folder), "--basetemp", str(folder / "temp")]
    begin = time.monotonic()
    done = subprocess.run(
        [*command, *options, "-n", "2", "--dist", "loadfile", str(folder)],
        cwd=folder,
        env={**env, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
    )
    return done.returncode, done.stdout, time.monotonic() - begin


@pytest.mark.slow
@pytest.mark.parametrize("fate", FATES)
def test_a_lost_worker_ends_the_run_at_once_and_its_test_is_named(fate, tmp_path):
    """Each worker first finishes a whole file, which makes xdist alone wait for ever, and the other worker is busy."""
    files = {"a": QUICK, "b": QUICK, "c": QUICK, "long": LONG, "fatal": FATAL.format(FATES[fate])}
    for name, code in files.items():
        (tmp_path / f"test_{name}.py").write_text(code)
    status, output, seconds = run(tmp_path)
    assert status == 1, output
    assert "died while it ran test_fatal.py::test_fatal" in output
    assert "FAILED test_fatal.py::test_fatal" in output
    if fate in ("hangs", "holds the interpreter"):
        assert "in test_fatal\n" in output, "the stack of a test that hangs is printed"
    assert seconds < 90, output


@pytest.mark.slow
def test_a_file_that_hangs_while_it_is_imported_ends_the_run(tmp_path):
    (tmp_path / "test_a.py").write_text(QUICK)
    (tmp_path / "test_hangs.py").write_text("import time\ntime.sleep(1000)\n")
    status, output, seconds = run(tmp_path, "-o", "timeout=3")
    assert status == 1, output
    assert "died while it ran no test" in output
    assert seconds < 90, output


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", ["threading.Thread(target=time.sleep, args=(1000,)).start()", "os.fork() or (time.sleep(30), os._exit(0))"]
)
def test_what_a_test_leaves_behind_does_not_hold_up_the_end(code, tmp_path):
    (tmp_path / "test_a.py").write_text(QUICK)
    (tmp_path / "test_leaves.py").write_text(FATAL.format(code))
    status, output, seconds = run(tmp_path)
    assert status == 0, output
    assert seconds < 60, output


def test_the_hooks_that_end_a_run_are_those_of_this_run(pytestconfig):
    assert pytestconfig.pluginmanager.get_plugin("ending") is ending


def test_a_failing_property_test_stays_within_the_time_out(pytestconfig):
    """Besides the search for a smaller example, the test tries its examples before and the smallest one after."""
    assert float(pytestconfig.getini("timeout")) > 5 * engine.MAX_SHRINKING_SECONDS


def test_property_tests_try_the_same_examples_in_every_run():
    assert settings.get_profile("repeatable").derandomize
    assert settings.get_profile("repeatable").database is None, "examples of earlier runs are not tried"
