"""`make fuzz MINUTES=n`: tries new random examples of all property tests, in two processes, until the time is over.

Every failing example is printed ready to paste: the name of the test, with `@example(...)` where its values can be
written as code, else with `@reproduce_failure(...)` or `@seed(...)`.

The file has two halves. `main` shares the test files out among processes that run pytest, one file at a time, and
prints what they find. In these processes this file is a pytest plugin: it runs each property test over and over, with
another seed each time, and with as many examples as fit into a round.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PROCESSES = 2
#: A test runs for at least and at most this many seconds before the next one has its turn.
TURN = 4.0, 60.0
#: The examples that a test tries at once take about this many seconds, and there are at most this many.
ROUND, MOST_EXAMPLES = 10.0, 2_000
#: A process that has not ended this many seconds after the time is over is killed. A failure takes time to shrink.
GRACE = 45.0
#: A round that takes this many seconds is a failure. The limit of `make test` is for a machine with less to do.
TIMEOUT = 900

# -- in a test process -------------------------------------------------------------------------------------------------


@dataclass
class _Turn:
    """The environment's word on where to write what the tests of this process find, until when they may run, and how
    many seconds they have together."""

    record: Path
    until: float
    seconds: float


def _turn() -> _Turn | None:
    """None in every other pytest run."""
    try:
        return _Turn(
            Path(os.environ["FUZZ_RECORD"]), float(os.environ["FUZZ_UNTIL"]), float(os.environ["FUZZ_SECONDS"])
        )
    except KeyError:
        return None


def pytest_collection_finish(session: pytest.Session) -> None:
    if turn := _turn():
        session.config.stash[_SECONDS] = min(max(TURN[0], turn.seconds / max(1, len(session.items))), TURN[1])


class _Siblings:
    """Stands for the next test: fixtures of modules, classes and the session stay, fixtures of the test are ended."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def listchain(self) -> list[Any]:
        return self._item.listchain()[:-1]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a property test again and again until its turn is over, or until it fails."""
    turn = _turn()
    if turn is None:
        return None
    from _pytest.runner import runtestprotocol

    begin, own, examples, tried = time.time(), _own_settings(item), 0, 0
    test = f"{os.path.relpath(item.path, PROJECT)}::{item.nodeid.partition('::')[2]}"
    while time.time() < turn.until:
        left = min(turn.until, begin + item.config.stash[_SECONDS]) - time.time()
        if tried and left < 1:
            break
        pace = (time.time() - begin) / tried if tried else 0.0
        examples = _next_count(own.max_examples, pace, left)
        seed = random.getrandbits(32)
        _prepare(item, own, examples, seed)
        _write(turn, event="begin", test=test, seed=seed)
        item.stash[_ERROR] = None
        runtestprotocol(item, log=False, nextitem=_Siblings(item))
        tried += examples
        error = item.stash[_ERROR]
        if error is not None:
            for one in _single_errors(error):
                name = getattr(item, "originalname", item.name)
                paste = paste_text(name, getattr(one, "__notes__", []), seed, item.module)
                where = "".join(_last_line(one))
                _write(turn, event="failure", test=test, error=_first_line(one), where=where, paste=paste)
        _write(turn, event="end", test=test, examples=examples)
        if error is not None:
            break
    item.session._setupstate.teardown_exact(nextitem)
    return True


_ERROR = pytest.StashKey[BaseException | None]()
_SECONDS = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Any:
    report = yield
    if call.excinfo is not None and report.failed:  # a test of unittest's kind has its error only now
        item.stash[_ERROR] = item.stash.get(_ERROR, None) or call.excinfo.value
    return report


def _next_count(own: int, pace: float, left: float) -> int:
    """The number of examples in the next round; `pace` is how many seconds one takes, 0 if that is not known yet."""
    if not pace:
        return min(own, 100)
    return max(1, min(int(min(ROUND, left) / pace), MOST_EXAMPLES))


def _own_settings(item: pytest.Item) -> Any:
    from hypothesis import settings

    if item.cls is not None and hasattr(item.cls, "settings"):  # a state machine
        return item.cls.settings
    return getattr(_function(item), "_hypothesis_internal_use_settings", settings.default)


def _function(item: pytest.Item) -> Any:
    return getattr(item.obj, "__func__", item.obj)


def _prepare(item: pytest.Item, own: Any, examples: int, seed: int) -> None:
    """New random examples instead of those that the test always tries."""
    from hypothesis import HealthCheck, Phase, settings

    new = settings(
        own,
        max_examples=examples,
        derandomize=False,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=True,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    if item.cls is not None and hasattr(item.cls, "settings"):
        item.cls.settings = new
    else:
        _function(item)._hypothesis_internal_use_settings = new
        _function(item)._hypothesis_internal_use_seed = seed


def _write(turn: _Turn, **facts: Any) -> None:
    with turn.record.open("a") as file:
        file.write(json.dumps(facts) + "\n")


def _single_errors(error: BaseException) -> list[BaseException]:
    """Hypothesis raises a group when it found several different failures."""
    if isinstance(error, BaseExceptionGroup):
        return [one for part in error.exceptions for one in _single_errors(part)]
    return [error]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _last_line(error: BaseException) -> str:
    """The place in the project where the error was raised, or where the project called what raised it."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if str(PROJECT) in frame.filename and ".venv" not in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def paste_text(name: str, notes: list[str], seed: int, module: ModuleType) -> str:
    """What to write above the test, or for a state machine the test, so that it tries the failing example again.

    `notes` are what Hypothesis added to the error. The values of the example can be written as code if they can be
    evaluated in the test's module. Otherwise the decorator that Hypothesis suggests is returned, which only works with
    the installed version of Hypothesis, or the seed, with which the test finds the example again.
    """
    text = "\n".join(notes)
    if steps := re.search(r"^state = .*?^state\.teardown\(\)$", text, re.DOTALL | re.MULTILINE):
        body = "\n".join(f"    {line}" for line in steps[0].splitlines())
        return f"def test_of_a_found_example():\n{body}"
    given = _arguments(module, name)
    if example := re.search(
        rf"^(?:Failing test case|Falsifying example): ({re.escape(name)}\(.*)", text, re.DOTALL | re.M
    ):
        values = _values(example[1], given, module)
        if values:
            return f"@example({', '.join(f'{key}={value}' for key, value in values.items())})"
    if blob := re.search(r"@reproduce_failure\(.*\)", text):
        return blob[0]
    return f"@seed({seed})"


