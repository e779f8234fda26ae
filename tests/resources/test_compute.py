"""`Compute.map`: order, bounds, and what happens to rows that crash, hang, raise or use up the memory."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import polars as pl
import psutil
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.table.parts import Reject
from resources import compute as module
from resources.compute import Compute
from resources.worker_pool import ComputeError
from tests.resources import poison


@pytest.fixture(scope="module")
def compute():
    made = Compute(workers=2, row_timeout_s=20.0, memory_mb=512)
    yield made
    made.close()


def batches(rows: int, size: int, behave: dict[int, str] = {}, value=lambda n: n):  # noqa: B006
    """`rows` rows in batches of `size`; `behave` says which rows misbehave and how."""
    for start in range(0, rows, size):
        numbers = range(start, min(start + size, rows))
        yield pa.RecordBatch.from_pydict(
            {
                "id": [f"r{n}" for n in numbers],
                "value": [value(n) for n in numbers],
                "behave": pa.array([behave.get(n) for n in numbers], pa.string()),
            }
        )


def run(compute: Compute, source, fn=poison.behave) -> tuple[list[str], list[Reject]]:
    rejects: list[Reject] = []
    frames = list(compute.map(source, fn, reject=rejects.append, stage="web.test"))
    return [row_id for frame in frames for row_id in frame["id"]], rejects


def test_results_keep_the_order_of_the_input_when_later_batches_finish_first(compute):
    source = batches(12, 2, value=lambda n: 300 if n == 0 else 1)
    ids, rejects = run(compute, source, poison.slow)
    assert ids == [f"r{n}" for n in range(12)]
    assert rejects == []


def test_partial_functions_are_mapped(compute):
    frames = list(compute.map(batches(5, 2), functools.partial(poison.scaled, factor=3), reject=pytest.fail))
    assert pl.concat(frames)["value"].to_list() == [0, 3, 6, 9, 12]


def test_few_batches_are_read_ahead_of_a_slow_consumer():
    taken = 0

    def counting():
        nonlocal taken
        for batch in batches(100, 1):
            taken += 1
            yield batch

    compute = Compute(workers=2, queue=2)
    results = compute.map(counting(), poison.slow, reject=pytest.fail)
    for given_out in range(1, 6):
        next(results)
        time.sleep(0.05)
        assert taken <= given_out + 4
    results.close()
    compute.close()


def test_few_bytes_are_read_ahead_of_a_slow_consumer():
    """Each batch takes more than the 1 MiB that may be in flight: a further one is read when none is in flight."""
    taken = []

    def counting():
        for number in range(4):
            taken.append(number)
            yield pa.RecordBatch.from_pydict({"id": [f"r{number}"], "value": ["x" * (1 << 20)]})

    compute = Compute(workers=2, queue=2, in_flight_mb=1)
    for given_out, _ in enumerate(compute.map(counting(), poison.lengths, reject=pytest.fail), 1):
        assert len(taken) == given_out
    assert len(taken) == 4
    compute.close()


@pytest.mark.parametrize(
    ("how", "cause", "detail"),
    [
        ("crash", "worker_died", "SIGSEGV"),
        ("exit", "worker_died", "ended with exit status 3"),
        ("raise", "unicode_error", "bad ? text"),
        ("memory", "memory", "512 MiB allowed"),
    ],
)
def test_the_row_at_fault_is_rejected_and_every_other_kept_once(compute, how, cause, detail):
    ids, rejects = run(compute, batches(30, 8, {11: how}))
    assert ids == [f"r{n}" for n in range(30) if n != 11]
    assert [(r.row_id, r.cause) for r in rejects] == [("r11", cause)]
    assert detail in rejects[0].detail


def test_only_the_row_that_hangs_is_rejected():
    compute = Compute(workers=2, row_timeout_s=1.0)
    ids, rejects = run(compute, batches(8, 4, {5: "hang"}))
    compute.close()
    assert ids == [f"r{n}" for n in range(8) if n != 5]
    assert [(r.row_id, r.cause) for r in rejects] == [("r5", "timeout")]


def test_a_row_is_not_rejected_because_other_programs_use_the_core():
    """The row needs half a second, and shares its core with five busy programs: it takes two to three seconds."""
    core = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    others = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(5)]
    compute = Compute(workers=1, row_timeout_s=1.0)
    try:
        ids, rejects = run(compute, batches(1, 1, value=lambda n: 500), poison.busy)
    finally:
        compute.close()
        for other in others:
            other.kill()
            other.wait()
    assert (ids, rejects) == (["r0"], [])


def test_rows_that_hang_are_found_in_one_pass(tmp_path):
    """Each costs the time-out once, and the batch once more: no row is tried more than twice."""
    log = tmp_path / "rows"
    compute = Compute(workers=1, row_timeout_s=1.0)
    hang = functools.partial(poison.counted, log=str(log))
    ids, rejects = run(compute, batches(64, 64, {20: "hang", 21: "hang", 63: "hang"}), hang)
    compute.close()
    assert ids == [f"r{n}" for n in range(64) if n not in (20, 21, 63)]
    assert [(r.row_id, r.cause) for r in rejects] == [(f"r{n}", "timeout") for n in (20, 21, 63)]
    seen = Counter(log.read_text().split())
    assert set(seen) == {f"r{n}" for n in range(64)} and max(seen.values()) == 2


def test_a_map_that_waits_too_long_for_rows_in_all_is_stopped():
    compute = Compute(workers=1, row_timeout_s=0.5, max_lost_s=0.9)
    with pytest.raises(ComputeError, match=r"cost more than 0\.9 s; .*compute\.row_timeout_s.*compute\.max_lost_s"):
        run(compute, batches(4, 4, {1: "hang", 2: "hang"}))
    compute.close()


def test_a_batch_slower_than_the_row_timeout_loses_nothing():
    compute = Compute(workers=2, row_timeout_s=0.5)
    ids, rejects = run(compute, batches(8, 8, value=lambda n: 120), poison.slow)
    compute.close()
    assert ids == [f"r{n}" for n in range(8)]
    assert rejects == []


@settings(max_examples=8, deadline=None)
@given(st.dictionaries(st.integers(0, 23), st.sampled_from(["crash", "exit", "raise"]), max_size=3), st.integers(1, 9))
def test_any_failing_rows_are_rejected_and_no_others(compute, behave, size):
    ids, rejects = run(compute, batches(24, size, behave))
    assert ids == [f"r{n}" for n in range(24) if n not in behave]
    assert [r.row_id for r in rejects] == [f"r{n}" for n in sorted(behave)]


def test_workers_are_reused_and_load_no_heavy_modules(compute):
    def pids():
        return set(pl.concat(list(compute.map(batches(8, 1), poison.process, reject=pytest.fail)))["pid"])

    assert len(pids() | pids()) <= 2
    frame = next(compute.map(batches(1, 1), poison.process, reject=pytest.fail))
    assert frame["heavy"].to_list() == [""]
    assert frame["pid"].item() != os.getpid()


def test_a_process_may_keep_its_workers_from_one_run_to_the_next(monkeypatch):
    monkeypatch.setattr(module, "_KEPT", None)
    module.keep_workers()
    pids = set()
    for _ in range(2):
        one = Compute(workers=1)
        pids |= {pid for frame in one.map(batches(3, 1), poison.process, reject=pytest.fail) for pid in frame["pid"]}
        one.close()
    (pool,) = module._KEPT.values()
    pool.close()
    assert len(pids) == 1


def test_actors_of_a_cluster_are_not_kept_for_the_next_run(monkeypatch):
    """They would keep their cores while other processes run."""
    monkeypatch.setattr(module, "_KEPT", {})
    one = Compute(backend="ray")
    assert one._own_pool() is one._own_pool() is one._pool and not module._KEPT


@pytest.mark.parametrize("name", ["compute_worker", "lynx", "pretrained", "repositories", "sandbox", "weights"])
def test_resources_for_mapped_functions_load_without_dagster(name):
    """A worker process imports the module of the mapped function and whatever that module imports."""
    heavy = {"dagster", "deltalake", "polars", "pyarrow", "torch"}
    code = f"import sys; import resources.{name}; print(*{heavy!r} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded == "\n"


def test_closing_the_results_early_leaves_no_worker():
    before = set(psutil.Process().children())
    compute = Compute(workers=2, row_timeout_s=600.0)
    results = compute.map(batches(50, 1, dict.fromkeys(range(1, 50), "hang")), poison.behave, reject=pytest.fail)
    next(results)
    assert set(psutil.Process().children()) - before
    started = time.monotonic()
    results.close()
    compute.close()
    assert time.monotonic() - started < 60
    assert set(psutil.Process().children()) <= before


def test_a_function_that_cannot_be_used_is_an_error_and_not_a_reject(compute):
    with pytest.raises(ComputeError, match="not a polars DataFrame"):
        list(compute.map(batches(2, 1), poison.wrong, reject=pytest.fail))
    with pytest.raises(AttributeError):
        list(compute.map(batches(2, 1), lambda frame: frame, reject=pytest.fail))


def test_losing_too_many_rows_to_dead_workers_stops_the_map(compute, monkeypatch):
    monkeypatch.setattr(compute._own_pool(), "max_lost", 1)
    with pytest.raises(ComputeError, match="dead workers cost more than 1 row; last") as caught:
        run(compute, batches(4, 1, dict.fromkeys(range(4), "exit")))
    assert caught.value.__notes__ == ["while mapping over web.test"]


@pytest.mark.faults
def test_workers_die_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "from resources.compute import Compute\n"
        "from tests.resources import poison, test_compute\n"
        "source = test_compute.batches(9, 1, {n: 'hang' for n in range(1, 9)})\n"
        "results = Compute(workers=2).map(source, poison.behave, reject=print)\n"
        "next(results)\n"
        "print('working', flush=True)\n"
        "next(results)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=env, text=True) as parent:
        assert parent.stdout.readline() == "working\n"
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == 2
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]
