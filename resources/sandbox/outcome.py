"""How a program in the sandbox ended, and the error of a sandbox that could not be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ran", "failed", "timed_out", "exceeded"]


class SandboxError(RuntimeError):
    """This machine cannot make a sandbox, or the caller asked for something it cannot do. Nothing was run."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `status`: ran (exit code 0), failed (another exit code), timed_out or exceeded (killed; `limit` names the limit).
    `exit_code` is the shell's: 128 + n after signal n. `cpu_s` is the CPU time of all processes in seconds; it includes
    some milliseconds of the sandbox itself. `peak_memory_mb` (MiB) is the largest sum that was observed. It can be too
    small for a program that ends within milliseconds.
    """

    status: Status
    exit_code: int
    stdout: bytes
    stderr: bytes
    cpu_s: float
    peak_memory_mb: float
    limit: str = ""