def _arguments(module: ModuleType, name: str) -> set[str]:
    """The names of the arguments for which Hypothesis makes values."""
    test = getattr(module, name, None)
    return set(getattr(getattr(test, "hypothesis", None), "_given_kwargs", ()) or ())


def _values(call: str, given: set[str], module: ModuleType) -> dict[str, str] | None:
    """The arguments of a printed call as code; None if one of them cannot be evaluated."""
    for end in [match.end() for match in re.finditer(r"^\)", call, re.MULTILINE)]:
        with contextlib.suppress(SyntaxError):
            tree = ast.parse(call[:end], mode="eval").body
            break
    else:
        return None
    values = {word.arg: word.value for word in tree.keywords if word.arg in given}
    try:
        for value in values.values():
            eval(compile(ast.Expression(value), "example", "eval"), dict(vars(module)))  # noqa: S307
    except Exception:
        return None
    code = {key: ast.unparse(value) for key, value in values.items()}
    return code if code.keys() == given and "..." not in "".join(code.values()) else None


# -- the main process --------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What all processes found until now."""

    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    examples: Counter[str] = field(default_factory=Counter)

    def add(self, test: str, where: str, error: str, paste: str) -> None:
        """Print a failure, unless the same test failed at the same place before."""
        if (test, where) in self.failures:
            return
        self.failures[test, where] = paste
        file, _, name = test.partition("::")
        print(f"\nFAILED {test}\n  {error} ({where})\n# {file}, {name}:\n{paste}\n", flush=True)

    def read(self, record: Path, status: int) -> None:
        """Add what a process wrote. A test that it began and did not end has killed it, if its exit status says so."""
        begun: dict[str, int] = {}
        for line in record.read_text().splitlines() if record.exists() else []:
            facts = json.loads(line)
            if facts["event"] == "begin":
                begun[facts["test"]] = facts["seed"]
            elif facts["event"] == "failure":
                self.add(facts["test"], facts["where"], facts["error"], facts["paste"])
            else:
                begun.pop(facts["test"], None)
                self.examples[facts["test"]] += facts["examples"]
        if status:
            for test, seed in begun.items():
                self.add(test, "process", f"its process ended with status {status}", f"@seed({seed})")


