"""The benchmark harness measures whole process trees and judges claims honestly."""

from __future__ import annotations

import sys

import pytest

from benchmarks.harness import Claim, alternate, measure, ratio, verdict

#: The memory is held by a grandchild: only a measurement of the tree sees it.
TREE = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; block = bytearray(150_000_000); time.sleep(0.5)"])
print("done")
"""


def test_memory_and_time_of_a_process_tree():
    measured = measure([sys.executable, "-c", TREE])
    assert measured.output.strip() == "done"
    assert 150e6 < measured.peak_rss < 400e6
    assert measured.seconds >= 0.5
    assert 0 < measured.cpu_seconds < 60


def test_a_failing_child_is_an_error_with_its_output():
    with pytest.raises(RuntimeError, match="no such luck"):
        measure([sys.executable, "-c", "raise SystemExit('no such luck')"])


def test_a_child_that_takes_too_long_is_ended():
    with pytest.raises(RuntimeError, match="ended with -9"):
        measure([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.5)


def test_systems_take_turns_and_are_compared_within_a_round():
    calls: list[str] = []

    def system(name: str, figure: float):
        return lambda: calls.append(name) or figure * (10 if len(calls) > 2 else 1)

    figures = alternate(2, ours=system("ours", 3.0), theirs=system("theirs", 2.0))
    assert calls == ["ours", "theirs", "theirs", "ours"]
    assert ratio(figures, "ours", "theirs") == 1.5


def test_verdict(capsys):
    good, bad = Claim("speed", 2, at_least=1), Claim("memory", 3, "GB", at_most=2)
    assert verdict([good]) == 0
    assert verdict([good, bad]) == 1
    assert "memory: 3 GB (promised: at most 2) - DOES NOT HOLD" in capsys.readouterr().out
