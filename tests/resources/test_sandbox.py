"""Programs that do what they must not, and what becomes of them."""

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

PROGRAM, READS, HIDES = sandbox.python()
REPOSITORY = Path(sandbox.__file__).parent.parent


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


def said(source: str, **given) -> list[str]:
    """The lines a program prints, which must end well."""
    outcome = python(source, **given)
    assert outcome.status == "ran", outcome
    return outcome.stdout.decode().splitlines()


def test_set_up_has_installed_the_sandbox_where_it_can():
    """For root with apt-get set-up installs packages: there, no test of this file may be skipped for want of it."""
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("set-up cannot install packages here")
    assert shutil.which("bwrap")


# ---- what a well-behaved program gets ----------------------------------------------------------------------------


@sandboxed
def test_a_program_reads_its_input_and_says_how_it_ended():
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
def test_python_has_its_library_and_no_packages():
    source = """
        import os, sys
        import decimal, hashlib, json, math, sqlite3, ssl, ctypes
        print([place for place in sys.path if 'packages' in place and os.listdir(place)])
        exit(5)
    """
    outcome = python(source)
    assert (outcome.stdout, outcome.exit_code) == (b"[]\n", 5), outcome


@sandboxed
def test_compilers_work_in_it():
    compiler = shutil.which("gcc", path="/usr/bin")
    if not compiler:
        pytest.skip("no gcc")
    code = '#include <stdio.h>\nint main(void) { int n; scanf("%d", &n); printf("%d\\n", n * n); return 0; }\n'
    command = ("/bin/sh", "-c", "gcc -O1 -o program main.c && ./program")
    assert sandbox.run(command, {"main.c": code}, b"12").stdout == b"144\n"


@sandboxed
def test_many_programs_at_once_do_not_mix():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: said(f"import os\nos.fork() and os.wait()\nprint({n})"), range(12)))
    assert found == [[str(n)] * 2 for n in range(12)]


# ---- reading, writing, talking -----------------------------------------------------------------------------------


@sandboxed
def test_it_sees_nothing_of_the_machine(tmp_path, monkeypatch):
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
    lines = said(
        f"import os\nfor path in {hidden!r}:\n    print(os.path.exists(path))\nprint(sorted(os.environ))\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"  # the last one is the folder's own
    )
    assert lines[: len(hidden)] == ["False"] * len(hidden)
    assert lines[len(hidden) :] == ["['HOME', 'LANG', 'PATH', 'PWD']", "[0, 1, 2]"]


