"""The command line of bubblewrap: which files a program sees, what it can write, and as which user it runs."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from resources.sandbox.limits import Limits, kernel_limits
from resources.sandbox.outcome import SandboxError

#: The only folder a program can write to, and its working directory. /tmp is a link to it.
HOME = "/sandbox"
INSTALL = "install bubblewrap 0.7 or newer (sudo apt-get install bubblewrap)"

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_RESERVED = ("/dev/", "/proc/", "/tmp/", f"{HOME}/")
_INPUT = "/input"
#: The first process of the sandbox; all others end with it. It keeps the user of bwrap, which may therefore kill it
#: when bwrap's own caller dies; only its child becomes another user. Before it starts the child, it prints a line and
#: waits for an answer. If the caller dies before the kernel knows that the sandbox must end with it, no answer comes,
#: and the program never starts without a watcher.
_INIT = ("/bin/sh", "-c", f'echo && read -r go && "$@" <{_INPUT}; exit $?', "sh")


def bwrap_command(
    command: tuple[str, ...],
    files: Mapping[str, int],
    stdin: int,
    seccomp: int,
    limits: Limits,
    environment: Mapping[str, str],
    reads: tuple[str, ...],
    hides: tuple[str, ...],
) -> list[str]:
    """The whole command that runs a program in a sandbox.

    `files` maps names in /sandbox to descriptors with their content; `stdin` and `seccomp` are the descriptors of the
    input and of the system call filter. Raises `SandboxError` if bwrap or the program is missing.
    """
    return [
        *_namespaces(seccomp),
        *_visible_files(reads, hides),
        *_own_files(files, stdin, limits),
        *_environment(environment),
        "--chdir",
        HOME,
        "--",
        *_INIT,
        *_other_user(),
        *kernel_limits(limits),
        *_program(command, reads),
    ]


def encoded_files(files: Mapping[str, bytes | str]) -> dict[str, bytes]:
    """The files as bytes. Raises `SandboxError` for a name with anything but letters, digits and `_ . -`."""
    for name in files:
        if not _FILE_NAME.fullmatch(name):
            raise SandboxError(
                f"{name!r} cannot be the name of a file in the sandbox: use letters, digits, _ . and - only"
            )
    return {
        name: content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        for name, content in files.items()
    }


def advice(complaint: str) -> str:
    """What to do about an error message of bwrap."""
    if "nknown option" in complaint:
        return f"This bubblewrap is too old: {INSTALL}"
    if any(part in complaint for part in ("namespace", "uid map", "not permitted", "ermission denied")):
        return (
            "This machine does not let bubblewrap make namespaces. On Ubuntu enable the AppArmor profile "
            "bwrap-userns-restrict (package apparmor-profiles), elsewhere set user.max_user_namespaces; allow "
            "namespaces to a container"
        )
    return "Is util-linux (prlimit, setpriv) installed?"


def _namespaces(seccomp: int) -> list[str]:
    bwrap = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if bwrap is None:
        raise SandboxError(f"no sandbox for untrusted programs: bwrap is not installed; {INSTALL}")
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
        str(seccomp),
    ]


def _visible_files(reads: tuple[str, ...], hides: tuple[str, ...]) -> list[str]:
    """Everything but /sandbox, read-only. `_own_files` makes the root folder itself read-only at the end."""
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
            raise SandboxError(f"cannot show {path!r} in the sandbox: expected an absolute path that exists")
        if path.startswith(_RESERVED):
            raise SandboxError(f"cannot show {path} in the sandbox, which has its own {', '.join(_RESERVED)}")
        if not path.startswith("/usr/"):
            for folder in reversed(Path(path).parents[:-1]):  # a folder that bwrap makes by itself is closed to users
                view += ["--perms", "0755", "--dir", str(folder)]
            view += ["--ro-bind", path, path]
    for path in hides:
        view += ["--tmpfs", path, "--remount-ro", path]
    return [*view, "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--symlink", HOME[1:], "/tmp"]


def _own_files(files: Mapping[str, int], stdin: int, limits: Limits) -> list[str]:
    """The program's folder with its files, and its input."""
    contents = ["--perms", "0777", "--size", str(limits.disk_mb << 20), "--tmpfs", HOME]
    for path, descriptor in [(_INPUT, stdin), *((f"{HOME}/{name}", n) for name, n in files.items())]:
        contents += ["--perms", "0644", "--file", str(descriptor), path]
    return [*contents, "--remount-ro", "/"]


def _environment(extra: Mapping[str, str]) -> list[str]:
    wanted = {"PATH": "/usr/bin:/bin", "HOME": HOME, "LANG": "C.UTF-8"} | dict(extra)
    return [word for name, value in wanted.items() for word in ("--setenv", name, value)]


def _other_user() -> list[str]:
    """For root, the `setpriv` command that changes to a user number of this thread's own.

    The kernel counts processes by user, so programs of two threads must not share one.
    """
    if os.geteuid():
        return []
    ids = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    first, span = (1 << 30, 1 << 29) if ids > 1 << 31 else (20_000, 40_000)  # a container may have few user numbers
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


def _program(command: tuple[str, ...], reads: tuple[str, ...]) -> tuple[str, ...]:
    """The command. Raises `SandboxError` if its program is missing, which would look like a program that failed."""
    if not command or not os.path.isabs(command[0]) or not os.access(command[0], os.X_OK):
        raise SandboxError(
            f"there is no program {command[0] if command else ''!r}: name an executable by its absolute path"
        )
    path = os.path.normpath(command[0])
    roots = ("/usr", "/bin", "/sbin", *reads)
    if not any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots):
        raise SandboxError(
            f"the sandbox does not show {path}, only {', '.join(roots)}: add the program's folder to `reads`"
        )
    return command
