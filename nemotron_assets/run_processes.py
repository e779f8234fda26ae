"""Which process executes a Dagster run, and what happens to the runs of processes that are gone.

Dagster notices that a run's process has died only while the code server that started the process lives. If both are
killed, the run stays "started" for ever and keeps its slots. Therefore every run has a tag that names its process.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

#: The run tag that names the process: host, process id and start time of the process.
PROCESS_TAG = "nemotron/process"

#: The run tag with the address of the code server that starts the run's process. Dagster sets it.
_SERVER_TAG = ".dagster/grpc_info"


def this_process() -> str:
    """An identifier of this process that no other process has: host, process id and start time."""
    import psutil

    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time()}"


def has_ended(process: str) -> bool:
    """Whether a process (as `this_process` names it) of this host has ended; False for a process of another host."""
    import psutil

    host, pid, started = process.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        found = psutil.Process(int(pid))
        return str(found.create_time()) != started or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def tag_run(run_id: str | None) -> None:
    """Tag a run with this process, unless it has the tag. Runs that the web UI and the daemon start have no tag yet."""
    import dagster as dg

    if not run_id or not os.environ.get("DAGSTER_HOME"):
        return
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        if run is not None and PROCESS_TAG not in run.tags:
            instance.add_run_tags(run_id, {PROCESS_TAG: this_process()})


def is_lost(run: dg.DagsterRun) -> bool:
    """Whether the process that executes an unfinished run is gone, or the code server that was to start the process."""
    if process := run.tags.get(PROCESS_TAG):
        return has_ended(process)
    return _SERVER_TAG in run.tags and not _answers(json.loads(run.tags[_SERVER_TAG]))


def end_lost_runs(instance: dg.DagsterInstance, *, stopped: bool = False) -> None:
    """Mark the unfinished runs of processes that are gone as failed, and free their slots in pools.

    With `stopped`, a person has stopped this process and its workers: their runs are marked as canceled.
    """
    import dagster as dg

    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
        if not is_lost(run) and not (stopped and run.tags.get(PROCESS_TAG) == this_process()):
            continue
        if stopped or run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "it was stopped; the next run goes on where this one stopped")
        else:
            instance.report_run_failed(run, "its process was killed; the next run goes on where this one stopped")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _answers(server: dict[str, object]) -> bool:
    """Whether something listens at the address of a code server. A server on another host counts as listening."""
    if path := server.get("socket"):
        family, address = socket.AF_UNIX, path
    elif server.get("host") in ("localhost", "127.0.0.1", socket.gethostname()):
        family, address = socket.AF_INET, (server["host"], server["port"])
    else:
        return True
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        return connection.connect_ex(address) == 0
