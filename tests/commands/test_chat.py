"""`nemotron chat` in a terminal: a talk with a canned server through a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from nemotron_assets.commands.cli import cli
from tests.chat.canned import Canned

DIM, PLAIN = "\x1b[2m", "\x1b[0m"


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.chdir(Path(__file__).parents[2])
            os.execv(sys.executable, [sys.executable, "-m", "nemotron_assets.commands", *arguments])
        self.shown, self._at = "", 0

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Read until a text is shown, after the text that the last call waited for."""
        end = time.monotonic() + seconds
        while (found := self.shown.find(text, self._at)) < 0:
            assert time.monotonic() < end and self._read(), f"no {text!r} in {self.shown[self._at :]!r}"
        self._at = found + len(text)

    def _read(self) -> bool:
        if select.select([self.terminal], [], [], 1)[0]:
            try:
                self.shown += os.read(self.terminal, 4_096).decode(errors="replace")
            except OSError:  # the program has ended
                return False
        return True

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def status(self) -> int:
        """The exit status, once the program has ended."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def canned():
    made = Canned()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_talk_in_a_terminal(canned):
    canned.answers = [[{"reasoning": "so x\nand y"}, {"content": "It is 3."}], 400, [{"content": "Yes."}]]
    terminal = Terminal("chat", "m", "--url", canned.url, "--budget", "64")
    terminal.wait_for("> ")
    terminal.type("x?\n")
    terminal.wait_for("It is 3.")
    terminal.wait_for("> ")
    assert f"{DIM}     3/64 | so x\r\n{PLAIN}{DIM}     3/64 | and y{PLAIN}" in terminal.shown
    terminal.type("/no_think\n")
    terminal.wait_for("thinking is off")
    terminal.wait_for("> ")
    terminal.type("sure?\n")
    terminal.wait_for("400")  # the talk goes on after a refusal
    terminal.wait_for("> ")
    terminal.type("sure?\n")
    terminal.wait_for("Yes.")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.status() == 0 and "Traceback" not in terminal.shown
    assert canned.bodies[-1]["messages"] == [
        {"role": "user", "content": "x?"},
        {"role": "assistant", "content": "It is 3."},
        {"role": "user", "content": "sure? /no_think"},
    ]


def test_without_a_model_and_a_server_the_help_is_one_sentence():
    result = CliRunner().invoke(cli, ["chat", "-m", "Hi"])
    assert result.exit_code == 2 and "name a MODEL of the lake, or --url" in result.output
    for more in (["m"], []):  # the name of the model, or it is asked for
        result = CliRunner().invoke(cli, ["chat", *more, "--url", "http://me:hush-hush@127.0.0.1:9/v1", "-m", "Hi"])
        assert result.exit_code == 1 and "hush" not in result.output
        assert "no server answers at http://127.0.0.1:9/v1 (Connection error.)" in result.output
    result = CliRunner().invoke(cli, ["chat", "--url", "http://127.0.0.1:9/v1", "--api-key-env", "NO_SUCH_KEY"])
    assert result.exit_code == 2 and "NO_SUCH_KEY is not set" in result.output


def test_a_server_for_other_machines_needs_a_key():
    result = CliRunner().invoke(cli, ["serve", "models/base", "--host", "0.0.0.0"])
    assert result.exit_code == 1 and "needs an API key" in str(result.exception)
