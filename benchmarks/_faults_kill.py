"""Plays a command and kills it: when, whom and with which signal; then looks after what is left of it."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Moment:
    """`seconds` after the event `event` of a run, at the latest when the next event comes.

    Event 0 is the start of the process. Every line of its output is an event, and so is the creation of its Dagster
    home. A moment that is counted from an event hits the same work on a slow machine and on a fast one.
    """

    event: int
    seconds: float

    def __str__(self) -> str:
        return f"event {self.event} + {self.seconds:.2f} s"


@dataclass(frozen=True)
class Kill:
    """What is done to a run: the signal, who gets it (the whole group, the parent or one worker), and the moment."""

    signal: signal.Signals
    target: str
    moment: Moment


def draw(rng: random.Random, events: list[float], end: float, *, early: bool) -> Moment:
    """A random moment of a run whose unbroken version had these events, in seconds after the start.

    A tenth of the moments, with `early` half of them, come before the first line, where the program is loaded and the
    home created. Of the rest, half are uniform in time and half in the number of the event, so that short steps are hit
    as well as long ones.
    """
    first = next((at for at in events[2:]), end)
    if rng.random() < (0.5 if early else 0.1):
        at = rng.choice([rng.uniform(0, min(1.0, end)), rng.uniform(0, first)])
    elif rng.random() < 0.5:
        at = rng.uniform(first, end)
    else:
        number = rng.randrange(len(events))
        at = rng.uniform(events[number], events[number + 1] if number + 1 < len(events) else end)
    event = max(number for number, start in enumerate(events) if start <= at)
    return Moment(event, at - events[event])


@dataclass
class Run:
    """A run that has ended. `events` are the times of its events and `seconds` its duration, both from its start.

    `stopped_after` is the time from the signal to the end of the parent; None for a run that nothing was done to.
    `hit` says whether the kill found its target, `workers` whether the run was seen to have child processes.
    """

    code: int
    seconds: float
    output: str
    events: list[float] = field(default_factory=list)
    stopped_after: float | None = None
    hit: bool = False
    workers: bool = False


def play(
    process: subprocess.Popen, home: Path, kill: Kill | None, timeout: float, before: Callable[[], None] = lambda: None
) -> Run:
    """Follow a process to its end, and do to it what `kill` says; `before` is called just before that.

    A process that takes longer than `timeout` is killed with all it started, and its run has the code -9.
    """
    started = time.monotonic()
    events, lines, news = [0.0], [], queue.SimpleQueue()
    threading.Thread(target=_follow, args=(process, news), daemon=True).start()
    run, appeared, over, ended, looked = Run(0, 0, ""), False, False, None, 0.0
    while ended is None:
        now = time.monotonic() - started
        if kill is None and not run.workers and now - looked > 0.2:
            looked, run.workers = now, bool(_workers(process.pid))
        if kill and not over and now - _base(events, kill.moment) >= kill.moment.seconds:
            targets = _targets(process, kill.target)
            if targets:
                before()
                _send(targets, kill)
                run.hit, over, signalled = True, True, time.monotonic()
            elif kill.target != "worker":
                over = True  # it ended first
        if now > timeout:
            end([process.pid, *(p.pid for p in _tree(process.pid))])
        if not appeared and (home / "dagster").is_dir():
            appeared = True
            events.append(now)
        try:
            line = news.get(timeout=0.002 if kill and not over else 0.05)
        except queue.Empty:
            # A worker that outlived its parent holds the pipe open: the end of the parent is what counts.
            if process.poll() is not None:
                ended = time.monotonic()
            continue
        if line is None:
            process.wait()
            ended = time.monotonic()
        else:
            lines.append(line)
            events.append(time.monotonic() - started)
    while not news.empty() and (line := news.get()) is not None:
        lines.append(line)
    run.code, run.seconds, run.events, run.output = process.wait(), ended - started, events, "".join(lines)
    run.stopped_after = ended - signalled if run.hit else None
    return run


def _base(events: list[float], moment: Moment) -> float:
    """When the event of a moment came; infinitely late if it has not come yet, long ago if the next has come too."""
    if len(events) <= moment.event:
        return float("inf")
    return events[moment.event] if len(events) == moment.event + 1 else float("-inf")


def _follow(process: subprocess.Popen, news: queue.SimpleQueue) -> None:
    for line in process.stdout:
        news.put(line)
    news.put(None)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _workers(pid: int) -> list[int]:
    """The child processes that work; Dagster's helpers, which copy the output of steps into files, do not count."""
    found = []
    for process in _tree(pid):
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if command[:1] != ["tail"] and not any(part.endswith("watch_orphans.py") for part in command):
                found.append(process.pid)
    return found


def _targets(process: subprocess.Popen, target: str) -> list[int]:
    """The processes to signal, the parent first; empty when the process has ended or has no worker (now)."""
    if process.poll() is not None:
        return []
    if target == "worker":
        workers = _workers(process.pid)
        return [random.choice(workers)] if workers else []
    return [process.pid, *(p.pid for p in _tree(process.pid))] if target == "group" else [process.pid]


def _send(targets: list[int], kill: Kill) -> None:
    if kill.target == "group" and kill.signal != signal.SIGKILL:
        os.killpg(targets[0], kill.signal)  # as a terminal does: workers in groups of their own get nothing
    for target in targets if kill.target != "group" or kill.signal == signal.SIGKILL else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, kill.signal)


def end(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def left_behind(home: Path, wait: float = 10) -> list[str]:
    """The command lines of processes that still work on a home after `wait` seconds. They are killed."""
    deadline = time.monotonic() + wait
    while found := _of_home(home):
        if time.monotonic() > deadline:
            names = [" ".join(p.info["cmdline"] or [])[-120:] for p in found]
            end(p.pid for p in found)
            return names
        time.sleep(0.2)
    return []


def _of_home(home: Path) -> list[psutil.Process]:
    marker, found = f"NEMOTRON_HOME={home}\0".encode(), []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if marker in Path(f"/proc/{process.pid}/environ").read_bytes() and process.status() != "zombie":
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found
