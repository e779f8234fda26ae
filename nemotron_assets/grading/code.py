r"""Decides whether a program passes its tests, in the sandbox: each program is a process without files and network.

There are two kinds of tests. Cases give the program an input and compare its output here, outside of the sandbox, so a
program cannot pass them by deceit. Code with assertions runs in the interpreter of the program, after it. The end of
the tests is shown by a random word that the sandbox is given for each program, so a program that ends early
(`sys.exit(0)`, `os._exit(0)`) does not pass; a program that manipulates its own interpreter can.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Literal

from nemotron_assets.grading.execution import FAILING, Executor
from nemotron_assets.grading.verdict import Verdict
from nemotron_assets.recipe.code.qa import CodeExecution
from resources.sandbox import Outcome, SandboxError

BY = "sandbox"

#: Exit code of the harness for tests that are not Python.
_UNUSABLE_TESTS = 97
_HARNESS = f"""\
import os, sys
word, out = sys.stdin.readline(), os.dup(1)
nothing = os.open(os.devnull, os.O_RDWR)
os.dup2(nothing, 0), os.dup2(nothing, 1)
def source(name):
    with open(name, encoding="utf-8") as file:
        return file.read()
try:
    tests = compile(source("tests.py"), "tests.py", "exec")
except (SyntaxError, ValueError):
    sys.exit({_UNUSABLE_TESTS})
names = {{"__name__": "solution"}}
try:
    exec(compile(source("solution.py"), "solution.py", "exec"), names)
    exec(tests, names)
except SystemExit as error:
    raise RuntimeError(f"the program ended with SystemExit({{error.code}})") from None
os.write(out, word.encode())
"""


@dataclass(frozen=True)
class Case:
    """A program that is given the input `stdin` must print `stdout`; blanks at the ends of lines do not matter."""

    stdin: str
    stdout: str


@dataclass(frozen=True)
class CodeTests:
    """What a program must pass: `code` with assertions that uses the names of the program (Python only), and `cases`,
    each with the whole program."""

    code: str = ""
    cases: tuple[Case, ...] = ()


class CodeGrader:
    """Grades programs in one language with their tests: pairs of (code, `CodeTests`).

    Raises `SandboxError` at the start if the recipe demands a sandbox (`run: on`) and there is none. Where it does not,
    every verdict is an error that names the reason. `late` is the outcome of a program that does not end within the
    recipe's `wall_s`: an error, because a busy machine is slow, or wrong, so that a policy gains nothing by sleeping.
    """

    by = BY

    def __init__(
        self, recipe: CodeExecution, language: str = "Python", late: Literal["error", "wrong"] = "error"
    ) -> None:
        self._recipe, self._language, self._late = recipe, language, late

    def __enter__(self) -> CodeGrader:
        self._executor = Executor(self._recipe, self._language)
        self._threads = ThreadPoolExecutor(self._recipe.programs)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    def grade(self, pairs: Iterable[tuple[str, CodeTests]]) -> Iterator[Verdict]:
        """The verdicts about pairs of (code, tests), in their order; several programs run at a time."""
        waiting = iter(pairs)
        while batch := list(islice(waiting, 4 * self._recipe.programs)):
            yield from self._threads.map(self._verdict, batch)

    def _verdict(self, pair: tuple[str, CodeTests]) -> Verdict:
        code, tests = pair
        if self._executor.unable:
            return Verdict("error", BY, self._executor.unable)
        if not tests.code.strip() and not tests.cases:
            return Verdict("error", BY, "the task has no tests")
        if tests.code.strip() and self._language != "Python":
            return Verdict("error", BY, f"tests with assertions are for Python, the program is {self._language}")
        try:
            if tests.code.strip() and not (verdict := self._asserted(code, tests.code)).right:
                return verdict
            for number, case in enumerate(tests.cases, 1):
                if not (verdict := self._printed(code, case, number)).right:
                    return verdict
        except SandboxError as error:
            return Verdict("error", BY, str(error)[:500])
        return Verdict("right", BY)

    def _asserted(self, code: str, tests: str) -> Verdict:
        word = secrets.token_hex(16)
        files = {"main.py": _HARNESS, "solution.py": _encoded(code), "tests.py": _encoded(tests)}
        outcome = self._executor.run(files, word.encode())
        if outcome.exit_code == _UNUSABLE_TESTS and not outcome.limit:
            return Verdict("error", BY, "the tests are not Python code")
        if outcome.status == "ran" and outcome.stdout != word.encode():
            return Verdict("wrong", BY, "the program ended before its tests")
        return self._ended(outcome)

    def _printed(self, code: str, case: Case, number: int) -> Verdict:
        outcome = self._executor.run({self._executor.file: _encoded(code)}, _encoded(case.stdin))
        if outcome.status == "ran" and _lines(outcome.stdout.decode("utf-8", "replace")) != _lines(case.stdout):
            return Verdict("wrong", BY, f"case {number} prints something else")
        return self._ended(outcome)

    def _ended(self, outcome: Outcome) -> Verdict:
        """The verdict about how a program ended. A program that waited too long may have waited for a busy machine."""
        if outcome.limit == "wall_s":
            return Verdict(self._late, BY, f"no end within {self._recipe.wall_s:g} s")
        execution = self._executor.classify(outcome)
        return Verdict("wrong", BY, execution.detail) if execution.outcome in FAILING else Verdict("right", BY)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace") + b"\n"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
