"""The processes in which `nemotron run` executes Dagster runs, seen from the command.

Each worker is a new interpreter (nemotron_assets/commands/worker.py) that keeps what it has loaded: imports, and in one
worker the language model. The command only waits, so it can stop at once whatever a worker is doing.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from nemotron_assets.commands.schedule import Unit
from nemotron_assets.instance import PROJECT
from nemotron_assets.logs import MARK
from resources.processes import ending

#: A worker that holds a language model or trains needs about this much memory, in GB.
_GB_PER_JOB = 4

#: The default number of jobs is at most this: a step uses several cores itself.
_MOST_JOBS = 4

#: How much other workers stand back when the worker of the device wants a core too. A larger number would starve them
#: on a machine that is busy with other work, and rows that take too long are rejected.
_NICE = 2


def default_jobs() -> int:
    """How many units run side by side: one per core, at most 4, and no more than the free memory allows."""
    import psutil

    memory = int(psutil.virtual_memory().available / 1e9 / _GB_PER_JOB)
    return max(1, min(len(os.sched_getaffinity(0)), memory, _MOST_JOBS))


class Worker:
    """One worker process. `batch` are the units of the run that it executes now."""

    def __init__(self, lines: queue.SimpleQueue, *, polite: bool) -> None:
        paths = [str(PROJECT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        self.batch: list[Unit] = []
        self.process_name = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nemotron_assets.commands.worker", str(os.getpid()), str(_NICE if polite else 0)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only the command, which then ends the workers
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def start(self, batch: Sequence[Unit], *, force: bool) -> None:
        """Have the worker execute a batch as one Dagster run."""
        self.batch = list(batch)
        task = {"keys": [unit.key.path for unit in batch], "partition": batch[0].partition, "force": force}
        with contextlib.suppress(BrokenPipeError):  # it has died, which the reader reports
            self._process.stdin.write((json.dumps(task) + "\n").encode())
            self._process.stdin.flush()

    def ending(self) -> str:
        """How a process that has ended did end, in words."""
        return ending(self._process.wait())

    def finish(self) -> None:
        """Have the process end by itself once it is idle."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended, at most this number of seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def kill(self) -> None:
        """Kill the process and everything that it started."""
        import psutil

        if self._process.poll() is not None:
            return  # another process may have its id by now
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children(recursive=True)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.wait()

    def _read(self, lines: queue.SimpleQueue) -> None:
        with self._process.stdout as output:
            for line in output:
                lines.put((self, line.decode(errors="replace").rstrip()))
        lines.put((self, None))


class Workers:
    """At most `jobs` runs at a time. Steps that need the device all run in one worker, where the model stays loaded."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._device: Worker | None = None
        self._others: list[Worker] = []
        self._lines: queue.SimpleQueue[tuple[Worker, str | None]] = queue.SimpleQueue()
        self._closed = False

    @property
    def running(self) -> set[Unit]:
        return {unit for worker in self._all() for unit in worker.batch}

    def has_room(self) -> bool:
        """Whether another batch may start."""
        return not self._closed and sum(bool(worker.batch) for worker in self._all()) < self.jobs

    def start(self, batch: Sequence[Unit], *, on_device: bool, force: bool) -> None:
        """Execute a batch in an idle worker. Start a worker first if all of them are busy."""
        if on_device and self.jobs > 1:
            if self._device is None:
                self._device = Worker(self._lines, polite=False)
            worker = self._device
        else:
            worker = next((worker for worker in self._others if not worker.batch), None)
            if worker is None:
                # Other steps leave the core to the device's worker when both want it: most of the time goes there.
                worker = Worker(self._lines, polite=self.jobs > 1)
                self._others.append(worker)
        worker.start(batch, force=force)

    def facts(self, timeout: float) -> Iterator[tuple[Worker, dict[str, Any]]]:
        """What the workers report within `timeout` seconds: facts (see logs.py), and lines that libraries print.

        A fact of kind "died" says that the process of a worker has ended; the worker is forgotten.
        """
        with contextlib.suppress(queue.Empty):
            worker, line = self._lines.get(timeout=timeout)
            while not self._closed:
                yield from ((worker, fact) for fact in self._facts_of(worker, line))
                worker, line = self._lines.get_nowait()

    def finish(self) -> None:
        """Have all workers, which are idle, end by themselves, within two seconds."""
        self._closed, deadline = True, time.monotonic() + 2
        for worker in self._all():
            worker.finish()
        for worker in self._all():
            worker.wait(max(deadline - time.monotonic(), 0))

    def close(self) -> None:
        """Kill all workers. What they still report is not passed on."""
        self._closed = True
        for worker in self._all():
            worker.kill()

    def _all(self) -> list[Worker]:
        return [*self._others, *([self._device] if self._device else [])]

    def _facts_of(self, worker: Worker, line: str | None) -> Iterator[dict[str, Any]]:
        if line is None:
            self._others = [other for other in self._others if other is not worker]
            self._device = None if self._device is worker else self._device
            yield {"kind": "died", "text": worker.ending()}
            return
        printed, _, fact = line.partition(MARK)
        if printed := printed.rpartition("\r")[2].strip():
            yield {"kind": "printed", "text": printed}
        if fact:
            found = json.loads(fact)
            if found["kind"] == "ready":
                worker.process_name = found["process"]
            else:
                yield found
