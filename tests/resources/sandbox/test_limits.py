"""Programs that use too much, and processes that outlive their program."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from resources import sandbox
from resources.sandbox import Limits
from tests.resources.sandbox.programs import FORKS, PROGRAM, READS, REPOSITORY, lines_of, python, running, sandboxed


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
def test_the_number_of_files_is_limited():
    endless = "import os\nn = 0\nwhile True:\n    os.mkdir(str(n))\n    n += 1"
    outcome = python(endless, Limits(files=500))
    assert (outcome.status, outcome.limit) == ("exceeded", "files")
    assert python("import os\nfor n in range(300): os.mkdir(str(n))", Limits(files=500)).status == "ran"


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
            most[0] = max(most[0], len(running(mark)))

    counting = threading.Thread(target=count)
    counting.start()
    limits = Limits(processes=12, cpu_s=1)
    outcome = sandbox.run((PROGRAM, "-I", "main.py", mark), {"main.py": bomb}, limits=limits, reads=READS)
    done.set()
    counting.join()
    assert outcome.status == "timed_out" and most[0] <= 14, most  # with bwrap and the first process
    assert python(FORKS, Limits(processes=12)).stdout == b"11\n"


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
    assert not running(mark)


@sandboxed
def test_no_process_is_left_when_the_caller_is_killed(tmp_path):
    mark = f"orphan{os.getpid()}"
    driver = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\nfrom resources import sandbox\n"
        f"sandbox.run(({PROGRAM!r}, '-I', '-c', 'import time; time.sleep(1000)', {mark!r}), {{}}, reads={READS!r})"
    )
    for number in range(1, 4):  # bwrap alone; bwrap and the first process; both and the program
        with subprocess.Popen([sys.executable, "-c", driver]) as process:
            _until(lambda number=number, process=process: len(running(mark)) >= number or process.poll() is not None)
            process.kill()
        _until(lambda: not running(mark))


def _until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
