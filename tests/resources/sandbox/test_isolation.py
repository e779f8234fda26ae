"""Programs that try to read, write or reach what is outside the sandbox."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from resources.sandbox.syscalls import DENIED
from tests.resources.sandbox.programs import REPOSITORY, lines_of, python, sandboxed


@sandboxed
def test_a_program_sees_no_files_and_no_environment_of_the_machine(tmp_path, monkeypatch):
    secret = tmp_path / "home" / "secret"
    secret.parent.mkdir()
    secret.write_text("token")
    monkeypatch.setenv("NEMOTRON_HOME", str(secret.parent))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hidden = [
        str(secret),
        "/etc/passwd",
        "/etc/shadow",
        str(Path.home() / ".ssh"),
        str(REPOSITORY),
        "/var",
        "/run",
        "/sys",
    ]
    lines = lines_of(
        f"import os\nfor path in {hidden!r}:\n    print(os.path.exists(path))\nprint(sorted(os.environ))\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"  # the last one is the listed folder itself
    )
    assert lines[: len(hidden)] == ["False"] * len(hidden)
    assert lines[len(hidden) :] == ["['HOME', 'LANG', 'PATH', 'PWD']", "[0, 1, 2]"]


@sandboxed
def test_a_program_sees_only_its_own_processes():
    """It cannot trace, kill or read the processes that exist before it."""
    lines = lines_of(
        "import ctypes, os, signal\n"
        "print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()), os.getpid(), os.getppid())\n"
        f"for pid in {os.getpid()}, -1:\n"
        "    try:\n        os.kill(pid, 0) if pid > 0 else os.kill(1, signal.SIGKILL)\n        print('sent')\n"
        "    except OSError as error:\n        print(type(error).__name__)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, os.getppid(), 0, 0), ctypes.get_errno())\n"
    )
    assert lines[0] == "[1, 2] 2 1"
    assert lines[1] == "ProcessLookupError"
    assert lines[2] in ("sent", "PermissionError")  # it may be sent, but the first process of a namespace ignores it
    assert lines[3] == "-1 1"


@sandboxed
def test_a_program_can_write_to_its_own_folder_only(tmp_path):
    places = ["/", "/usr", "/usr/bin", "/dev", "/dev/shm", "/etc", "/proc", "/proc/sys/kernel", "/root", str(tmp_path)]
    files = ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/dev/kmsg", "/dev/mem"]
    lines = lines_of(
        f"import os\nfor path in [place + '/x' for place in {places!r}] + {files!r}:\n"
        "    try:\n        os.write(os.open(path, os.O_WRONLY | os.O_CREAT), b'-1000')\n        print(path)\n"
        "    except OSError:\n        pass\n"
        "open('here', 'w').write('x')\nopen('/tmp/there', 'w').write('x')\nprint(sorted(os.listdir()))"
    )
    assert lines == ["['here', 'main.py', 'there']"]
    assert not list(tmp_path.iterdir()) and lines_of("import os\nprint(os.listdir())") == ["['main.py']"]


@sandboxed
def test_symbolic_links_do_not_lead_out(tmp_path):
    """A link to /etc or ../.. shows only what the program sees anyway."""
    (tmp_path / "victim").write_text("whole")
    lines = lines_of(
        f"import os\nos.symlink('/', 'root')\nos.symlink({str(tmp_path)!r}, 'away')\nos.symlink('../../etc', 'up')\n"
        "for path in 'root/etc/passwd', 'away/victim', 'up/passwd', '/proc/self/root/etc/passwd', '/proc/1/root/etc':\n"
        "    print(os.path.exists(path))\n"
        "os.remove('main.py')\nos.symlink('/etc/passwd', 'main.py')\n"
        "try:\n    open('away/victim', 'w')\nexcept OSError as error:\n    print(type(error).__name__)\n"
        "try:\n    os.chroot('.')\nexcept OSError as error:\n    print(type(error).__name__)"
    )
    assert lines == ["False"] * 5 + ["FileNotFoundError", "PermissionError"]
    assert (tmp_path / "victim").read_text() == "whole"


@sandboxed
def test_a_program_reaches_no_network(tmp_path):
    reached = []
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        server.settimeout(0.2)
        local.bind("\0sandbox-test")  # an abstract address: not in the file system
        local.listen()
        port = server.getsockname()[1]
        lines = lines_of(
            "import socket\n"
            f"here = ('127.0.0.1', {port})\n"
            "places = (2, here), (2, ('10.0.0.1', 80)), (1, '\\0sandbox-test'), (10, ('::1', here[1]))\n"
            "for family, address in places:\n    try:\n        with socket.socket(family) as s:\n"
            "            s.settimeout(2)\n            s.connect(address)\n            print('reached', address)\n"
            "    except OSError:\n        print('no')\n"
            "for family in 16, 17, 40:\n"  # netlink, raw packets, vsock
            "    try:\n        socket.socket(family, socket.SOCK_RAW if family < 40 else socket.SOCK_STREAM)\n"
            "        print('made', family)\n    except OSError as error:\n        print(error.errno)"
        )
        with contextlib.suppress(TimeoutError):
            reached.append(server.accept())
    assert lines == ["no"] * 4 + ["97"] * 3 and not reached


@sandboxed
@pytest.mark.parametrize("call", sorted(DENIED))
def test_denied_system_calls_fail_with_eperm(call, filtered_calls):
    assert filtered_calls[call] == "-1 1"


@pytest.fixture(scope="module")
def filtered_calls():
    lines = lines_of(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"for number in {list(DENIED.values())}:\n    print(libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())"
    )
    return dict(zip(DENIED, lines, strict=True))


@sandboxed
def test_new_system_calls_other_architectures_and_namespaces_are_refused():
    """ENOSYS for clone3 and for unknown calls, EPERM for a namespace by clone; a 32-bit call kills the program."""
    lines = lines_of(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "for number, flags in (435, 0), (463, 0), (0x40000000 + 41, 0), (56, 0x10000000 | 17):\n"
        "    print(libc.syscall(number, flags, 0, 0, 0, 0), ctypes.get_errno())"
    )
    assert lines == ["-1 38", "-1 38", "-1 38", "-1 1"]
    machine_code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, getpid; int 0x80; ret
    outcome = python(
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\n"
        f"m.write({machine_code!r})\nprint(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))())"
    )
    assert outcome.status == "failed" and not outcome.stdout, outcome
