"""Runs one untrusted program: source text and a command in, what became of it out. Nothing of the machine is risked.

`run(command, files, stdin, limits)` starts the command in a file system of its own: the machine's programs and
libraries (/usr, an interpreter elsewhere) can be read, /sandbox can be written, and there is nothing else: no /home, no
/etc/passwd, no lake. It has no network (one of its own, in which nobody listens), no environment and no open files, it
sees no process but its own, and all of them are dead when `run` returns.

Who does that is bubblewrap (`bwrap`, Flatpak's sandbox; a Debian package), with `prlimit` and `setpriv` of util-linux:
 - it needs no daemon and no setuid program, only user namespaces, which an ordinary user of Debian, Fedora or Arch has;
   Ubuntu 24.04 allows them per program, by an AppArmor profile (`apparmor-profiles`: bwrap-userns-restrict), Docker by
   its seccomp profile. `unshare` needs the same and leaves mounts to its caller; Landlock alone hides neither processes
   nor (before Linux 6.7) the network.
 - /sandbox is a tmpfs inside of it: no path of the program is ever one of ours, and it is gone with the last process.
 - for root, whom limits of processes do not bind, the program runs as a user number of its own, without capabilities.
 - a seccomp filter takes away what namespaces do not cover: other kinds of sockets (vsock leads to a hypervisor),
   ptrace, keyrings, io_uring, new user namespaces, memory that belongs to no process.

Limits are the kernel's where it has them (CPU time, memory, processes, files, descriptors); the sums over all processes
are looked at every few milliseconds, and who is above is killed. Without a sandbox there is no running: `SandboxError`
names what is missing. Needs Linux 5.14, which counts an ordinary user's processes per sandbox.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import resource
import selectors
import shutil
import signal
import site
import struct
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: The only folder a program can write to, its current one; also as /tmp.
HOME = "/sandbox"
Status = Literal["ran", "failed", "timed_out", "exceeded"]

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_TAKEN = ("/dev/", "/proc/", "/tmp/", f"{HOME}/")
_LOOK_S = 0.02  # how often sums over all processes are looked at
_INSTALL = "install bubblewrap 0.7 or newer (sudo apt-get install bubblewrap)"
_INPUT = "/input"
#: The first process of the sandbox, with which all others end. It stays the user that bwrap is, who may kill it when
#: its own caller dies; only its child becomes another one. Before it starts that, it says a word and waits for an
#: answer: had the caller died before the kernel was told to end the sandbox with him, nobody would ever do it.
_SHELL = ("/bin/sh", "-c", f'echo && read -r go && "$@" <{_INPUT}; exit $?', "sh")


class SandboxError(RuntimeError):
    """No sandbox can be had on this machine, or it was asked for something it cannot do; nothing was run."""


@dataclass(frozen=True)
class Limits:
    """What a program may use. `memory_mb` (MiB) holds for the memory of every process and for what is resident of all,
    pages that processes share counted once for each; `disk_mb` (MiB) is the size of /sandbox; `output_kb` (KiB)
    holds for stdout and stderr each."""

    cpu_s: int = 10
    wall_s: float = 60.0
    memory_mb: int = 512
    processes: int = 16
    disk_mb: int = 16
    output_kb: int = 64
    open_files: int = 64


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `status`: ran (exit code 0), failed (another one), timed_out or exceeded (killed; `limit` names which).
    `exit_code` is the shell's: 128 + n after signal n. `cpu_s` are the seconds of all its processes, with some
    milliseconds of the sandbox's own. `peak_memory_mb` (MiB) is the largest sum seen: of a program that takes
    milliseconds it may be too small.
    """

    status: Status
    exit_code: int
    stdout: bytes
    stderr: bytes
    cpu_s: float
    peak_memory_mb: float
    limit: str = ""


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
    """Run a command (its program by absolute path) in /sandbox, where `files` are (plain names).

    The program reads /usr and the `reads` (paths of programs and libraries elsewhere), where the folders `hides` are
    empty. Its environment is PATH, HOME and LANG, and `environment`. May be called from several threads. Raises
    `SandboxError`.
    """
    limits = limits or Limits()
    check(limits)
    return _run(tuple(command), files, stdin, limits, environment or {}, tuple(map(str, reads)), tuple(map(str, hides)))


def python() -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """This project's Python: its path, what must be readable for it to run (`reads`), and where there are packages, of
    which every machine has others (`hides`)."""
    program, prefix = os.path.realpath(sys.executable), sys.base_prefix
    libraries = (f"{prefix}/lib", f"{prefix}/lib64")
    packages = {*site.getsitepackages([prefix]), sysconfig.get_path("purelib", vars={"base": prefix})}
    return program, (program, *filter(os.path.isdir, libraries)), tuple(sorted(filter(os.path.isdir, packages)))


