"""What a program in the sandbox may use, and the part of it that the kernel enforces for each process."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    `cpu_s` (CPU seconds) and `wall_s` (seconds) are for all processes together. `memory_mb` (MiB) is the memory of each
    process, and also the resident memory of all of them; a page that two processes share counts twice. `disk_mb` (MiB)
    is the size of /sandbox, and `files` the number of files, folders and links in it: the kernel counts no bytes for
    empty ones. `output_kb` (KiB) is for stdout and stderr each. `open_files` is for each process.
    """

    cpu_s: int = 10
    wall_s: float = 60.0
    memory_mb: int = 512
    processes: int = 16
    disk_mb: int = 16
    files: int = 2_048
    output_kb: int = 64
    open_files: int = 64


def kernel_limits(limits: Limits) -> list[str]:
    """The `prlimit` command that starts a program under the limits of the kernel. Never above this process's own."""
    wanted = {
        "cpu": (resource.RLIMIT_CPU, limits.cpu_s + 1),  # in case nobody watches the sum over all processes
        # The data of a process and not its address space: some runtimes reserve far more addresses than they use.
        "data": (resource.RLIMIT_DATA, limits.memory_mb << 20),
        "stack": (resource.RLIMIT_STACK, min(8, limits.memory_mb) << 20),
        "nproc": (resource.RLIMIT_NPROC, limits.processes + (os.geteuid() > 0)),  # for a user the shell counts too
        "fsize": (resource.RLIMIT_FSIZE, limits.disk_mb << 20),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "core": (resource.RLIMIT_CORE, 0),
        "memlock": (resource.RLIMIT_MEMLOCK, 0),
        "msgqueue": (resource.RLIMIT_MSGQUEUE, 0),
    }
    words = ["/usr/bin/prlimit"]
    for name, (kind, value) in wanted.items():
        own = resource.getrlimit(kind)[1]
        value = value if own == resource.RLIM_INFINITY else min(value, own)
        words.append(f"--{name}={value}:{value}")
    return words