@sandboxed
def test_it_sees_no_process_but_its_own():
    """Nor can it trace, kill or read those that are there before it."""
    lines = said(
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
    assert lines[2] in ("sent", "PermissionError")  # it is sent, but the first process of a namespace ignores it
    assert lines[3] == "-1 1"


@sandboxed
def test_nothing_but_its_folder_can_be_written(tmp_path):
    places = ["/", "/usr", "/usr/bin", "/dev", "/dev/shm", "/etc", "/proc", "/proc/sys/kernel", "/root", str(tmp_path)]
    files = ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/dev/kmsg", "/dev/mem"]
    lines = said(
        f"import os\nfor path in [place + '/x' for place in {places!r}] + {files!r}:\n"
        "    try:\n        os.write(os.open(path, os.O_WRONLY | os.O_CREAT), b'-1000')\n        print(path)\n"
        "    except OSError:\n        pass\n"
        "open('here', 'w').write('x')\nopen('/tmp/there', 'w').write('x')\nprint(sorted(os.listdir()))"
    )
    assert lines == ["['here', 'main.py', 'there']"]
    assert not list(tmp_path.iterdir()) and said("import os\nprint(os.listdir())") == ["['main.py']"]


@sandboxed
def test_links_lead_nowhere(tmp_path):
    """Its folder is none of ours: a link to /etc or ../.. shows what the program sees anyway."""
    (tmp_path / "victim").write_text("whole")
    lines = said(
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
def test_there_is_no_network(tmp_path):
    reached = []
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        server.settimeout(0.2)
        local.bind("\0sandbox-test")  # an abstract address: not in the file system
        local.listen()
        port = server.getsockname()[1]
        lines = said(
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
@pytest.mark.parametrize("call", sorted(sandbox._DENIED))
def test_calls_of_the_filter_fail_for_want_of_permission(call, filtered_calls):
    assert filtered_calls[call] == "-1 1"


@pytest.fixture(scope="module")
def filtered_calls():
    calls = sandbox._DENIED
    lines = said(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"for number in {list(calls.values())}:\n    print(libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())"
    )
    return dict(zip(calls, lines, strict=True))


@sandboxed
def test_new_calls_other_architectures_and_namespaces_are_refused():
    """ENOSYS for clone3 and what is newer than the list, EPERM for a namespace by clone; 32-bit calls end all."""
    lines = said(
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


# ---- using too much ----------------------------------------------------------------------------------------------


@sandboxed
def test_an_endless_loop_ends_with_its_cpu_time():
    outcome = python("while True: pass", Limits(cpu_s=1))
    assert (outcome.status, outcome.limit) == ("timed_out", "cpu_s") and 0.9 < outcome.cpu_s < 2
    # Spread over processes, none of which has used a second.
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
def test_who_does_nothing_is_ended_by_the_clock(source):
    outcome = python(source, Limits(wall_s=0.5))
    assert (outcome.status, outcome.limit) == ("timed_out", "wall_s")


@sandboxed
def test_memory_is_bounded_for_one_process_and_for_all():
    outcome = python("x = bytearray(10 << 30)", Limits(memory_mb=256))
    assert outcome.status == "failed" and b"MemoryError" in outcome.stderr
    # Shared pages are no data of a process.
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
def test_its_folder_is_bounded_whatever_the_number_of_files():
    lines = said(
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
    assert errno_ == 28 and megabytes <= 8  # no space left; files that are deleted but open count


@sandboxed
def test_endless_output_is_cut_and_ended():
    for stream in ("stdout", "stderr"):
        outcome = python(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)", Limits(output_kb=32))
        assert (outcome.status, outcome.limit) == ("exceeded", "output_kb")
        assert len(getattr(outcome, stream)) == 32 << 10


@sandboxed
def test_a_fork_bomb_stays_small():
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
def test_nothing_is_left_when_the_caller_is_killed(tmp_path):
    mark = f"orphan{os.getpid()}"
    driver = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\nfrom resources import sandbox\n"
        f"sandbox.run(({PROGRAM!r}, '-I', '-c', 'import time; time.sleep(1000)', {mark!r}), {{}}, reads={READS!r})"
    )
    for there in range(1, 4):  # bwrap alone, with the sandbox's first process, with the program
        with subprocess.Popen([sys.executable, "-c", driver]) as process:
            _until(lambda there=there, process=process: len(_running(mark)) >= there or process.poll() is not None)
            process.kill()
        _until(lambda: not _running(mark))


def _until(true, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---- other users, other machines ---------------------------------------------------------------------------------


@sandboxed
def test_an_ordinary_user_gets_the_same():
    """As root these tests drop to another user inside; a user gets there by a user namespace."""
    system = "/usr/bin/python3"
    if os.geteuid() or subprocess.run([system, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).returncode:
        pytest.skip("needs root, and a Python that everybody may run")
    source = (
        "import os\nprint(os.getuid(), os.path.exists('/etc/passwd'), sum(n.isdigit() for n in os.listdir('/proc')))\n"
        "for place in '/', '/usr', '/dev', '/dev/shm', '/proc/sys/kernel':\n    try:\n        open(place + '/x', 'w')\n"
        "        print(place)\n    except OSError: pass\n"
    ) + FORKS
    driver = (
        "import sys; sys.path.insert(0, sys.argv[1])\nimport sandbox\nprogram, reads, hides = sandbox.python()\n"
        f"files, limits = {{'main.py': {source!r}}}, sandbox.Limits(processes=12)\n"
        "print(sandbox.run((program, '-I', 'main.py'), files, reads=reads, hides=hides, limits=limits))"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # where everybody may look
        os.chmod(folder, 0o755)
        os.chmod(shutil.copyfile(sandbox.__file__, f"{folder}/sandbox.py"), 0o644)
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


def test_without_bubblewrap_nothing_is_run(tmp_path, monkeypatch):
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
def test_a_machine_that_forbids_it_is_named_with_the_way_out(complaint, advice, tmp_path, monkeypatch):
    """A bwrap that complains as it does on such machines; the program is not started."""
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
def test_file_names_stay_in_the_folder(name):
    with pytest.raises(SandboxError, match="cannot be the name of a file"):
        sandbox.run(("/bin/true",), {name: ""})


@sandboxed
def test_a_program_that_is_not_there_is_no_program_that_fails(tmp_path):
    with pytest.raises(SandboxError, match="no program '/usr/bin/nonesuch'"):
        sandbox.run(("/usr/bin/nonesuch",), {})
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    with pytest.raises(SandboxError, match=r"shows no .*tool"):
        sandbox.run((str(tool),), {})
    with pytest.raises(SandboxError, match="absolute path that exists"):
        sandbox.run(("/bin/true",), {}, reads=["/nonesuch"])
