"""Programs that try to leave the sandbox or to use too much, and how each of them ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resources import sandbox
from resources.sandbox import Limits, SandboxError
from resources.sandbox.syscalls import DENIED

PROGRAM, READS, HIDES = sandbox.python()
PACKAGE = Path(sandbox.__file__).parent
REPOSITORY = PACKAGE.parents[1]


def _missing() -> str:
    try:
        sandbox.check(Limits())
    except SandboxError as error:
        return str(error)
    return ""


MISSING = _missing()
sandboxed = pytest.mark.skipif(bool(MISSING), reason=f"no sandbox on this machine: {MISSING}")


def python(source: str, limits: Limits | None = None, **given) -> sandbox.Outcome:
    source = textwrap.dedent(source)
    return sandbox.run(
        (PROGRAM, "-I", "main.py"), {"main.py": source}, limits=limits, reads=READS, hides=HIDES, **given
    )


def lines_of(source: str, **given) -> list[str]:
    """The lines a program prints. The program must end with exit code 0."""
    outcome = python(source, **given)
    assert outcome.status == "ran", outcome
    return outcome.stdout.decode().splitlines()


def test_set_up_installs_bubblewrap_where_it_can():
    """Root with apt-get can install packages, so set-up must have done it and no test of this file is skipped."""
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("set-up cannot install packages here")
    assert shutil.which("bwrap")


# ---- what a well-behaved program can do ----------------------------------------------------------------------------


@sandboxed
def test_a_program_reads_its_input_and_its_end_is_reported():
    outcome = python("import sys\nprint(sys.stdin.read()[::-1], end='')\nprint('x', file=sys.stderr)", stdin=b"abc")
    assert (outcome.status, outcome.exit_code, outcome.stdout, outcome.stderr) == ("ran", 0, b"cba", b"x\n")
    assert 0 < outcome.cpu_s < 5
    outcome = python("print(1)\nraise SystemExit(3)")
    assert (outcome.status, outcome.exit_code, outcome.stdout) == ("failed", 3, b"1\n")
    outcome = python("import os\nos.abort()")
    assert (outcome.status, outcome.exit_code) == ("failed", 128 + signal.SIGABRT)
    outcome = python("x = bytearray(100 << 20)\nx[::4096] = b'1' * len(x[::4096])\nimport time\ntime.sleep(0.3)")
    assert outcome.status == "ran" and 100 < outcome.peak_memory_mb < 200


@sandboxed
def test_python_has_its_standard_library_and_no_packages():
    source = """
        import os, sys
        import decimal, hashlib, json, math, sqlite3, ssl, ctypes
        print([place for place in sys.path if 'packages' in place and os.listdir(place)])
        exit(5)
    """
    outcome = python(source)
    assert (outcome.stdout, outcome.exit_code) == (b"[]\n", 5), outcome


@sandboxed
def test_compilers_work():
    compiler = shutil.which("gcc", path="/usr/bin")
    if not compiler:
        pytest.skip("no gcc")
    code = '#include <stdio.h>\nint main(void) { int n; scanf("%d", &n); printf("%d\\n", n * n); return 0; }\n'
    command = ("/bin/sh", "-c", "gcc -O1 -o program main.c && ./program")
    assert sandbox.run(command, {"main.c": code}, b"12").stdout == b"144\n"


@sandboxed
def test_programs_that_run_at_once_do_not_mix():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: lines_of(f"import os\nos.fork() and os.wait()\nprint({n})"), range(12)))
    assert found == [[str(n)] * 2 for n in range(12)]


# ---- files, processes and networks -----------------------------------------------------------------------------------


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


# ---- limits ----------------------------------------------------------------------------------------------


@sandboxed
def test_an_endless_loop_ends_at_the_cpu_limit():
    outcome = python("while True: pass", Limits(cpu_s=1))
    assert (outcome.status, outcome.limit) == ("timed_out", "cpu_s") and 0.9 < outcome.cpu_s < 2
    # Spread over many processes, each of which uses less than a second.
    spread = """
        import os
        while True:
            if os.fork() == 0:
                for n in range(10**6): pass
                os._exit(0)
            os.wait()
    """
    outcome = python(spread, Limits(cpu_s=1))
    assert (outcome.status, outcome.limit) == ("timed_out", "cpu_s")


@sandboxed
@pytest.mark.parametrize(
    "source",
    [
        "import time\nwhile True: time.sleep(100)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import signal, time\nfor n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"
        "while True: time.sleep(100)",
    ],
    ids=["sleeps", "stops", "ignores signals"],
)
def test_an_idle_program_ends_at_the_wall_clock_limit(source):
    outcome = python(source, Limits(wall_s=0.5))
    assert (outcome.status, outcome.limit) == ("timed_out", "wall_s")


@sandboxed
def test_memory_is_limited_per_process_and_in_total():
    outcome = python("x = bytearray(10 << 30)", Limits(memory_mb=256))
    assert outcome.status == "failed" and b"MemoryError" in outcome.stderr
    # Shared pages do not count as data of a process, so only the sum sees them.
    shared = "import mmap\nm = mmap.mmap(-1, 10 << 30)\nfor n in range(0, len(m), 4096): m[n] = 1"
    outcome = python(shared, Limits(memory_mb=256))
    assert (outcome.status, outcome.limit) == ("exceeded", "memory_mb") and outcome.peak_memory_mb < 2_048
    many = """
        import os, time
        for n in range(8):
            if os.fork() == 0:
                x = b'x' * (100 << 20)
                break
        time.sleep(20)
    """
    outcome = python(many, Limits(memory_mb=256))
    assert (outcome.status, outcome.limit) == ("exceeded", "memory_mb")


@sandboxed
def test_the_size_of_the_folder_is_limited_for_any_number_of_files():
    lines = lines_of(
        """
        import os
        written = 0
        try:
            for n in range(1000):
                written += os.write(os.open(str(n), os.O_CREAT | os.O_WRONLY), b'x' * (1 << 20))
                os.unlink(str(n))
        except OSError as error:
            print(error.errno, written >> 20)
        """,
        limits=Limits(disk_mb=8, open_files=64),
    )
    errno_, megabytes = map(int, lines[0].split())
    assert errno_ == 28 and megabytes <= 8  # ENOSPC; deleted files that are still open count


@sandboxed
def test_endless_output_is_cut_and_the_program_killed():
    for stream in ("stdout", "stderr"):
        outcome = python(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)", Limits(output_kb=32))
        assert (outcome.status, outcome.limit) == ("exceeded", "output_kb")
        assert len(getattr(outcome, stream)) == 32 << 10


@sandboxed
def test_a_fork_bomb_is_limited():
    mark = f"bomb{os.getpid()}"
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    most, done = [0], threading.Event()

    def count():
        while not done.wait(0.05):
            most[0] = max(most[0], len(_running(mark)))

    counting = threading.Thread(target=count)
    counting.start()
    limits = Limits(processes=12, cpu_s=1)
    outcome = sandbox.run((PROGRAM, "-I", "main.py", mark), {"main.py": bomb}, limits=limits, reads=READS)
    done.set()
    counting.join()
    assert outcome.status == "timed_out" and most[0] <= 14, most  # with bwrap and the first process
    assert python(FORKS, Limits(processes=12)).stdout == b"11\n"


FORKS = """
import os, time
try:
    for n in range(50):
        os.fork() or time.sleep(9)
