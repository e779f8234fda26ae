"""What a well-behaved program can do in the sandbox, and on which machines it works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resources import sandbox
from resources.sandbox import SandboxError
from tests.resources.sandbox.programs import FORKS, PACKAGE, lines_of, python, sandboxed


def test_set_up_installs_bubblewrap_where_it_can():
    """Root with apt-get can install packages, so set-up must have done it and no test of this file is skipped."""
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("set-up cannot install packages here")
    assert shutil.which("bwrap")


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
