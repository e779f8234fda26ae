"""The virtual environment of the peers that benchmarks compare with; made from requirements/bench.lock if missing."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from benchmarks.harness import FOLDER

LOCK = FOLDER.parent / "requirements" / "bench.lock"


def peers_python() -> str:
    """The Python of benchmarks/.data/peers, whose packages are those of the lock file.

    A file lock makes sure that only one process creates the environment.
    """
    from filelock import FileLock

    place = FOLDER / ".data" / "peers"
    python, stamp = place / "bin" / "python", place / ".installed"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    place.parent.mkdir(exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        if not (stamp.is_file() and stamp.read_text() == wanted):
            print(f"Installing the peers of {LOCK.name} into {place} ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", LOCK]
            subprocess.run(pip, check=True)
            stamp.write_text(wanted)
    return str(python)
