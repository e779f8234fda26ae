"""Kills `nemotron ui`, or its daemon alone, while a run that it started trains a model, and starts it again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks._faults_kill import end
from benchmarks._faults_scenes import PROJECT, Stage
from benchmarks._faults_state import instance_of

FREE_WITHIN_S = 60.0
POOL = "gpu"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what: str, condition: Callable[[], object], seconds: float) -> float:
    """Wait until a condition is true; returns the seconds it took. Raises TimeoutError with `what` was waited for."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.2)
    return time.monotonic() - started


def _answers(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5).status == 200
    except OSError:
        return False


@contextmanager
def ui(stage: Stage, port: int) -> Iterator[psutil.Process]:
    """`nemotron ui` on the home of the stage, with all that it starts; at the end of the block everything is killed."""
    with (stage.folder / "ui.log").open("ab") as log:
        program = [sys.executable, "-m", "nemotron_assets.commands", "ui", "--port", str(port)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        server = subprocess.Popen(
            program,
            cwd=PROJECT,
            env=stage.environment() | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(
            f"the web UI (see {stage.folder}/ui.log)", lambda: _answers(port) or server.poll() is not None, seconds=180
        )
        yield psutil.Process(server.pid)
    finally:
        tree = _tree(server.pid)
        end(tree)
        server.wait()


def _tree(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def stop_sensors(stage: Stage) -> None:
    """Stop the sensors that start runs by themselves, before a daemon runs: the run that is killed is the only one."""
    environment = stage.environment() | {"DAGSTER_HOME": str(stage.home / "dagster")}
    program = [str(Path(sys.executable).parent / "dagster"), "sensor", "stop", "-w", str(PROJECT / "workspace.yaml")]
    create = [sys.executable, "-c", "from nemotron_assets.instance import instance; instance().dispose()"]
    for command in (create, [*program, "new_snapshots"], [*program, "follow_new_data"]):
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def kill_daemon(stage: Stage, rng: random.Random) -> tuple[str, str, float, list[str]]:
    """Train in a run of the daemon, kill at a random moment of the training, start again, and wait for the run's end.

    Returns who was killed, what came of it, the seconds from the restart until the run had ended and its slot was free,
    and what is wrong.
    """
    import dagster as dg
    from dagster_graphql import DagsterGraphQLClient

    home, port = stage.home, free_port()
    target = rng.choice(["group", "daemon"])
    with ui(stage, port) as server:
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        run_id = client.submit_job_execution("__ASSET_JOB", asset_selection=[dg.AssetKey(["models", "base"])])
        with instance_of(home) as instance:

            def trains() -> bool:
                return bool(slots_of(instance)) and any((home / "cache").rglob("step-*"))

            wait_until("the run to train", trains, seconds=180)
            time.sleep(rng.uniform(0, 3))
            named = [p for p in server.children(recursive=True) if "dagster-daemon" in " ".join(p.cmdline()[:3])]
            end(_tree(server.pid) if target == "group" else [p.pid for p in named[:1]])
            if target == "daemon":
                server.send_signal(signal.SIGTERM)
    with ui(stage, port), instance_of(home) as instance:
        try:
            took = wait_until(
                "the run of the killed daemon to end and to free its slot",
                lambda: instance.get_run_by_id(run_id).is_finished and not slots_of(instance),
                seconds=FREE_WITHIN_S,
            )
        except TimeoutError as error:
            status = instance.get_run_by_id(run_id).status.value
            return (
                target,
                "started again",
                FREE_WITHIN_S,
                [f"{error}: it is {status}, {slots_of(instance)} slots taken"],
            )
        status = instance.get_run_by_id(run_id).status.value
    return target, f"run {status.lower()} in {took:.0f} s", took, []


def slots_of(instance) -> int:
    """The number of slots of the pool that seem to be in use."""
    return instance.event_log_storage.get_concurrency_info(POOL).active_slot_count
