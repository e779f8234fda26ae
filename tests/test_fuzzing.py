"""`make fuzz` ends in time, and prints every failing example ready to paste."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests import fuzzing
from tests.fuzzing import Campaign, paste_text

FAILS = """
from hypothesis import given, settings, strategies as st

SMALL = 1000

@settings(max_examples=2)
@given(number=st.integers(0, 10**6), word=st.text(max_size=2))
def test_fails_seldom(number, word):
    assert number < 10**6 - SMALL

@given(st.data())
def test_values_that_are_not_code(data):
    assert data.draw(st.integers(0, 9)) < 9
"""
DIES = """
import os
from hypothesis import given, strategies as st

@given(number=st.integers(0, 9))
def test_dies(number):
    if number == 7:
        os._exit(3)
"""
HANGS = """
import time
from hypothesis import given, strategies as st

@given(number=st.integers())
def test_hangs(number):
    time.sleep(1000)
"""
PASSES = """
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

class Counter(RuleBasedStateMachine):
    count = 0

    @rule()
    def step(self):
        self.count += 1

    @invariant()
    def is_small(self):
        assert self.count < LIMIT

LIMIT = {limit}
TestSmall = Counter.TestCase

@given(number=st.integers())
def test_passes(number):
    pass

def test_without_examples():
    raise AssertionError("only property tests run")
"""


def findings(folder: Path, capsys, **files: str) -> str:
    """Run each file once; what is printed about the failures."""
    campaign = Campaign([], seconds=8.0, until=time.time() + 200, env=dict(os.environ))
    for name, code in files.items():
        (folder / f"test_{name}.py").write_text(code)
        (folder / name).mkdir()
        campaign.run_file(str(folder / f"test_{name}.py"), folder / name)
    assert not any("without_examples" in test for test in campaign.found.examples)
    return capsys.readouterr().out


@pytest.mark.slow
def test_failures_are_printed_ready_to_paste(tmp_path, capsys):
    output = findings(tmp_path, capsys, fails=FAILS, dies=DIES, passes=PASSES.format(limit=100))
    assert output.count("FAILED") == 3, output
    assert "test_fails.py, test_fails_seldom:\n@example(number=999000, word='')\n" in output
    assert "test_values_that_are_not_code:\n@reproduce_failure(" in output
    assert "its process ended with status 3" in output
    assert "test_dies:\n@seed(" in output


@pytest.mark.slow
def test_a_state_machine_is_printed_as_a_test(tmp_path, capsys):
    output = findings(tmp_path, capsys, machine=PASSES.format(limit=3))
    assert "def test_of_a_found_example():\n    state = Counter()\n" in output
    assert output.count("state.step()") == 3


@pytest.mark.slow
def test_it_ends_in_time(tmp_path, monkeypatch):
    """A test that hangs when the time is over is killed a little later, and did not fail."""
    monkeypatch.setattr(fuzzing, "GRACE", 1.0)
    (tmp_path / "test_hangs.py").write_text(HANGS)
    begin = time.monotonic()
    campaign = Campaign([str(tmp_path / "test_hangs.py")], seconds=60.0, until=time.time() + 6, env=dict(os.environ))
    campaign.run()
    assert time.monotonic() - begin < 60
    assert not campaign.found.failures


def test_values_that_cannot_be_evaluated_are_not_printed_as_code():
    notes = ["Failing test case: test_it(\n    value=<object at 0x7f>,\n)"]
    assert paste_text("test_it", notes, 12, sys.modules[__name__]) == "@seed(12)"
