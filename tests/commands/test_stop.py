"""Ctrl-C and SIGTERM end the command although its main thread is inside compiled code, and mark its run as canceled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nemotron_assets.commands.signals import STOPPED
from nemotron_assets.instance import instance
from tests.imports import PROJECT

BUSY = """
import hashlib
from dagster._core.test_utils import create_run_for_test
import dagster as dg
from nemotron_assets.commands.stop import stoppable
from nemotron_assets.instance import instance
from nemotron_assets.run_processes import PROCESS_TAG, this_process

with instance() as found:
    create_run_for_test(found, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: this_process()})
    create_run_for_test(found, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: "elsewhere:1:1.0"})
    with stoppable(found, lambda: print("workers are killed", flush=True), lambda: None):
        print("busy", flush=True)
        hashlib.pbkdf2_hmac("sha512", b"", b"", 2**31 - 1)  # minutes in C
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_compiled_code(tmp_path, monkeypatch, number):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with instance():
        pass
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "busy\n"
    os.kill(process.pid, number)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "workers are killed\n")
    assert errors.splitlines()[-1] == STOPPED and "Traceback" not in errors
    with instance() as found:
        assert sorted(run.status.value for run in found.get_runs()) == ["CANCELED", "STARTED"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_python_ends_changes_nothing(number):
    """Python gives every signal back to the system before it calls the last functions; then the exit code was -2."""
    code = (
        "import os, sys\n"
        "from nemotron_assets.commands import cli\n"
        f"class Late:\n    def __del__(self, kill=os.kill, pid=os.getpid()):\n        kill(pid, {int(number)})\n"
        "sys.argv, sys.late = ['nemotron', '--help'], Late()\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")


RUNS = """
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a script that starts the command in the background
import dagster as dg
from nemotron_assets.commands import worker

ignored = "import signal; print(*(n for n in (2, 15) if signal.getsignal(n) == signal.SIG_IGN), flush=True)"

@dg.asset
def child():
    subprocess.run([sys.executable, "-c", ignored], check=True)

class Repository:
    def get_definition(self):
        for _ in range(2):
            dg.materialize([child])
        os.kill(os.getpid(), signal.SIGTERM)

worker.load_repository, worker.keep_output, sys.argv = Repository, lambda: None, ["worker", str(os.getppid()), "0"]
worker.main()
"""


def test_a_worker_and_its_children_end_by_sigterm_after_a_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUNS],
        cwd=PROJECT,
        env=os.environ | {"NEMOTRON_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "\n\n"), done.stderr