@functools.lru_cache(maxsize=64)
def check(limits: Limits = Limits()) -> None:
    """Raise `SandboxError` if this machine cannot run a program within these limits; asked once."""
    if os.geteuid() and tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (5, 14):
        raise SandboxError(f"the sandbox needs Linux 5.14 or newer, not {os.uname().release}")
    if not os.path.exists(f"/proc/self/task/{threading.get_native_id()}/children"):
        raise SandboxError("the sandbox needs a kernel with CONFIG_PROC_CHILDREN, to find the processes of a program")
    try:
        # The program must not see files of whoever runs it, so it is looked for.
        outcome = _run(("/bin/sh", "-c", "test ! -e /etc/passwd && echo yes"), {}, b"", limits, {}, (), ())
    except OSError as error:
        raise SandboxError(f"no sandbox for untrusted programs: {error}; {_INSTALL}") from None
    if outcome.status != "ran" or outcome.stdout != b"yes\n":
        said = outcome.stderr.decode(errors="replace").strip()[:300]
        raise SandboxError(f"the sandbox does not work with {limits}: {said or outcome.limit or outcome.exit_code}")


# ---- one run -----------------------------------------------------------------------------------------------------


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
        data = {name: _memory_file(stack, content) for name, content in _checked(files).items()}
        filtered, given = _memory_file(stack, _filter()), _memory_file(stack, stdin)
        arguments = [
            *_sandbox(filtered),
            *_view(reads, hides),
            *_contents(data, given, limits),
            *_environment(environment),
            "--chdir",
            HOME,
            "--",
            *_SHELL,
            *_identity(),
            *_kernel_limits(limits),
            *_program(command, reads),
        ]
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={},
            pass_fds=(filtered, given, *data.values()),
        )
        for stream in (process.stdin, process.stdout, process.stderr):
            stack.enter_context(stream)
        return _watched(process, limits)


def _watched(process: subprocess.Popen, limits: Limits) -> Outcome:
    """Wait for the sandbox's end, or make it end."""
    watch = _Watch(process, limits)
    try:
        watch.until_the_end()
    finally:
        watch.kill()
        # Popen.wait would not say what was used.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.close()
    out, err = (bytes(watch.output[stream]) for stream in (process.stdout, process.stderr))
    if not watch.ready:
        said = err.decode(errors="replace").strip()[:300] or f"bwrap ended with {process.returncode} {watch.limit}"
        raise SandboxError(f"no sandbox for untrusted programs: {said}. {_why(said)}")
    cpu = max(used.ru_utime + used.ru_stime, watch.cpu / _TICKS)  # the kernel does not add up who is killed
    code, limit = process.returncode, watch.limit
    if not limit and code in (128 + signal.SIGKILL, 128 + signal.SIGXCPU) and cpu >= limits.cpu_s:
        limit = "cpu_s"
    status = "timed_out" if limit in ("cpu_s", "wall_s") else "exceeded" if limit else "failed" if code else "ran"
    return Outcome(status, code, out, err, cpu, watch.peak / 2**20, limit)


def _why(said: str) -> str:
    if "nknown option" in said:
        return f"This bubblewrap is too old: {_INSTALL}"
    if "namespace" in said or "uid map" in said or "not permitted" in said or "ermission denied" in said:
        return (
            "This machine does not let it make namespaces: on Ubuntu enable the AppArmor profile bwrap-userns-restrict "
            "(package apparmor-profiles), elsewhere set user.max_user_namespaces; in a container, allow them to it"
        )
    return "Is util-linux (prlimit, setpriv) installed?"