except BlockingIOError:
    print(n)
"""


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


@sandboxed
def test_a_daemon_dies_with_the_program(tmp_path):
    mark = f"daemon{os.getpid()}"
    outcome = python(f"""
        import os, signal
        r, w = os.pipe()
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if os.fork() == 0:
                os.write(w, b'x')
                os.execv({PROGRAM!r}, ['python', '-c', 'import time; time.sleep(1000)', {mark!r}])
            os._exit(0)
        os.read(r, 1)
        print('left')
    """)
    assert outcome.stdout == b"left\n"
    assert not _running(mark)


def _running(mark: str) -> list[str]:
    found = []
    for name in _processes():
        with contextlib.suppress(OSError):
            if mark.encode() in Path("/proc", name, "cmdline").read_bytes().split(b"\0"):
                found.append(name)
    return found


@sandboxed
def test_no_process_is_left_when_the_caller_is_killed(tmp_path):
    mark = f"orphan{os.getpid()}"
    driver = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\nfrom resources import sandbox\n"
        f"sandbox.run(({PROGRAM!r}, '-I', '-c', 'import time; time.sleep(1000)', {mark!r}), {{}}, reads={READS!r})"
    )
    for number in range(1, 4):  # bwrap alone; bwrap and the first process; both and the program
        with subprocess.Popen([sys.executable, "-c", driver]) as process:
            _until(lambda number=number, process=process: len(_running(mark)) >= number or process.poll() is not None)
            process.kill()
        _until(lambda: not _running(mark))


def _until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---- other users, other machines ---------------------------------------------------------------------------------


@sandboxed
def test_an_ordinary_user_gets_the_same_sandbox():
    """When root runs these tests, the sandbox changes to another user; for a user it makes a user namespace."""
    system = "/usr/bin/python3"
    if os.geteuid() or subprocess.run([system, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).returncode:
        pytest.skip("needs root, and a Python that everybody may run")
    source = (
        "import os\nprint(os.getuid(), os.path.exists('/etc/passwd'), sum(n.isdigit() for n in os.listdir('/proc')))\n"
        "for place in '/', '/usr', '/dev', '/dev/shm', '/proc/sys/kernel':\n    try:\n        open(place + '/x', 'w')\n"
        "        print(place)\n    except OSError: pass\n"
    ) + FORKS
    driver = (
        "import sys; sys.path.insert(0, sys.argv[1])\nfrom resources import sandbox\n"
        "program, reads, hides = sandbox.python()\n"
        f"files, limits = {{'main.py': {source!r}}}, sandbox.Limits(processes=12)\n"
        "print(sandbox.run((program, '-I', 'main.py'), files, reads=reads, hides=hides, limits=limits))"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # every user can read it
        os.chmod(folder, 0o755)
        copied = shutil.copytree(PACKAGE, f"{folder}/resources/sandbox", ignore=shutil.ignore_patterns("__pycache__"))
        for path in (Path(copied).parent, Path(copied), *Path(copied).iterdir()):
            path.chmod(0o755)
        done = subprocess.run(
            [system, "-I", "-c", driver, folder],
            user=65_534,
            group=65_534,
            extra_groups=[],
            capture_output=True,
            text=True,
            env={},
            cwd="/",
        )
    assert "status='ran'" in done.stdout and "b'1000 False 2\\n11\\n'" in done.stdout, (done.stdout, done.stderr)


def test_without_bubblewrap_no_program_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *a, **k: None)
    sandbox.check.cache_clear()
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a))
    with pytest.raises(SandboxError, match="bwrap is not installed; install bubblewrap"):
        sandbox.run(("/bin/true",), {})
    assert not started
    sandbox.check.cache_clear()


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("bwrap: No permissions to create new namespace, likely because the kernel does not allow", "AppArmor profile"),
        ("bwrap: setting up uid map: Permission denied", "AppArmor profile"),
        ("bwrap: Unknown option --size", "too old"),
    ],
)
def test_the_error_on_a_machine_without_namespaces_says_what_to_do(complaint, advice, tmp_path, monkeypatch):
    """A fake bwrap prints the messages that the real one prints on such machines."""
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda *a, **k: str(fake))
    sandbox.check.cache_clear()
    with pytest.raises(SandboxError, match=advice) as error:
        sandbox.run(("/bin/true",), {})
    assert complaint in str(error.value)
    sandbox.check.cache_clear()


@sandboxed
@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "", ".", "..", "a\0b", "-o", "x" * 200])
def test_file_names_cannot_leave_the_folder(name):
    with pytest.raises(SandboxError, match="cannot be the name of a file"):
        sandbox.run(("/bin/true",), {name: ""})


@sandboxed
def test_a_missing_program_is_an_error_and_not_a_failed_program(tmp_path):
    with pytest.raises(SandboxError, match="no program '/usr/bin/nonesuch'"):
        sandbox.run(("/usr/bin/nonesuch",), {})
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    with pytest.raises(SandboxError, match=r"does not show .*tool"):
        sandbox.run((str(tool),), {})
    with pytest.raises(SandboxError, match="absolute path that exists"):
        sandbox.run(("/bin/true",), {}, reads=["/nonesuch"])
