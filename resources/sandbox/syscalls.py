"""The seccomp filter of the sandbox: which system calls fail, for x86-64."""

from __future__ import annotations

import errno
import functools
import struct

_X86_64 = 0xC000003E
_NEWEST = 462  # the last call of Linux 6.10; this list does not know newer calls, so they fail with ENOSYS
_CLONE, _CLONE3, _SOCKET, _NEW_USER = 56, 435, 41, 0x10000000
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: the families that the network namespace isolates

#: Numbers of the calls that fail with EPERM.
DENIED = {
    # memory, files and state of other processes
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
    "perf_event_open": 298, "userfaultfd": 323,
    # what namespaces do not isolate
    "add_key": 248, "request_key": 249, "keyctl": 250, "syslog": 103, "bpf": 321, "open_by_handle_at": 304,
    "name_to_handle_at": 303, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    # memory that belongs to no process
    "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240,
    # new namespaces, mounts, the machine
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "init_module": 175, "delete_module": 176, "finit_module": 313, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "modify_ldt": 154, "iopl": 172,
    "ioperm": 173,
}  # fmt: skip


@functools.cache
def syscall_filter() -> bytes:
    """The filter in the kernel's form: classic BPF, instructions of (code, jump if true, jump if false, operand)."""
    load, equal, at_least, bits, end = 0x20, 0x15, 0x35, 0x45, 0x06
    kill, allow = 0x80000000, 0x7FFF0000

    def fail(number: int) -> tuple[int, int, int, int]:
        return end, 0, 0, 0x00050000 | number

    number, architecture, first_argument = 0, 4, 16  # offsets in struct seccomp_data
    steps = [
        (load, 0, 0, architecture), (equal, 1, 0, _X86_64), (end, 0, 0, kill),
        (load, 0, 0, number), (at_least, 0, 1, _NEWEST + 1), fail(errno.ENOSYS),  # includes the calls of the x32 ABI
        # clone3 has its flags in memory, which no filter can read. C libraries then fall back to clone.
        (equal, 0, 1, _CLONE3), fail(errno.ENOSYS),
    ]  # fmt: skip
    for call in DENIED.values():
        steps += [(equal, 0, 1, call), fail(errno.EPERM)]
    steps += [(equal, 0, 4, _CLONE), (load, 0, 0, first_argument), (bits, 0, 1, _NEW_USER), fail(errno.EPERM)]
    steps += [(end, 0, 0, allow)]
    steps += [(equal, 1, 0, _SOCKET), (end, 0, 0, allow), (load, 0, 0, first_argument)]
    for family in _FAMILIES:
        steps += [(equal, 0, 1, family), (end, 0, 0, allow)]
    steps += [fail(errno.EAFNOSUPPORT)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
