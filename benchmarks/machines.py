"""A model that two machines train together, with its checkpoints in an object store, outlives a kill and a lost disk.

Two agents of torchrun meet at an address of this machine, as they would on two machines: one belongs to the run that
materialises `models/base`, the other one to `python -m resources.join 1`. The lake is on an S3 server (moto). When a
checkpoint is in the store, the run and everything that it started is killed (kill -9), and the checkpoints on the disk
are deleted. A second run, which the same second agent joins, must finish the model. A third run trains the same model
in one process, in another lake. The claims:

 - the metrics have every step once, and the second run did not begin with the first step;
 - the losses of all steps are those of one process, but for rounding;
 - no folder of the training that was killed stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Claim, table, verdict
from benchmarks.object_store import s3_settings

ROOT = Path(__file__).resolve().parents[1]
_STEPS, _EVERY = 48, 4
_LOCAL = "local"


def main(argv: list[str]) -> int:
    from tests.s3 import s3_server

    with tempfile.TemporaryDirectory(prefix="nemotron-machines-") as name, s3_server() as server:
        os.environ |= s3_settings(server) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        urllib.request.urlopen(urllib.request.Request(f"{server}/lake", method="PUT"), timeout=30).close()
        address = f"127.0.0.1:{_free_port()}"
        started = time.monotonic()
        # A home of its own: the finished weights of a model wait in the home until they are in the lake.
        os.environ["NEMOTRON_HOME"] = f"{name}/alone"
        train(_process("train", "s3://lake/alone", _LOCAL))
        alone = metrics("s3://lake/alone")
        os.environ["NEMOTRON_HOME"] = str(home := Path(name, "two"))
        with _ended(_process("join", address)) as other:
            killed = _process("train", "s3://lake/two", address)
            reached = _wait_for_checkpoint(killed)
            _kill(killed)
            left = list((home / "cache" / "training-jobs").glob("nemotron-train-*"))
            _delete_checkpoints(home)
            train(_process("train", "s3://lake/two", address))
            other.send_signal(signal.SIGINT)
            other.wait()
        together = metrics("s3://lake/two")
        still = [folder for folder in left if folder.exists()]
    both = list(zip(alone, together, strict=False))
    furthest = max(abs(a["loss"] - b["loss"]) / abs(a["loss"]) for a, b in both)
    rows = [[row["step"], f"{row['loss']:.6f}", f"{same['loss']:.6f}"] for row, same in both]
    print(table(["step", "one process", "two machines"], rows[:: len(rows) // 6]))
    print(f"\nkilled when {reached} was in the store; {time.monotonic() - started:.0f} s in all")
    runs = [row["run_id"] for row in together]
    return verdict(
        [
            Claim("steps in the metrics", float(len({row["step"] for row in together})), at_least=_STEPS),
            Claim("rows of the metrics", float(len(together)), at_most=_STEPS),
            Claim("steps of the second run", float(runs.count(runs[-1])), at_most=_STEPS - _EVERY),
            Claim("largest difference of a loss to one process, as a share", furthest, at_most=1e-3),
            Claim("folders that the killed training left", float(len(left)), at_least=1),
            Claim("folders that stayed", float(len(still)), at_most=0),
        ]
    )


def recipe():
    """A tiny model of `_STEPS` steps."""
    from tests.pretrain.test_base import small_recipe

    return small_recipe(tokens=_STEPS * 4 * 64, micro_batch_sequences=2, checkpoint_every=_EVERY)


def work(role: str, *arguments: str) -> None:
    """What a process of this benchmark does: `train ROOT ADDRESS`, or `join ADDRESS`."""
    from nemotron_assets.recipe.lake import Machines as MachinesRecipe
    from resources.gpu import Gpu
    from resources.torchrun import Machines, follow

    if role == "join":
        with contextlib.suppress(KeyboardInterrupt):
            follow(1, 1, Machines(2, arguments[0], 300.0), lambda line: print(line, flush=True))
        return
    from nemotron_assets.blend.tables import TOKENIZER
    from resources.lakehouse import Lakehouse
    from tests.pretrain.test_base import lake_with_shards, materialize

    root, address = arguments
    machines = {} if address == _LOCAL else MachinesRecipe(nodes=2, rendezvous=address, join_s=300).model_dump()
    lake = Lakehouse(root=root)
    if not lake.read(TOKENIZER).exists:
        with tempfile.TemporaryDirectory() as folder:
            lake = lake_with_shards(Path(folder), root, recipe())
    materialize(lake, recipe(), Gpu(processes=1, **machines))


def metrics(root: str) -> list[dict]:
    """The rows of the metrics of the model in a lake, by step."""
    from nemotron_assets.models.tables import TRAINING_METRICS
    from resources.lakehouse import Lakehouse

    return Lakehouse(root=root).read(TRAINING_METRICS).scan().sort("step").collect().to_dicts()


def train(process: subprocess.Popen) -> None:
    if process.wait():
        raise RuntimeError(f"a training ended with {process.returncode}")


@contextlib.contextmanager
def _ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    try:
        yield process
    finally:
        if process.poll() is None:
            _kill(process)


def _process(*arguments: str) -> subprocess.Popen:
    """A process that does `work`."""
    code = f"from benchmarks.machines import work; work(*{arguments!r})"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)


def _kill(process: subprocess.Popen) -> None:
    """Kill a process alone, as the kernel would; what it started must notice."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def _wait_for_checkpoint(process: subprocess.Popen) -> str:
    """Wait until the store has a checkpoint of the training, and return its name."""
    from pyarrow.fs import FileSelector

    from nemotron_assets.models.registry import CHECKPOINTS
    from resources.store import store_at

    store, deadline = store_at(f"s3://lake/two/{CHECKPOINTS}"), time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        found = store.get_file_info(FileSelector("", recursive=True, allow_not_found=True))
        if names := [info.path for info in found if info.base_name == "state.json"]:
            return names[0].split("/")[-2]
        time.sleep(0.05)
    raise RuntimeError("no checkpoint came into the store before the training ended")


def _delete_checkpoints(home: Path) -> None:
    for folder in (home / "cache" / "training").glob("*"):
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