def property_files(folders: list[str]) -> list[str]:
    """The test files that use Hypothesis."""
    files = []
    for path in (PROJECT / folder for folder in folders):
        files += [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return [str(file) for file in files if "hypothesis" in file.read_text()]


PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.fuzzing"]
PYTEST += ["-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(PROJECT)]


class Campaign:
    """Shares the files out among processes until the time is over."""

    def __init__(self, files: Iterable[str], seconds: float, until: float, env: dict[str, str]) -> None:
        self.files, self.seconds, self.until, self.env = sorted(files), seconds, until, env
        self.found = Found()
        self._waiting: list[str] = []
        self._processes: set[subprocess.Popen] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        threads = [threading.Thread(target=self._work) for _ in range(PROCESSES)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self.until = 0.0
            for process in list(self._processes):
                end_group(process)

    def _work(self) -> None:
        while time.time() < self.until:
            with self._lock:
                self._waiting = self._waiting or random.sample(self.files, len(self.files))
                file = self._waiting.pop()
            with tempfile.TemporaryDirectory(prefix="nemotron-fuzz-", ignore_cleanup_errors=True) as folder:
                self.run_file(file, Path(folder))

    def run_file(self, file: str, folder: Path) -> None:
        """Run the property tests of a file in a process group of their own."""
        record, printed = folder / "record", folder / "printed"
        words = {"FUZZ_RECORD": str(record), "FUZZ_UNTIL": str(self.until), "FUZZ_SECONDS": str(self.seconds)}
        command = [*PYTEST, "-m", "hypothesis", "-o", f"timeout={TIMEOUT}", "--basetemp", str(folder / "temp"), file]
        with printed.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.env | words,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.add(process)
        try:
            process.wait(max(0.0, self.until + GRACE - time.time()))
        except subprocess.TimeoutExpired:
            pass
        in_time = process.poll() is not None and self.until > 0
        end_group(process)
        self._processes.discard(process)
        with self._lock:
            self.found.read(record, process.returncode if in_time else 0)
            if in_time and process.returncode not in (0, 5) and not record.exists():  # 5: it has no property test
                lines = printed.read_text(errors="replace").splitlines()[-20:]
                self.found.add(file, "collection", "the file cannot be run", "\n".join(f"# {line}" for line in lines))


def end_group(process: subprocess.Popen) -> None:
    """Kill a process and what it left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(minutes: float, folders: list[str]) -> int:
    """Run property tests for some minutes; 1 if a test failed."""
    until = time.time() + 60 * minutes
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    files = property_files(folders)
    if not files:
        raise SystemExit(f"there are no property tests in {', '.join(folders)}")
    seconds = PROCESSES * 60 * minutes * 0.8 / len(files)
    print(f"{len(files)} files with property tests, each for about {seconds:.0f} s in {minutes:g} minutes", flush=True)
    campaign = Campaign(files, seconds, until, env)
    campaign.run()
    found = campaign.found
    print(f"{sum(found.examples.values()):,} examples of {len(found.examples)} property tests")
    print("\n".join([f"{len(found.failures)} failures", *sorted({test for test, _ in found.failures})]))
    return 1 if found.failures else 0


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]), sys.argv[2:] or ["tests"]))
