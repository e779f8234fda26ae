"""The device inventory, the device lock, and training in-process and through torchrun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from resources import torchrun
from resources.gpu import Device, Gpu, GpuError, _dtype
from resources.server import free_port
from resources.torchrun import Machines, TrainingFailed

ENTRIES = "tests.resources.train_entries"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))


def _python(code: str, **options) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, **options)


def _wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition did not become true in {seconds} s"
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_devices_have_a_name_memory_and_precisions():
    for device in Gpu().devices():
        assert device.name and device.memory_bytes > 1 << 28 and "fp32" in device.precisions


@pytest.mark.parametrize(
    ("kind", "precisions", "dtype"),
    [("cpu", ("fp32",), "float32"), ("cpu", ("fp32", "bf16"), "bfloat16"), ("cuda", ("fp32",), "float16"),
     ("cuda", ("fp32", "bf16", "fp8"), "bfloat16")],
)  # fmt: skip
def test_auto_precision_is_what_the_device_computes_natively(kind, precisions, dtype):
    device = Device(kind, 0, "device", 1 << 30, precisions)
    assert _dtype("auto", device) == dtype
    assert _dtype("float32", device) == "float32"


def test_recipe_sets_the_resource():
    from nemotron_assets.recipe import load_recipe

    llm = load_recipe("nano2").llm
    gpu = Gpu.from_recipe(llm)
    assert (gpu.backend, gpu.max_num_seqs, gpu.dtype) == ("vllm", llm.max_num_seqs, llm.dtype)


def test_lock_is_reentrant_and_released_when_its_holder_is_killed():
    holder = _python(
        "from resources.gpu import Gpu; import time\nwith Gpu().lock(): print('held', flush=True); time.sleep(600)",
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        said = []
        with pytest.raises(GpuError, match=f"process {holder.pid} .* after 0 s"):
            with Gpu(lock_timeout_s=0.2).lock(said.append):
                pass
        assert f"process {holder.pid}" in said[0] and "waiting" in said[0]
    finally:
        holder.kill()
        holder.wait()
    with Gpu(lock_timeout_s=5).lock() as outer, Gpu(lock_timeout_s=5).lock() as inner:
        assert outer == inner


def test_training_on_one_device_runs_in_this_process():
    rows = []
    result = Gpu(processes=1).train(f"{ENTRIES}:count", {"steps": 3}, rows.extend)
    assert result == {"pid": os.getpid(), "steps": 3}
    assert [row["step"] for row in rows] == [0, 1, 2]


def test_metrics_before_a_failure_arrive():
    rows = []
    with pytest.raises(RuntimeError, match="not a number"):
        Gpu(processes=1).train(f"{ENTRIES}:fail", {}, rows.extend)
    assert rows == [{"step": 0}]


@pytest.mark.parametrize("entry", [ENTRIES, f"{ENTRIES}:missing", f"{ENTRIES}:"])
def test_an_entry_that_is_not_a_function_is_an_error(entry):
    with pytest.raises(ValueError, match="module:function"):
        Gpu(processes=1).train(entry, {}, list)


@pytest.mark.slow
def test_torchrun_trains_on_two_machines():
    """Both are this machine: one process each, which meet at a port and share the home folder."""
    rows, ended, place = [], threading.Event(), f"127.0.0.1:{free_port('127.0.0.1')}"
    machines = Machines(2, place, join_s=120)
    other = threading.Thread(target=torchrun.follow, args=(1, 1, machines, lambda line: None, ended.is_set))
    other.start()
    try:
        gpu = Gpu(processes=1, nodes=2, rendezvous=place, join_s=120)
        result = gpu.train(f"{ENTRIES}:all_reduce", {}, rows.extend)
    finally:
        ended.set()
        other.join()
    assert result == {"world": 2, "sum": 3.0}
    assert rows == [{"step": 0, "rank": 0, "sum": 3.0}]


@pytest.mark.slow
def test_torchrun_failure_shows_why():
    rows = []
    with pytest.raises(TrainingFailed, match="the loss is not a number"):
        Gpu(processes=2).train(f"{ENTRIES}:fail", {}, rows.extend)
    assert rows == [{"step": 0}]


@pytest.mark.slow
@pytest.mark.faults
def test_workers_die_with_the_run_and_free_the_device(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    run = _python(
        f"from resources.gpu import Gpu\nGpu(processes=2).train('{ENTRIES}:hang', {{'folder': {str(folder)!r}}}, list)"
    )
    try:
        _wait_for(lambda: len([p for p in folder.glob("*.pid") if p.read_text()]) == 2, 120)
        workers = [int(p.read_text()) for p in folder.glob("*.pid")]
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    _wait_for(lambda: all(map(_gone, workers)), 20)
    with Gpu(lock_timeout_s=5).lock():
        pass
