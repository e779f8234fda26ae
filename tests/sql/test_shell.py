"""`nemotron sql` without a query: statements and commands from a pipe or a terminal, and errors that end nothing."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from nemotron_assets.commands.shell import Shell, is_complete
from nemotron_assets.commands.signals import STOPPED
from resources.lakehouse import Lakehouse
from tests.sql.lake import fill


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    fill(Lakehouse(root=str(folder / "lake")))
    return {**os.environ, "NEMOTRON_HOME": str(folder), "TERM": "dumb"}


PROGRAM = [sys.executable, "-m", "nemotron_assets.commands", "sql"]


def piped(environment, text: str):
    return subprocess.run(PROGRAM, input=text, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("select 1;", True),
        ("select 1; -- done", True),
        ("select 1;\n\n", True),
        ("select 1", False),
        ("select ';", False),
        ("select 'it''s;", False),
        ("select 'it''s';", True),
        ('select 1 as ";', False),
        ("select 1 -- ;", False),
        ("select 1 /* ; */", False),
        ("select 1 /* ;", False),
        ("select $$;", False),
        ("select $a$ ; $$ ; $a$;", True),
        ("-- nothing", False),
        ("", False),
    ],
)
def test_a_statement_ends_with_a_semicolon_outside_of_texts_and_comments(text, complete):
    assert is_complete(text) == complete


def test_statements_from_a_pipe(environment):
    done = piped(
        environment, "select 40\n  + 2 as answer;\nselect count(*) as n from web.documents; select 'last' as word"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.split() if line] == ["answer", "42", "n", "16", "word", "last"]


def test_an_error_ends_neither_the_shell_nor_hides_in_the_exit_code(environment):
    done = piped(environment, "select nothing;\ndrop view web.documents;\n.nonsense\nselect 'still here' as word;\n")
    assert "still here" in done.stdout
    assert all(word in done.stderr for word in ("nothing", "DROP is refused", "does not know the command .nonsense"))
    assert done.returncode == 1 and "Traceback" not in done.stderr


def test_commands(environment):
    commands = (".help", ".tables funnel", ".schema web/documents", ".reports", ".report pages_per_host rows=1",
                ".report funnel", ".quit", "select 1;")  # fmt: skip
    done = piped(environment, "\n".join(commands))
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        ".tables [TEXT]",
        "web.funnel",
        "readable text;",
        "Which hosts give",
        "host0.example",
        "unique documents",
    ):
        assert words in done.stdout
    assert "host1.example" not in done.stdout, "the parameter rows=1 counts"


def test_parameters_of_a_report_do_not_leak_into_the_next(environment):
    done = piped(environment, ".report pages_per_host rows=1\nselect getvariable('rows') is null as gone;\n")
    assert "true" in done.stdout.lower() and done.returncode == 0


def test_a_terminal_has_a_prompt_and_ends_with_the_input(environment):
    parent, child = pty.openpty()
    shown = b""

    def wait_for(word: bytes) -> None:
        nonlocal shown
        while word not in shown:
            shown += os.read(parent, 65_536)
        shown = shown.partition(word)[2]

    with subprocess.Popen(PROGRAM, stdin=child, stdout=child, stderr=child, env=environment) as process:
        os.close(child)
        for typed, answer in (
            (b"", b"nemotron>"),
            (b"select 6 * 7\n", b"...>"),
            (b"as answer;\n", b"42"),
            (b"", b"nemotron>"),  # what is typed before a prompt stands there may be read in another mode
            (b"select nothing;\n", b"nemotron>"),
        ):
            os.write(parent, typed)
            wait_for(answer)
        os.write(parent, b"\x04")
        assert process.wait() == 0, "at a terminal, errors were seen and do not count"
    os.close(parent)


def test_nothing_can_be_written_from_the_shell(filled, capsys, tmp_path):
    with filled[1].cursor() as connection:
        shell = Shell(connection, None)
        shell._answer(f"select write_blob('{tmp_path}/made', 'x');")
    assert shell.failed and "refused" in capsys.readouterr().err and not list(tmp_path.iterdir())


# A query of hours, during which the signal comes.
ENDLESS = "select count(*) from range(1000000000000) t(a) where a % 7 = 3"
INTERRUPTED = """
import os, sys, threading
from nemotron_assets.commands import cli, sql
read, timers = sql.read_only_statements, [threading.Timer(1, os.kill, (os.getpid(), int(sys.argv.pop(1))))]
def read_and_start(*arguments):
    if timers:
        timers.pop().start()
    return read(*arguments)
sql.read_only_statements = read_and_start
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_query(environment, number):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(number)), "sql", ENDLESS],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (130, STOPPED)


def test_ctrl_c_ends_a_query_and_not_the_shell(environment):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(signal.SIGINT)), "sql"],
        input=f"{ENDLESS};\nselect 'still here' as word;\n",
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert "still here" in done.stdout and done.stderr == "interrupted\n"
