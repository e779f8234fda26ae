"""Which process executes a Dagster run, and what happens to the runs of processes that are gone.

Dagster notices that a run's process has died only while the code server that started the process lives. If both are
killed, the run stays "started" for ever and keeps its slots. `nemotron run` gives its runs a tag that names their
process; for other runs the code server notes the process in the events of the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

#: The run tag of `nemotron run` that names the process: host, process id and start time of the process.
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


def is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the process that executes an unfinished run is gone, or the code server that was to start the process.

    False if the run's process or server is on another host, or not known.
    """
    if process := run.tags.get(PROCESS_TAG):
        return has_ended(process)
    server = json.loads(run.tags.get(_SERVER_TAG, "{}"))
    if server.get("host") not in ("localhost", "127.0.0.1", socket.gethostname()):
        return False
    if (process := _started_process(instance, run)) is not None:
        return has_ended(process)
    return not _answers(server)


def _started_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The process that a code server of this host says it started for a run, as `this_process` names it; None if the
    server has not started one yet."""
    import dagster as dg
    import psutil

    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        data = record.dagster_event.event_specific_data
        if data is None or "pid" not in data.metadata:
            continue
        pid, started = int(data.metadata["pid"].value), 0.0
        # The event says when the process had just started. A process that is younger is another one.
        with contextlib.suppress(psutil.NoSuchProcess):
            started = psutil.Process(pid).create_time()
        return f"{socket.gethostname()}:{pid}:{started if started <= record.timestamp + 1 else 0.0}"
    return None


def end_lost_runs(instance: dg.DagsterInstance, *, stopped: bool = False) -> None:
    """Mark the unfinished runs of processes that are gone as failed, and free their slots in pools.

    With `stopped`, a person has stopped this process and its workers: their runs are marked as canceled.
    """
    import dagster as dg

    status = dg.DagsterRunStatus
    unfinished = [status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        if not is_lost(instance, run) and not (stopped and run.tags.get(PROCESS_TAG) == this_process()):
            continue
        if stopped or run.status == status.CANCELING:
            instance.report_run_canceled(run, "it was stopped; the next run goes on where this one stopped")
        else:
            instance.report_run_failed(run, "its process was killed; the next run goes on where this one stopped")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _answers(server: dict[str, object]) -> bool:
    """Whether something listens at the address of a code server."""
    if path := server.get("socket"):
        family, address = socket.AF_UNIX, path
    else:
        family, address = socket.AF_INET, (server["host"], server["port"])
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        return connection.connect_ex(address) == 0
