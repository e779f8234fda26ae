"""A worker process of `nemotron run`: executes Dagster runs that it is told on standard input, one after the other.

It runs as `python -m nemotron_assets.commands.worker PARENT NICE` and dies with its parent. It prints facts as JSON
(see logs.py) on standard output, among the lines that libraries print.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import dagster as dg

from nemotron_assets.dagster_private import PARTITION_TAG, job_of, repository_of
from nemotron_assets.instance import PROJECT, instance
from nemotron_assets.logs import keep_output, print_fact
from nemotron_assets.run_processes import PROCESS_TAG, this_process
from resources.compute import keep_workers
from resources.processes import die_with_parent


def load_repository() -> Any:
    """The definitions, in a form that the processes of steps can load again."""
    return repository_of("nemotron_assets.definitions", "defs", str(PROJECT))


def execute(
    found: dg.DagsterInstance,
    repository: Any,
    keys: Sequence[dg.AssetKey],
    partition: str | None,
    *,
    force: bool,
    as_json: bool = False,
) -> str:
    """Materialise assets, or one partition of them, in one Dagster run in this process; returns the id of the run."""
    tags = {PROCESS_TAG: this_process()} | ({PARTITION_TAG: partition} if partition else {})
    if force:
        tags["nemotron/force"] = "true"
    result = dg.execute_job(
        job_of(repository),
        found,
        run_config={"loggers": {"console": {"config": {"json": as_json}}}},
        tags=tags,
        asset_selection=list(keys),
    )
    return result.run_id


def main() -> None:
    """Execute a run for each line of standard input."""
    die_with_parent(int(sys.argv[1]))
    os.nice(int(sys.argv[2]))
    # Not ignored, although Ctrl-C does not reach this process: after a run, Dagster does with SIGTERM what is done with
    # SIGINT, and every process that is started from then on would ignore SIGTERM too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    keep_output()
    keep_workers()
    repository = load_repository()
    repository.get_definition()
    with instance() as found:
        print_fact({"kind": "ready", "process": this_process()}, as_json=True)
        for line in sys.stdin:
            task = json.loads(line)
            keys = [dg.AssetKey(path) for path in task["keys"]]
            run_id = execute(found, repository, keys, task["partition"], force=task["force"], as_json=True)
            print_fact({"kind": "ended", "run": run_id}, as_json=True)


if __name__ == "__main__":
    main()
