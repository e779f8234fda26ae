"""Runs one untrusted program in a sandbox: takes source text and a command, returns how the program ended.

`run(command, files, stdin, limits)` starts the command with a file system of its own. The program can read the
machine's programs and libraries (/usr, or an interpreter elsewhere) and can write /sandbox. It sees no other file: no
/home, no /etc/passwd, no lake. It has no access to a network, an empty environment and no open files. It sees only its
own processes, and all of them are dead when `run` returns.

The sandbox is made by bubblewrap (`bwrap`, the sandbox of Flatpak; a Debian package) and by `prlimit` and `setpriv` of
util-linux:
 - It needs no daemon and no setuid program, only user namespaces. Debian, Fedora and Arch give them to ordinary users.
   Ubuntu 24.04 allows them per program through an AppArmor profile (`apparmor-profiles`: bwrap-userns-restrict), Docker
   through its seccomp profile. `unshare` needs the same and leaves the mounts to its caller. Landlock alone hides
   neither processes nor (before Linux 6.7) the network.
 - /sandbox is a tmpfs inside the sandbox. No path of the program is a path on the machine, and the tmpfs disappears
   with the last process.
 - Limits on the number of processes do not apply to root. Therefore, when root calls `run`, the program runs as a user
   number of its own, without capabilities.
 - A seccomp filter blocks what namespaces do not cover: other kinds of sockets (vsock reaches a hypervisor), ptrace,
   keyrings, io_uring, new user namespaces, and memory that belongs to no process.

The kernel enforces the limits it knows (CPU time, memory, processes, files, descriptors). The sums over all processes
are read every few milliseconds, and a program above a limit is killed. On a machine that cannot make a sandbox nothing
runs: `SandboxError` names what is missing. Needs Linux 5.14, which counts an ordinary user's processes per sandbox.

The files: `launch` (`run`, `check`, `python`), `bubblewrap` (the command line of bwrap), `syscalls` (the seccomp
filter), `watch` (limits over all processes), `limits` and `outcome` (what goes in and comes out).
"""

from __future__ import annotations

from resources.sandbox.bubblewrap import HOME
from resources.sandbox.launch import check, python, run
from resources.sandbox.limits import Limits
from resources.sandbox.outcome import Outcome, SandboxError, Status

__all__ = ["HOME", "Limits", "Outcome", "SandboxError", "Status", "check", "python", "run"]