class _Watch:
    """A sandbox that runs: what it writes, what it uses, and its end."""

    def __init__(self, process: subprocess.Popen, limits: Limits) -> None:
        self._process, self._limits = process, limits
        self.output = {process.stdout: bytearray(), process.stderr: bytearray()}
        self.ready = False  # whether there is a sandbox
        self.limit, self.peak, self.cpu = "", 0, 0
        self._outer = os.pidfd_open(process.pid)
        self._until = time.monotonic() + limits.wall_s

    def until_the_end(self) -> None:
        with selectors.DefaultSelector() as waiting:
            for stream in (*self.output, self._outer):
                waiting.register(stream, selectors.EVENT_READ)
            open_streams, ended = set(self.output), False
            while open_streams or not ended:
                for key, _ in waiting.select(_LOOK_S):
                    if key.fileobj == self._outer:
                        ended = True
                    elif not self._read(key.fileobj):
                        open_streams.discard(key.fileobj)
                    else:
                        continue
                    waiting.unregister(key.fileobj)
                if not ended and not self.limit and (limit := self._above()):
                    self.limit = limit
                    self.kill()

    def kill(self) -> None:
        """Kill the first process of the sandbox, and with it all others; bwrap itself only when there is none yet."""
        for pid in list(_tree(self._process.pid))[1:2]:
            with contextlib.suppress(ProcessLookupError):
                # It cannot be another process by now: bwrap, which has not been waited for, waits for it.
                os.kill(pid, signal.SIGKILL)
                return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._outer, signal.SIGKILL)

    def close(self) -> None:
        os.close(self._outer)

    def _read(self, stream) -> bool:
        """Read what is there; False at the end."""
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

    def _above(self) -> str:
        """The name of a limit that all processes together are above, or ""."""
        if time.monotonic() > self._until:
            return "wall_s"
        if not self.ready:
            return ""
        memory = cpu = 0
        for pid in list(_tree(self._process.pid))[1:]:
            with contextlib.suppress(OSError, IndexError, ValueError):  # it has ended
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
                cpu += sum(map(int, fields[11:15]))  # its own and its dead children's, user and system
                memory += int(fields[21]) * _PAGE
        self.peak, self.cpu = max(self.peak, memory), max(self.cpu, cpu)
        if memory > self._limits.memory_mb << 20:
            return "memory_mb"
        return "cpu_s" if cpu > self._limits.cpu_s * _TICKS else ""


_PAGE, _TICKS = resource.getpagesize(), os.sysconf("SC_CLK_TCK")


def _tree(first: int) -> Iterator[int]:
    """A process and all below it. Threads may have children, too."""
    waiting = [first]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    waiting += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())


# ---- what it sees and may do -------------------------------------------------------------------------------------


def _sandbox(filtered: int) -> list[str]:
    bwrap = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if bwrap is None:
        raise SandboxError(f"no sandbox for untrusted programs: bwrap is not installed; {_INSTALL}")
    user = [] if os.geteuid() == 0 else ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    return [
        bwrap,
        *user,
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "sandbox",
        "--new-session",
        "--die-with-parent",
        "--as-pid-1",
        "--clearenv",
        "--seccomp",
        str(filtered),
    ]


def _view(reads: tuple[str, ...], hides: tuple[str, ...]) -> list[str]:
    """The file system but for /sandbox. What bwrap makes as it goes is made read-only in the end."""
    view = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(name):
            view += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            view += ["--ro-bind", name, name]
    for path in ("/etc/alternatives", "/etc/ld.so.cache"):
        view += ["--ro-bind-try", path, path]
    for path in reads:
        if not os.path.isabs(path) or not os.path.exists(path):
            raise SandboxError(f"a program in the sandbox is to read {path!r}, which is no absolute path that exists")
        if path.startswith(_TAKEN):
            raise SandboxError(f"{path} cannot be shown in the sandbox, which has its own {', '.join(_TAKEN)}")
        if not path.startswith("/usr/"):
            for folder in reversed(Path(path).parents[:-1]):  # what bwrap makes by itself, nobody else may enter
                view += ["--perms", "0755", "--dir", str(folder)]
            view += ["--ro-bind", path, path]
    for path in hides:
        view += ["--tmpfs", path, "--remount-ro", path]
    return [*view, "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--symlink", HOME[1:], "/tmp"]


def _contents(data: Mapping[str, int], given: int, limits: Limits) -> list[str]:
    """The program's folder with its files, and its input."""
    contents = ["--perms", "0777", "--size", str(limits.disk_mb << 20), "--tmpfs", HOME]
    for path, descriptor in [(_INPUT, given), *((f"{HOME}/{name}", n) for name, n in data.items())]:
        contents += ["--perms", "0644", "--file", str(descriptor), path]
    return [*contents, "--remount-ro", "/"]


def _environment(extra: Mapping[str, str]) -> list[str]:
    wanted = {"PATH": "/usr/bin:/bin", "HOME": HOME, "LANG": "C.UTF-8"} | dict(extra)
    return [word for name, value in wanted.items() for word in ("--setenv", name, value)]


def _identity() -> list[str]:
    """For root, another user for every thread that runs programs: limits of processes are counted by user."""
    if os.geteuid():
        return []
    ids = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    first, span = (1 << 30, 1 << 29) if ids > 1 << 31 else (20_000, 40_000)  # a container may have few of them
    user = str(first + threading.get_native_id() % span)
    return [
        "/usr/bin/setpriv",
        "--reuid",
        user,
        "--regid",
        user,
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]


