"""Shared by all benchmarks: measure a child process, compare systems within one run, judge a claim.

A benchmark is a file `benchmarks/NAME.py` whose docstring's first line is its claim and whose `main(argv)` measures,
prints a table and returns 0 only if the claim held. `python -m benchmarks.harness` lists them, `… NAME` runs one.
"""

from __future__ import annotations

import ast
import contextlib
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NOT_BENCHMARKS = {"__init__", "harness"}


@dataclass(frozen=True)
class Measurement:
    """One child process and everything it started: times in seconds, memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_rss: int
    output: str


def measure(command: Sequence[str], *, env: dict[str, str] | None = None, timeout: float = 3600) -> Measurement:
    """Run `command` and measure its process tree.

    `cpu_seconds` is user + system time of the child and of every descendant it waited for. `peak_rss` is the highest
    sum of resident memory over the living tree (sampled every 20 ms), or the child's own peak from the kernel if that
    is higher (VmHWM; `ru_maxrss` would also count the memory of this process, which the child has until it starts its
    program). Raises RuntimeError with the end of the output if the command fails or runs longer than `timeout` seconds.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
            cwd=FOLDER.parent,
        )
        done = threading.Event()
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, done, peak, timeout), daemon=True)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{text[-4000:]}")
    return Measurement(seconds, usage.ru_utime + usage.ru_stime, peak[0], text)


def _watch(pid: int, done: threading.Event, peak: list[int], timeout: float) -> None:
    """Keep the highest resident memory of the tree under `pid` in `peak`, and kill the tree after `timeout` seconds."""
    import psutil

    deadline = time.monotonic() + timeout
    while not done.wait(0.02):
        try:
            root = psutil.Process(pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        with contextlib.suppress(OSError):  # the process may have ended meanwhile
            highest = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
            peak[0] = max(peak[0], int(highest[1]) * 1024 if highest else 0)
        total = 0
        for process in tree:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total)
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            return


def alternate(rounds: int, **systems: Callable[[], float]) -> dict[str, list[float]]:
    """Call every system once per round, in turn, so that a slow moment of the machine affects all of them.

    Each call returns a figure (seconds, rows per second …). The result maps names to their figures, one per round.
    """
    figures: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        order = list(systems) if number % 2 == 0 else list(reversed(systems))
        for name in order:
            figures[name].append(systems[name]())
    return figures


def ratio(figures: dict[str, list[float]], of: str, to: str) -> float:
    """The median over the rounds of `of` divided by `to`, both measured in the same round."""
    return statistics.median(a / b for a, b in zip(figures[of], figures[to], strict=True))


@dataclass(frozen=True)
class Claim:
    """A measured value with the bounds that are promised for it."""

    what: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def __str__(self) -> str:
        bounds = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        bounds += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.what}: {self.value:,.3g}{unit} (promised: {' and '.join(bounds) or 'nothing'}) - {verdict}"


def verdict(claims: Sequence[Claim]) -> int:
    """Print the claims; the exit code is 0 only if all of them hold."""
    print()
    for claim in claims:
        print(claim)
    return 0 if all(claim.holds for claim in claims) else 1


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, ready for RESULTS.md; floats are shown with three significant digits."""
    cells = [[f"{v:,.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """The machine in one line, because figures mean nothing without it."""
    import psutil

    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {cores} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def benchmarks() -> dict[str, str]:
    """Name of each benchmark -> its claim; no benchmark is imported."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem not in NOT_BENCHMARKS and not path.stem.startswith("_"):
            found[path.stem] = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    return found


def main(argv: Sequence[str]) -> int:
    known = benchmarks()
    if not argv or argv[0] in ("-h", "--help"):
        width = max(map(len, known), default=0)
        for name, claim in known.items():
            print(f"  {name:<{width}}  {claim}")
        print("\nRun one: make bench NAME=… (ARGS=--quick for a small version). Figures so far: benchmarks/RESULTS.md")
        return 0
    name, *rest = argv
    if name not in known:
        print(f"unknown benchmark {name!r}; known benchmarks are {', '.join(known)}", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    return import_module(f"benchmarks.{name}").main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
