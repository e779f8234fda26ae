"""Programs are graded by their tests; a program that ends early, hangs, or deceives by its exit code does not pass."""

from __future__ import annotations

import pytest

from nemotron_assets.grading.code import Case, CodeGrader, CodeTests
from nemotron_assets.recipe.code.qa import CodeExecution, CodeProgram
from resources import sandbox
from tests.resources.sandbox.programs import sandboxed

PYTHON = CodeProgram(file="main.py", command=("{python}", "main.py"))
RECIPE = CodeExecution(run="on", cpu_s=1, wall_s=60, memory_mb=256, languages={"Python": PYTHON})
ADD = CodeTests("assert add(1, 2) == 3\nassert add(-1, 1) == 0")
DOUBLE = CodeTests(cases=(Case("2\n", "4\n"), Case("21", "42")))


@sandboxed
def test_programs_and_what_becomes_of_them():
    expected = [
        ("def add(a, b):\n    return a + b", ADD, "right", None),
        ("def add(a, b):\n    print('noise' * 20_000)\n    return a + b", ADD, "right", None),
        ("def add(a, b):\n    return a - b", ADD, "wrong", "exit code 1: AssertionError"),
        ("def sub(a, b):\n    return a + b", ADD, "wrong", "exit code 1: NameError"),
        ("def add(a, b) return a + b", ADD, "wrong", "exit code 1: SyntaxError"),
        ("def add(a, b):\n    while True: pass", ADD, "wrong", "more than cpu_s"),
        ("import sys\nsys.exit(0)", ADD, "wrong", "exit code 1: RuntimeError"),
        ("import os\nos._exit(0)", ADD, "wrong", "the program ended before its tests"),
        ("def add(a, b):\n    import os\n    os._exit(0)", ADD, "wrong", "the program ended before its tests"),
        ("import os\nos.write(1, b'0' * 32)\nos._exit(0)", ADD, "wrong", "the program ended before its tests"),
        ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos._exit(0)", ADD, "wrong", None),
        ("x = [0] * 10**9", ADD, "wrong", None),
        ("\ud800", ADD, "wrong", None),
        ("print(int(input()) * 2)", DOUBLE, "right", None),
        ("print(int(input()) * 2, end='  \\n\\n')", DOUBLE, "right", None),
        ("print(4)", DOUBLE, "wrong", "case 2 prints something else"),
        ("input(); import sys; sys.exit(0)", DOUBLE, "wrong", "case 1 prints something else"),
        ("print(4); raise SystemExit(1)", DOUBLE, "wrong", "exit code 1"),
        ("def add(a, b):\n    return a + b", CodeTests("assert ("), "error", "the tests are not Python code"),
        ("def add(a, b):\n    return a + b", CodeTests(), "error", "the task has no tests"),
    ]
    with CodeGrader(RECIPE) as grader:
        verdicts = list(grader.grade((code, tests) for code, tests, _, _ in expected))
    for (code, _, outcome, detail), verdict in zip(expected, verdicts, strict=True):
        assert verdict.outcome == outcome and verdict.by == "sandbox", (code, verdict)
        assert detail is None or verdict.detail == detail, (code, verdict)


@sandboxed
def test_a_program_that_waits_too_long_has_no_verdict():
    with CodeGrader(RECIPE.model_copy(update={"wall_s": 2.0})) as grader:
        (verdict,) = grader.grade([("import time\ntime.sleep(600)", ADD)])
    assert (verdict.outcome, verdict.detail) == ("error", "no end within 2 s")


def test_without_a_sandbox_every_verdict_is_an_error(monkeypatch):
    def missing(*_, **__):
        raise sandbox.SandboxError("no sandbox: bwrap is not installed")

    monkeypatch.setattr(sandbox, "run", missing)
    with CodeGrader(RECIPE.model_copy(update={"run": "where_possible"})) as grader:
        (verdict,) = grader.grade([("def add(a, b):\n    return a + b", ADD)])
    assert (verdict.outcome, verdict.detail) == ("error", "no sandbox: bwrap is not installed")
    with CodeGrader(RECIPE.model_copy(update={"run": "off"})) as grader:
        assert [v.outcome for v in grader.grade([("", ADD)])] == ["error"]
    with pytest.raises(sandbox.SandboxError, match="bwrap is not installed"):
        CodeGrader(RECIPE).__enter__()


@sandboxed
def test_assertions_are_for_python():
    program = CodeProgram(file="main.sh", command=("/bin/sh", "main.sh"))
    recipe = RECIPE.model_copy(update={"languages": {"Go": program}})
    with CodeGrader(recipe, "Go") as grader:
        verdicts = list(grader.grade([("cat", DOUBLE), ("read n; echo $((n * 2))", DOUBLE), ("true", ADD)]))
    assert [verdict.outcome for verdict in verdicts] == ["wrong", "right", "error"]
