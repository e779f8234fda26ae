"""`Compute.map` on a Ray cluster of this machine: the same rows and rejects, actors that stay, and lost actors."""

from __future__ import annotations

import contextlib
import functools

import pytest

from resources import ray_pool
from resources.compute import Compute
from resources.worker_pool import ComputeError, pickled
from tests.resources import poison
from tests.resources.test_compute import batches, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compute():
    import ray

    made = Compute(backend="ray", workers=2, queue=2, max_lost_rows=1, memory_mb=1_024)
    with contextlib.ExitStack() as end:
        end.callback(ray.shutdown)
        end.callback(made.close)
        yield made


def test_rows_and_rejects_are_those_of_local_processes(compute):
    ids, rejects = run(compute, batches(12, 4, {5: "crash", 9: "raise"}))
    assert ids == [f"r{n}" for n in range(12) if n not in (5, 9)]
    assert [(r.row_id, r.cause) for r in rejects] == [("r5", "worker_died"), ("r9", "unicode_error")]


def test_a_map_waits_for_the_cores_of_another_step(compute, monkeypatch):
    """Idle actors keep their cores to the end of their step. As many actors are wanted as have a core and memory."""
    monkeypatch.setattr(ray_pool, "_TELL_EVERY_S", 0.2)
    run(compute, batches(2, 1))
    pool = Compute(backend="ray", workers=0, memory_mb=1_024)._new_pool()
    said = []
    pool.log = lambda line: (said.append(line), compute.close())
    with contextlib.closing(pool):
        frames = list(pool.map(batches(4, 1), pickled(poison.behave), key="id", reject=pytest.fail))
        assert pool.room() == len(pool._started()) == 2
    assert [row for frame in frames for row in frame["id"]] == [f"r{n}" for n in range(4)]
    assert said[0] == "Ray: no worker has started yet; each waits for a free core and 1,024 MiB of memory"


def test_a_worker_that_fits_nowhere_is_an_error(compute, monkeypatch):
    monkeypatch.setattr(ray_pool, "_TELL_EVERY_S", 0.05)
    monkeypatch.setattr(ray_pool, "_ROOM_S", 0.1)
    compute.close()
    large = Compute(backend="ray", workers=1, memory_mb=1 << 30)
    with contextlib.closing(large), pytest.raises(ComputeError, match=r"1,073,741,824 MiB .* lower compute\.memory_mb"):
        run(large, batches(1, 1))


def test_a_slow_start_of_ray_is_tried_again(monkeypatch):
    import ray

    tries = []

    def init(**options):
        tries.append(options)
        if len(tries) < 3:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    ray_pool._connect(None, 1)
    assert len(tries) == 3


def test_actors_and_their_processes_stay_from_map_to_map(compute):
    pids = set()
    for _ in range(3):
        pids |= {
            pid for frame in compute.map(batches(6, 1), poison.process, reject=pytest.fail) for pid in frame["pid"]
        }
    assert len(pids) <= 2


def test_batches_of_a_lost_actor_go_to_another_one(compute, tmp_path):
    once = functools.partial(poison.ends_its_parent, once=str(tmp_path / "once"))
    ids, rejects = run(compute, batches(6, 1), once)
    assert (ids, rejects) == ([f"r{n}" for n in range(6)], []) and (tmp_path / "once").exists()


def test_a_batch_that_ends_every_actor_ends_the_map(compute, monkeypatch):
    monkeypatch.setattr(ray_pool, "_MOST_TRIES", 2)
    with pytest.raises(ComputeError, match="2 workers of the Ray cluster were lost with the same batch"):
        run(compute, batches(1, 1), functools.partial(poison.ends_its_parent, once=""))


def test_the_limit_on_lost_rows_is_that_of_the_whole_map(compute):
    with pytest.raises(ComputeError, match="dead workers cost more than 1 row"):
        run(compute, batches(2, 1, dict.fromkeys(range(2), "exit")))


def test_a_function_that_cannot_be_used_is_an_error(compute):
    with pytest.raises(ComputeError, match="not a polars DataFrame"):
        list(compute.map(batches(2, 1), poison.wrong, reject=pytest.fail))


def test_results_keep_their_order_and_few_are_read_ahead(compute):
    taken = []

    def counting():
        for batch in batches(12, 1, value=lambda n: 200 if n == 0 else 1):
            taken.append(batch)
            yield batch

    for number, frame in enumerate(compute.map(counting(), poison.slow, reject=pytest.fail)):
        assert frame["id"].to_list() == [f"r{number}"]
        assert len(taken) <= number + 1 + 4
    assert len(taken) == 12