def _kernel_limits(limits: Limits) -> list[str]:
    wanted = {
        "cpu": (resource.RLIMIT_CPU, limits.cpu_s + 1),  # should nobody look at the sum
        # Not the address space, of which some runtimes reserve much more than they use.
        "data": (resource.RLIMIT_DATA, limits.memory_mb << 20),
        "stack": (resource.RLIMIT_STACK, min(8, limits.memory_mb) << 20),
        "nproc": (resource.RLIMIT_NPROC, limits.processes + (os.geteuid() > 0)),  # a user's shell counts
        "fsize": (resource.RLIMIT_FSIZE, limits.disk_mb << 20),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "core": (resource.RLIMIT_CORE, 0),
        "memlock": (resource.RLIMIT_MEMLOCK, 0),
        "msgqueue": (resource.RLIMIT_MSGQUEUE, 0),
    }
    words = ["/usr/bin/prlimit"]
    for name, (kind, value) in wanted.items():
        most = resource.getrlimit(kind)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        words.append(f"--{name}={value}:{value}")
    return words


def _program(command: tuple[str, ...], reads: tuple[str, ...]) -> tuple[str, ...]:
    """The command, if the sandbox has its program: a missing one must not look like a program that failed."""
    if not command or not os.path.isabs(command[0]) or not os.access(command[0], os.X_OK):
        raise SandboxError(f"there is no program {command[0] if command else ''!r} (an absolute path)")
    path = os.path.normpath(command[0])
    roots = ("/usr", "/bin", "/sbin", *reads)
    if not any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots):
        raise SandboxError(f"the sandbox shows no {path}, only {', '.join(roots)}: name its folder in `reads`")
    return command


def _checked(files: Mapping[str, bytes | str]) -> dict[str, bytes]:
    for name in files:
        if not _FILE_NAME.fullmatch(name):
            raise SandboxError(f"{name!r} cannot be the name of a file in the sandbox: letters, digits, _ . - only")
    return {n: c.encode("utf-8", "surrogateescape") if isinstance(c, str) else c for n, c in files.items()}


def _memory_file(stack: contextlib.ExitStack, content: bytes) -> int:
    """A descriptor of an unnamed file with a content; nobody can write to it any more."""
    import fcntl

    descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, descriptor)
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return descriptor


# ---- the filter of system calls ----------------------------------------------------------------------------------

_X86_64 = 0xC000003E
_NEWEST = 462  # calls that came after Linux 6.10 are unknown to this list, and to the programs
_CLONE, _CLONE3, _SOCKET, _NEW_USER = 56, 435, 41, 0x10000000
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: those that belong to the network's namespace
#: x86-64 numbers of calls that fail with EPERM.
_DENIED = {
    # other processes' memory, files and state
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
    "perf_event_open": 298, "userfaultfd": 323,
    # what a namespace does not hold
    "add_key": 248, "request_key": 249, "keyctl": 250, "syslog": 103, "bpf": 321, "open_by_handle_at": 304,
    "name_to_handle_at": 303, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    # memory that is no process's
    "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240,
    # new namespaces, mounts, the machine
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "init_module": 175, "delete_module": 176, "finit_module": 313, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "modify_ldt": 154, "iopl": 172,
    "ioperm": 173,
}  # fmt: skip


@functools.cache
def _filter() -> bytes:
    """The seccomp filter as the kernel reads it: classic BPF, of (code, jump if true, jump if false, operand)."""
    load, equal, at_least, bits, end = 0x20, 0x15, 0x35, 0x45, 0x06
    kill, allow = 0x80000000, 0x7FFF0000

    def fail(number: int) -> tuple[int, int, int, int]:
        return end, 0, 0, 0x00050000 | number

    number, architecture, first_argument = 0, 4, 16  # where they stand in struct seccomp_data
    steps = [
        (load, 0, 0, architecture), (equal, 1, 0, _X86_64), (end, 0, 0, kill),
        (load, 0, 0, number), (at_least, 0, 1, _NEWEST + 1), fail(errno.ENOSYS),  # with them calls of the x32 ABI
        # clone3 has its flags in memory, where no filter can look; C libraries then use clone.
        (equal, 0, 1, _CLONE3), fail(errno.ENOSYS),
    ]  # fmt: skip
    for call in _DENIED.values():
        steps += [(equal, 0, 1, call), fail(errno.EPERM)]
    steps += [(equal, 0, 4, _CLONE), (load, 0, 0, first_argument), (bits, 0, 1, _NEW_USER), fail(errno.EPERM)]
    steps += [(end, 0, 0, allow)]
    steps += [(equal, 1, 0, _SOCKET), (end, 0, 0, allow), (load, 0, 0, first_argument)]
    for family in _FAMILIES:
        steps += [(equal, 0, 1, family), (end, 0, 0, allow)]
    steps += [fail(errno.EAFNOSUPPORT)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
