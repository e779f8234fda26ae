"""Whether the code of a solution runs: each one a program in the sandbox, its end a class that every run finds again.

What is published was not executed (Nemotron-H §2.3), so the recipe decides. A row gets a class and a reason and never a
time or an address; the deciding limit is of CPU time, which is the same on a busy machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nemotron_assets.recipe.code.qa import CodeExecution
from resources import sandbox

OUTCOMES = ("ran", "failed", "timed_out", "exceeded", "not_run")
#: Outcomes of programs that were run and are no good.
FAILING = frozenset(("failed", "timed_out", "exceeded"))

#: Python's hashes, and with them the order of sets, differ from run to run unless told otherwise.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
_PYTHON = "{python}"
_ERROR = re.compile(r"([A-Za-z_][\w.]{0,80}(?:Error|Exception|Exit|Interrupt))(:|\s*$)")


@dataclass(frozen=True)
class Execution:
    """What became of a program: one of `OUTCOMES`, or None where the recipe runs nothing; and why."""

    outcome: str | None = None
    detail: str | None = None


NOTHING = Execution()


class Executor:
    """Runs the codes of one language as the recipe says. Raises `SandboxError` where it must and cannot."""

    def __init__(self, recipe: CodeExecution, language: str) -> None:
        self._recipe, self.counts = recipe, Counter()
        self._program, self._instead = recipe.languages.get(language), None
        if recipe.run == "off":
            self._instead = NOTHING
        elif self._program is None:
            self._instead = Execution("not_run", f"the recipe has no command for {language}")
        else:
            self._try()

    def _try(self) -> None:
        """Run nothing at all, to see whether it can be done."""
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
            output_kb=self._recipe.output_kb,
        )
        try:
            self._run("")
        except sandbox.SandboxError as error:
            if self._recipe.run == "on":
                raise
            self._instead = Execution("not_run", str(error))

    def __call__(self, codes: Sequence[str]) -> list[Execution]:
        """What becomes of each, in order."""
        if self._instead:
            found = [self._instead] * len(codes)
        else:
            with ThreadPoolExecutor(self._recipe.programs) as pool:
                found = list(pool.map(self._execution, codes))
        self.counts.update(execution.outcome for execution in found if execution.outcome)
        return found

    def bad(self, execution: Execution) -> bool:
        """Whether a solution is dropped for this."""
        return self._recipe.failing == "drop" and execution.outcome in FAILING

    def _execution(self, code: str) -> Execution:
        return _classified(self._run(code))

    def _run(self, code: str) -> sandbox.Outcome:
        files = {self._program.file: code.encode("utf-8", "replace") + b"\n"}
        return sandbox.run(self._command, files, limits=self._limits, environment=_ENVIRONMENT, **self._view)


def _classified(outcome: sandbox.Outcome) -> Execution:
    if outcome.status == "ran":
        return Execution("ran", "exit code 0")
    if outcome.limit:
        return Execution(outcome.status, f"more than {outcome.limit}")
    lines = outcome.stderr.decode("utf-8", "replace").rstrip().split("\n")
    error = _ERROR.match(lines[-1])
    return Execution("failed", f"exit code {outcome.exit_code}" + (f": {error[1]}" if error else ""))
