"""Solutions are run as programs and classified; without a sandbox nothing is run."""

from __future__ import annotations

import pytest

from nemotron_assets.grading.execution import Execution, Executor
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.code.qa import CodeExecution, CodeProgram
from resources import sandbox
from tests.resources.sandbox.programs import sandboxed

SHELL = ("/bin/sh", "-c", "gcc -o program main.c && ./program")
RECIPE = CodeExecution(
    run="on",
    cpu_s=1,
    wall_s=60,
    memory_mb=256,
    languages={
        "Python": CodeProgram(file="main.py", command=("{python}", "main.py")),
        "C": CodeProgram(file="main.c", command=SHELL),
    },
)


@sandboxed
def test_every_end_has_its_class_and_a_rerun_gives_the_same():
    codes = {
        "def total(a, b):\n    return a + b": ("ran", "exit code 0"),
        "print(total(1, 2))": ("failed", "exit code 1: NameError"),
        "assert 1 + 1 == 3": ("failed", "exit code 1: AssertionError"),
        "import numpy": ("failed", "exit code 1: ModuleNotFoundError"),
        "import sys\nsys.exit(4)": ("failed", "exit code 4"),
        "while True: pass": ("timed_out", "more than cpu_s"),
        "while True: print('x' * 1000)": ("exceeded", "more than output_kb"),
        "raise ValueError('at ' + hex(id(object())))": ("failed", "exit code 1: ValueError"),
        "import sys\nprint({'a', 'b', 'c', 'd'}.pop() < 'c' and sys.exit(3))": None,  # the order of a set: hashes
        "name = input()": ("failed", "exit code 1: EOFError"),
        "print('\ud800')": None,  # half a character
    }
    execute = Executor(RECIPE, "Python")
    first, again = execute(list(codes)), execute(list(codes))
    assert first == again
    for expected, found in zip(codes.values(), first, strict=True):
        assert expected is None or found == Execution(*expected)
    assert execute.counts.total() == 2 * len(codes) and execute.counts["timed_out"] == 2


@sandboxed
def test_other_languages_are_run_as_the_recipe_says_or_it_says_not():
    try:
        execute = Executor(RECIPE.model_copy(update={"languages": {"C": RECIPE.languages["C"]}}), "C")
    except sandbox.SandboxError as error:
        pytest.skip(str(error))
    assert [found.outcome for found in execute(["int main(void) { return 0; }", "int main(void) { return x; }"])] == [
        "ran",
        "failed",
    ]
    assert Executor(RECIPE, "Go")(["package main"]) == [Execution("not_run", "the recipe has no command for Go")]


def test_nothing_is_run_where_there_is_no_sandbox(monkeypatch):
    def missing(*_, **__):
        raise sandbox.SandboxError("no sandbox: bwrap is not installed")

    monkeypatch.setattr(sandbox, "run", missing)
    with pytest.raises(sandbox.SandboxError, match="bwrap is not installed"):
        Executor(RECIPE, "Python")
    execute = Executor(RECIPE.model_copy(update={"run": "where_possible"}), "Python")
    assert execute(["print(1)"]) == [Execution("not_run", "no sandbox: bwrap is not installed")]
    assert execute.counts == {"not_run": 1}
    execute = Executor(RECIPE.model_copy(update={"run": "off"}), "Python")
    assert execute(["print(1)"]) == [Execution(None, None)] and not execute.counts


@sandboxed
def test_a_program_that_is_not_there_is_an_error_of_the_recipe():
    program = CodeProgram(file="main.go", command=("/usr/bin/nonesuch", "run", "main.go"))
    with pytest.raises(sandbox.SandboxError, match="no program '/usr/bin/nonesuch'"):
        Executor(RECIPE.model_copy(update={"languages": {"Go": program}}), "Go")


def test_the_published_recipe_runs_nothing():
    assert load_recipe("nano2").code.qa.execution.run == "off"
    assert CodeExecution.model_validate({"run": False}).run == "off"  # as YAML reads a bare off
    assert CodeExecution.model_validate({"run": True}).run == "on"
