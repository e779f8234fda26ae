"""What the tests of the sandbox share: running a Python program in it, and finding processes by a mark."""

from __future__ import annotations

import contextlib
import os
import textwrap
from pathlib import Path

import pytest

from resources import sandbox
from resources.sandbox import Limits, SandboxError

PROGRAM, READS, HIDES = sandbox.python()
PACKAGE = Path(sandbox.__file__).parent
REPOSITORY = PACKAGE.parents[1]


def _missing() -> str:
    """Why this machine cannot make a sandbox; empty if it can."""
    try:
        sandbox.check(Limits())
    except SandboxError as error:
        return str(error)
    return ""


MISSING = _missing()
#: Skips a test on a machine that cannot make a sandbox.
sandboxed = pytest.mark.skipif(bool(MISSING), reason=f"no sandbox on this machine: {MISSING}")


def python(source: str, limits: Limits | None = None, **given) -> sandbox.Outcome:
    """Run a Python program in the sandbox."""
    source = textwrap.dedent(source)
    return sandbox.run(
        (PROGRAM, "-I", "main.py"), {"main.py": source}, limits=limits, reads=READS, hides=HIDES, **given
    )


def lines_of(source: str, **given) -> list[str]:
    """The lines a program prints. The program must end with exit code 0."""
    outcome = python(source, **given)
    assert outcome.status == "ran", outcome
    return outcome.stdout.decode().splitlines()


#: Forks until the limit of processes, and prints how many children it has.
FORKS = """
import os, time
try:
    for n in range(50):
        os.fork() or time.sleep(9)
except BlockingIOError:
    print(n)
"""


def running(mark: str) -> list[str]:
    """The ids of the processes on this machine that have `mark` as an argument."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark.encode() in Path("/proc", name, "cmdline").read_bytes().split(b"\0"):
                found.append(name)
    return found
