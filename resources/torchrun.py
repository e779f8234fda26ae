"""Runs a training function under torchrun: on the devices of this machine, or of several machines together.

The first machine runs the graph. Each of the others runs `python -m resources.join NUMBER`, NUMBER from 1 on, and
joins every training that the first one starts. All have the same NEMOTRON_HOME, on a file system that they share: the
job, the checkpoints and the finished weights are there. They meet at the address `machines.rendezvous` of the recipe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemotron_assets.table.scratch import scratch_folder
from resources.files import replaced
from resources.home import cache_dir

#: Seconds between two looks for metrics, and between two looks for a training to join.
_LOOK_EVERY_S, _JOIN_EVERY_S = 0.2, 1.0


class TrainingFailed(RuntimeError):
    """A training under torchrun failed. The message has the end of its output."""


@dataclass(frozen=True)
class Machines:
    """How many machines train together, the address (host:port) of the first one at which they meet, and how many
    seconds they wait for each other."""

    number: int = 1
    rendezvous: str = ""
    join_s: float = 1_800.0

    def options(self, processes: int, machine: int = 0, job: str = "") -> list[str]:
        """The options of torchrun on one of the machines, with so many processes there. Only the agents of the same
        `job` meet."""
        own = f"--nproc-per-node={processes}"
        if self.number == 1:
            return ["--standalone", "--nnodes=1", own]
        return [
            f"--nnodes={self.number}",
            f"--node-rank={machine}",
            "--rdzv-backend=static",
            f"--rdzv-endpoint={self.rendezvous}",
            f"--rdzv-id={job}",
            f"--rdzv-conf=timeout={self.join_s:.0f}",
            own,
        ]


def train(
    entry: str,
    config: dict[str, Any],
    on_rows: Callable[[list[dict[str, Any]]], None],
    processes: int,
    machines: Machines = Machines(),
) -> dict[str, Any]:
    """Run the training function `entry` in `processes` processes of each machine; returns the result of rank 0, which
    is on this machine. `on_rows` gets the rows that it reports.

    Raises `TrainingFailed` when a process fails, and when the other machines do not join.
    """
    shared = machines.number > 1
    with scratch_folder("nemotron-train-", _jobs() if shared else None) as folder:
        (folder / "job.json").write_text(json.dumps({"entry": entry, "config": config}))
        if shared:
            with replaced(_jobs() / "current") as current:
                current.write_text(folder.name)
        rows, output = folder / "metrics.jsonl", folder / "output.log"
        rows.touch()
        with output.open("wb") as out, rows.open() as lines:
            agent = _start(folder, machines.options(processes, job=folder.name), out)
            try:
                for reported in _reported(lines, agent):
                    on_rows(reported)
            finally:
                _stop(agent)
        result = folder / "result.json"
        if agent.returncode or not result.is_file():
            tail = output.read_text(errors="replace")[-4_000:]
            where = f" of each of {machines.number} machines" if shared else ""
            raise TrainingFailed(f"{entry} failed on {processes} processes{where} (exit {agent.returncode}):\n{tail}")
        return json.loads(result.read_text())


def follow(
    machine: int,
    processes: int,
    machines: Machines,
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Join the trainings of the first machine, one after the other, until `stopped` says so.

    An agent whose training has given way to another one is ended: the first machine, or its run, was killed.
    """
    joined, agent = "", None
    try:
        while not stopped():
            job = _current()
            if agent is not None and (job != joined or agent.poll() is not None):
                _stop(agent)
                log(f"machine {machine} has left {joined} (exit status {agent.returncode})")
                agent = None
            if agent is None and job and job != joined:
                log(f"machine {machine} joins {job}")
                agent, joined = _start(_jobs() / job, machines.options(processes, machine, job)), job
            time.sleep(_JOIN_EVERY_S)
    finally:
        if agent is not None:
            _stop(agent)


def _jobs() -> Path:
    return cache_dir("training-jobs")


def _current() -> str:
    """The name of the training that goes on, "" if none does."""
    try:
        name = (_jobs() / "current").read_text()
    except FileNotFoundError:
        return ""
    return name if name and (_jobs() / name / "job.json").is_file() else ""


def _start(folder: Path, options: list[str], output: Any = None) -> subprocess.Popen:
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return subprocess.Popen(
        [sys.executable, "-m", "resources.train_worker", "launch", str(os.getpid()), str(folder), *options],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def _reported(lines: Any, agent: subprocess.Popen) -> Iterator[list[dict[str, Any]]]:
    """The rows in the lines of a file to which a process appends, until it ends."""
    rest = ""
    while True:
        ended = agent.poll() is not None
        while chunk := lines.readline():
            rest += chunk
            if rest.endswith("\n"):
                yield json.loads(rest)
                rest = ""
        if ended:
            return
        time.sleep(_LOOK_EVERY_S)


def _stop(agent: subprocess.Popen) -> None:
    """End an agent of torchrun. Its workers die with it."""
    if agent.poll() is None:
        agent.send_signal(signal.SIGTERM)
        try:
            agent.wait(timeout=10)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()
