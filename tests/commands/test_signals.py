"""The program ends quietly when it is stopped while it loads, and when nobody reads what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nemotron_assets.commands import cli as module
from nemotron_assets.commands.cli import cli
from nemotron_assets.commands.signals import STOPPED, UNREAD
from tests.imports import PROJECT

#: Runs the program, which gets a signal when it begins to import a module.
INTERRUPTED = """
import os, sys
from nemotron_assets.commands.__main__ import main

class Finder:
    module, number = sys.argv[1], int(sys.argv[2])

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == cls.module:
            os.kill(os.getpid(), cls.number)

sys.meta_path.insert(0, Finder)
sys.argv = ["nemotron", "sql", "select 1"]
main()
"""


def run(home, *command: str, **more) -> subprocess.CompletedProcess:
    env = os.environ | {"NEMOTRON_HOME": str(home)}
    return subprocess.run([sys.executable, *command], cwd=PROJECT, env=env, text=True, timeout=120, **more)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("loading", ["click", "nemotron_assets.commands.sql", "_duckdb"])
def test_a_signal_while_the_program_loads_stops_it_with_one_sentence(tmp_path, loading, number):
    done = run(tmp_path, "-c", INTERRUPTED, loading, str(int(number)), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{STOPPED}\n")


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (["--help"], subprocess.PIPE),
        (["recipe"], subprocess.PIPE),
        (["sql", "select 1"], subprocess.PIPE),
        (["sql", "select 1", "--csv", "-"], subprocess.PIPE),
        (["maintain", "--verify"], subprocess.PIPE),
        (["tables"], subprocess.STDOUT),
        (["sql", "nothing that DuckDB understands"], subprocess.STDOUT),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_whose_output_nobody_reads_ends_without_a_word(tmp_path, arguments, errors):
    reading, writing = os.pipe()
    os.close(reading)
    done = run(tmp_path, "-m", "nemotron_assets.commands", *arguments, stdout=writing, stderr=errors)
    os.close(writing)
    assert (done.returncode, done.stderr or "") == (UNREAD, "")


def test_a_pipe_to_another_process_that_breaks_is_an_error(monkeypatch, capsys):
    def broken() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli.commands["recipe"], "callback", lambda **_: broken())
    monkeypatch.setattr(sys, "argv", ["nemotron", "recipe"])
    with pytest.raises(SystemExit) as ended:
        module.execute()
    assert ended.value.code == 1
    assert "the other end of a pipe or connection was closed" in capsys.readouterr().err
