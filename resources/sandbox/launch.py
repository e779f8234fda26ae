"""Starts programs in the sandbox, and finds out whether this machine can make one."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import site
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from resources.sandbox.bubblewrap import INSTALL, advice, bwrap_command, encoded_files
from resources.sandbox.limits import Limits
from resources.sandbox.outcome import Outcome, SandboxError
from resources.sandbox.syscalls import syscall_filter
from resources.sandbox.watch import TICKS, Watch


def run(
    command: Sequence[str],
    files: Mapping[str, bytes | str],
    stdin: bytes = b"",
    limits: Limits | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    reads: Sequence[str | Path] = (),
    hides: Sequence[str | Path] = (),
) -> Outcome:
    """Run a command in /sandbox, which holds the `files` (plain names and their contents).

    The command names its program by absolute path. The program can read /usr and the paths in `reads` (programs and
    libraries elsewhere); the folders in `hides` look empty to it. Its environment is PATH, HOME and LANG, and the
    variables in `environment`. Several threads may call this at once. Raises `SandboxError`.
    """
    limits = limits or Limits()
    check(limits)
    return _run(tuple(command), files, stdin, limits, environment or {}, tuple(map(str, reads)), tuple(map(str, hides)))


def python() -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The Python of this project for `run`: its path, its `reads` and its `hides`.

    `hides` are its folders of packages: they differ from machine to machine, and a program must not depend on them.
    """
    program, prefix = os.path.realpath(sys.executable), sys.base_prefix
    libraries = (f"{prefix}/lib", f"{prefix}/lib64")
    packages = {*site.getsitepackages([prefix]), sysconfig.get_path("purelib", vars={"base": prefix})}
    return program, (program, *filter(os.path.isdir, libraries)), tuple(sorted(filter(os.path.isdir, packages)))


@functools.lru_cache(maxsize=64)
def check(limits: Limits = Limits()) -> None:
    """Raise `SandboxError` if this machine cannot run a program within these limits. Success is remembered."""
    if os.geteuid() and tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (5, 14):
        raise SandboxError(f"the sandbox needs Linux 5.14 or newer; this is {os.uname().release}")
    if not os.path.exists(f"/proc/self/task/{threading.get_native_id()}/children"):
        raise SandboxError("the sandbox needs a kernel with CONFIG_PROC_CHILDREN to find the processes of a program")
    try:
        # Proves that the program does not see the files of the machine: it looks for one that every machine has.
        outcome = _run(("/bin/sh", "-c", "test ! -e /etc/passwd && echo yes"), {}, b"", limits, {}, (), ())
    except OSError as error:
        raise SandboxError(f"no sandbox for untrusted programs: {error}; {INSTALL}") from None
    if outcome.status != "ran" or outcome.stdout != b"yes\n":
        reason = outcome.stderr.decode(errors="replace").strip()[:300] or outcome.limit or outcome.exit_code
        raise SandboxError(f"the sandbox does not work with {limits}: {reason}")


def _run(
    command: tuple[str, ...],
    files: Mapping[str, bytes | str],
    stdin: bytes,
    limits: Limits,
    environment: Mapping[str, str],
    reads: tuple[str, ...],
    hides: tuple[str, ...],
) -> Outcome:
    with contextlib.ExitStack() as stack:
        contents = {name: _memory_file(stack, content) for name, content in encoded_files(files).items()}
        seccomp, given = _memory_file(stack, syscall_filter()), _memory_file(stack, stdin)
        process = subprocess.Popen(
            bwrap_command(command, contents, given, seccomp, limits, environment, reads, hides),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={},
            pass_fds=(seccomp, given, *contents.values()),
        )
        for stream in (process.stdin, process.stdout, process.stderr):
            stack.enter_context(stream)
        return _watched(process, limits)


def _watched(process: subprocess.Popen, limits: Limits) -> Outcome:
    """Wait until the sandbox ends or exceeds a limit. Raises `SandboxError` if bwrap could not make it."""
    watch = Watch(process, limits)
    try:
        watch.until_the_end()
    finally:
        watch.kill()
        # os.wait4 and not Popen.wait: only the former returns the CPU time used.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.close()
    out, err = (bytes(watch.output[stream]) for stream in (process.stdout, process.stderr))
    if not watch.ready:
        complaint = err.decode(errors="replace").strip()[:300]
        complaint = complaint or f"bwrap ended with {process.returncode} {watch.limit}"
        raise SandboxError(f"no sandbox for untrusted programs: {complaint}. {advice(complaint)}")
    cpu = max(used.ru_utime + used.ru_stime, watch.cpu / TICKS)  # the kernel's sum lacks processes that were killed
    code, limit = process.returncode, watch.limit
    if not limit and code in (128 + signal.SIGKILL, 128 + signal.SIGXCPU) and cpu >= limits.cpu_s:
        limit = "cpu_s"
    status = "timed_out" if limit in ("cpu_s", "wall_s") else "exceeded" if limit else "failed" if code else "ran"
    return Outcome(status, code, out, err, cpu, watch.peak / 2**20, limit)


def _memory_file(stack: contextlib.ExitStack, content: bytes) -> int:
    """The descriptor of an unnamed file with this content. It is sealed: nobody can write to it any more."""
    import fcntl

    descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, descriptor)
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return descriptor
