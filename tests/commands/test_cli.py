"""The command group: it loads quickly, every subcommand has a body, and an error is one sentence."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from nemotron_assets.commands import cli as module
from nemotron_assets.commands.cli import cli
from nemotron_assets.recipe import RecipeError


def nemotron(home, *arguments: str, code: int = 0) -> str:
    """Runs the command as a program on the lake in `home`; returns everything it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "nemotron_assets.commands", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NEMOTRON_HOME": str(home)},
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_help_loads_no_library():
    script = (
        "import sys; from click.testing import CliRunner; from nemotron_assets.commands.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'dagster', 'duckdb', 'polars', 'pydantic'}))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


#: Libraries that take a second or more to import, and that a question to the lake does not need.
SLOW = ("dagster", "polars", "torch", "ray", "transformers")
LOADED = """
import json, sys
from nemotron_assets.commands import cli
slow, sys.argv = set(sys.argv[2:]), ["nemotron", *json.loads(sys.argv[1])]
try:
    cli.main()
finally:
    print("LOADED", sorted({name.partition(".")[0] for name in sys.modules} & slow), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def small_home(tmp_path_factory):
    """A home with one ingested snapshot, and the file that it was made from."""
    folder = tmp_path_factory.mktemp("small")
    file = folder / "own.jsonl"
    file.write_text(json.dumps({"text": "one", "url": "http://a.example/"}) + "\n")
    nemotron(folder / "home", "ingest", str(file), "--snapshot", "own", "--text-column", "text")
    return folder / "home", file


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["sql", "select url from snapshots.pages"], 0),
        (["sql", "--reports"], 0),
        (["sql", "--report", "record_fates"], 0),
        (["tables"], 0),
        (["tables", "snapshots/pages"], 0),
        (["trace", "http://a.example/"], 0),
        (["recipe", "web.quality"], 0),
        (["ingest", "OWN", "--snapshot", "not a name"], 1),
        (["ingest", "OWN", "--snapshot", "other", "--text-column", "no_such_column"], 1),
        (["ingest", "nowhere.jsonl", "--snapshot", "other"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_questions_and_refusals_load_no_slow_library(small_home, arguments, code):
    home, file = small_home
    arguments = [str(file) if argument == "OWN" else argument for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(arguments), *SLOW],
        capture_output=True,
        text=True,
        env={**os.environ, "NEMOTRON_HOME": str(home)},
    )
    assert done.returncode == code, done.stderr
    assert "LOADED []" in done.stderr, done.stderr


def test_every_subcommand_has_its_body_in_a_file_of_its_own():
    for name, command in cli.commands.items():
        if not isinstance(command, click.Group):
            body = importlib.import_module(f"nemotron_assets.commands.{name}")
            assert callable(getattr(body, f"{name}_command")), name


def test_every_subcommand_has_help():
    for name, command in cli.commands.items():
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0 and command.help, name
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, f"{name} {option.name}"


def test_an_error_is_one_sentence_without_traceback(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nemotron", "recipe", "web.nothing"])
    with pytest.raises(SystemExit) as ended:
        module.execute()
    printed = capsys.readouterr().err
    assert ended.value.code == 1
    assert printed.startswith("nemotron: the recipe has no 'web.nothing'; 'nothing' is not one of: documents, ")
    assert printed.endswith("(--debug shows the traceback)\n") and "Traceback" not in printed


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nemotron", "--debug", "recipe", "web.nothing"])
    with pytest.raises(Exception, match="'nothing' is not one of"):
        module.execute()


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("pretrain", "pretrain is now called train.base"),
        ("pretrain.peak_lr", "pretrain is now called train.base"),
        ("math_corpus", "math_corpus is now called math.corpus"),
    ],
)
def test_an_old_section_is_refused_with_its_new_name(old, words):
    refused = CliRunner().invoke(cli, ["recipe", "--explain", old]).exception
    assert isinstance(refused, RecipeError) and str(refused) == words


def test_a_section_of_the_recipe():
    explained = CliRunner().invoke(cli, ["recipe", "train.base", "--explain"], catch_exceptions=False).output
    assert "peak_lr: 0.005  # highest learning rate" in explained and "less than 1" in explained


def test_files_are_ingested_maintained_and_set_aside(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(json.dumps({"text": text, "url": "http://a.example/"}) for text in ("one", "two", "")))
    home = tmp_path / "home"
    assert "needs --text-column or --html-column; its columns are 'text', 'url'" in nemotron(
        home, "ingest", str(file), "--snapshot", "own", code=1
    )
    printed = nemotron(home, "ingest", str(file), "--snapshot", "own", "--text-column", "text")
    assert "2 records" in printed and "snapshot own is stored" in printed
    assert "2 rows" in nemotron(home, "tables", "snapshots/pages")
    assert "snapshots.pages: 0 files compacted" in nemotron(home, "maintain", "--dry-run")
    assert "`nemotron run --force snapshots/pages`" in nemotron(home, "maintain", "--set-aside", "snapshots.pages")
    assert "not written yet" in nemotron(home, "tables", "snapshots/pages")
