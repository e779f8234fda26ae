"""Watches a running sandbox: collects its output, sums what its processes use, and kills it above a limit."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from resources.sandbox.bubblewrap import HOME
from resources.sandbox.limits import Limits

#: Clock ticks per second, the unit of CPU time in /proc.
TICKS = os.sysconf("SC_CLK_TCK")

_PAGE_BYTES = resource.getpagesize()
_POLL_S = 0.02  # seconds between two looks at the sums over all processes


class Watch:
    """One running sandbox.

    `ready` says whether the sandbox was made, `limit` names the limit it exceeded ("" if none), `peak` is the largest
    sum of resident memory in bytes, `cpu` the largest sum of CPU time in clock ticks.
    """

    def __init__(self, process: subprocess.Popen, limits: Limits) -> None:
        self._process, self._limits = process, limits
        self.output = {process.stdout: bytearray(), process.stderr: bytearray()}
        self.ready = False
        self.limit, self.peak, self.cpu = "", 0, 0
        self._bwrap = os.pidfd_open(process.pid)
        self._deadline = time.monotonic() + limits.wall_s

    def until_the_end(self) -> None:
        """Return when bwrap has ended and its output is read to the end. Kill the sandbox above a limit."""
        with selectors.DefaultSelector() as selector:
            for stream in (*self.output, self._bwrap):
                selector.register(stream, selectors.EVENT_READ)
            open_streams, ended = set(self.output), False
            while open_streams or not ended:
                for key, _ in selector.select(_POLL_S):
                    if key.fileobj == self._bwrap:
                        ended = True
                    elif not self._read(key.fileobj):
                        open_streams.discard(key.fileobj)
                    else:
                        continue
                    selector.unregister(key.fileobj)
                if not ended and not self.limit and (limit := self._exceeded()):
                    self.limit = limit
                    self.kill()

    def kill(self) -> None:
        """Kill the first process of the sandbox; the kernel then kills all others. Kill bwrap if there is none yet."""
        for pid in list(_tree(self._process.pid))[1:2]:
            with contextlib.suppress(ProcessLookupError):
                # The number still belongs to this process: its parent bwrap has not been waited for and waits for it.
                os.kill(pid, signal.SIGKILL)
                return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._bwrap, signal.SIGKILL)

    def close(self) -> None:
        os.close(self._bwrap)

    def _read(self, stream) -> bool:
        """Read what a stream holds now; False at its end. The first output says that the sandbox is ready."""
        chunk = os.read(stream.fileno(), 65_536)
        if chunk and stream is self._process.stdout and not self.ready:
            self.ready, chunk = True, chunk[1:]
            with contextlib.suppress(BrokenPipeError):
                os.write(self._process.stdin.fileno(), b"\n")
            return True
        room = (self._limits.output_kb << 10) - len(self.output[stream])
        self.output[stream] += chunk[:room]
        if len(chunk) > room and not self.limit:
            self.limit = "output_kb"
            self.kill()
        return bool(chunk)

    def _exceeded(self) -> str:
        """The name of the limit that all processes together exceed, or ""."""
        if time.monotonic() > self._deadline:
            return "wall_s"
        if not self.ready:
            return ""
        if self._files_in_use() > self._limits.files:
            return "files"
        memory = cpu = 0
        for pid in list(_tree(self._process.pid))[1:]:
            with contextlib.suppress(OSError, IndexError, ValueError):  # the process has ended
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
                cpu += sum(map(int, fields[11:15]))  # user and system time, its own and that of its dead children
                memory += int(fields[21]) * _PAGE_BYTES
        self.peak, self.cpu = max(self.peak, memory), max(self.cpu, cpu)
        if memory > self._limits.memory_mb << 20:
            return "memory_mb"
        return "cpu_s" if cpu > self._limits.cpu_s * TICKS else ""

    def _files_in_use(self) -> int:
        """How many files, folders and links /sandbox holds. The program cannot reach the first process of the sandbox,
        through whose view of the disk they are counted."""
        for pid in list(_tree(self._process.pid))[1:2]:
            with contextlib.suppress(OSError):  # the process has ended
                of_disk = os.statvfs(f"/proc/{pid}/root{HOME}")
                return of_disk.f_files - of_disk.f_ffree
        return 0


def _tree(first: int) -> Iterator[int]:
    """The ids of a process and of all its descendants. Children of every thread are counted."""
    waiting = [first]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    waiting += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
