"""Runs the codes of solutions in the sandbox, each as a program of its own, and classifies how they end.

The published samples were not executed (Nemotron-H §2.3); the recipe decides whether codes are run here. The result of
a program is the same in every run: it contains no times or addresses, and the usual limit is one of CPU time, which
does not depend on how busy the machine is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nemotron_assets.recipe.code.qa import CodeExecution
from resources import sandbox

OUTCOMES = ("ran", "failed", "timed_out", "exceeded", "not_run")
#: Outcomes of programs that ran and failed.
FAILING = frozenset(("failed", "timed_out", "exceeded"))

#: With this setting Python's hashes, and the order of its sets, are the same in every run.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
_PYTHON = "{python}"
_ERROR = re.compile(r"([A-Za-z_][\w.]{0,80}(?:Error|Exception|Exit|Interrupt))(:|\s*$)")


@dataclass(frozen=True)
class Execution:
    """The result of a program: one of `OUTCOMES` and the reason; both are None if the recipe does not run code."""

    outcome: str | None = None
    detail: str | None = None


NO_EXECUTION = Execution()


class Executor:
    """Runs the codes of one language as the recipe says. `counts` is {outcome: number of codes}.

    Raises `SandboxError` if the recipe demands a sandbox (`run: on`) and there is none.
    """

    def __init__(self, recipe: CodeExecution, language: str) -> None:
        self._recipe, self.counts = recipe, Counter()
        self._program, self._fixed = recipe.languages.get(language), None  # _fixed: the result of every code
        if recipe.run == "off":
            self._fixed = NO_EXECUTION
        elif self._program is None:
            self._fixed = Execution("not_run", f"the recipe has no command for {language}")
        else:
            self._prepare()

    def _prepare(self) -> None:
        """Set the sandbox up, and run an empty program to see whether it works."""
        python, reads, hides = sandbox.python()
        self._command = tuple(python if word == _PYTHON else word for word in self._program.command)
        if _PYTHON not in self._program.command:
            reads, hides = (), ()
        self._view = {"reads": (*self._program.reads, *reads), "hides": hides}
        self._limits = sandbox.Limits(
            cpu_s=self._recipe.cpu_s,
            wall_s=self._recipe.wall_s,
            memory_mb=self._recipe.memory_mb,
            processes=self._recipe.processes,
            disk_mb=self._recipe.disk_mb,
            files=self._recipe.files,
            output_kb=self._recipe.output_kb,
        )
        try:
            self.run({self.file: b"\n"})
        except sandbox.SandboxError as error:
            if self._recipe.run == "on":
                raise
            self._fixed = Execution("not_run", str(error))

    def __call__(self, codes: Sequence[str]) -> list[Execution]:
        """The result of each code, in order."""
        if self._fixed:
            found = [self._fixed] * len(codes)
        else:
            with ThreadPoolExecutor(self._recipe.programs) as pool:
                found = list(pool.map(self._execution, codes))
        self.counts.update(execution.outcome for execution in found if execution.outcome)
        return found

    @property
    def unable(self) -> str:
        """Why this executor runs nothing; "" if it runs programs."""
        return (self._fixed.detail or "the recipe does not run code") if self._fixed else ""

    @property
    def file(self) -> str:
        """The name of the file that a program of the language is written to."""
        return self._program.file

    def run(self, files: Mapping[str, bytes | str], stdin: bytes = b"") -> sandbox.Outcome:
        """Run the command of the language once with these files. Raises `SandboxError`."""
        return sandbox.run(self._command, files, stdin, limits=self._limits, environment=_ENVIRONMENT, **self._view)

    def drops(self, execution: Execution) -> bool:
        """Whether the recipe rejects a solution with this result."""
        return self._recipe.failing == "drop" and execution.outcome in FAILING

    def _execution(self, code: str) -> Execution:
        return self.classify(self.run({self.file: code.encode("utf-8", "replace") + b"\n"}))

    @staticmethod
    def classify(outcome: sandbox.Outcome) -> Execution:
        """The result of a program: the error is the exception named in the last line of its output."""
        if outcome.status == "ran":
            return Execution("ran", "exit code 0")
        if outcome.limit:
            return Execution(outcome.status, f"more than {outcome.limit}")
        lines = outcome.stderr.decode("utf-8", "replace").rstrip().split("\n")
        error = _ERROR.match(lines[-1])
        return Execution("failed", f"exit code {outcome.exit_code}" + (f": {error[1]}" if error else ""))
