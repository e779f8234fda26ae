"""All imports from Dagster's private modules, so that an update of Dagster is checked in one place.

The imports are inside the functions, because most processes need none of them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

#: The run tag from which the Dagster UI reads the partition of a run.
PARTITION_TAG = "dagster/partition"


def input_tags(key: dg.AssetKey, record: dg.EventLogRecord) -> dict[str, str]:
    """Tags for a materialisation that say which materialisation (`record`) of its input `key` it used."""
    from dagster._core.definitions.data_version import get_input_data_version_tag, get_input_event_pointer_tag

    data_version = (record.asset_materialization.tags or {}).get("dagster/data_version")
    tags = {get_input_event_pointer_tag(key): str(record.storage_id)}
    return tags | ({get_input_data_version_tag(key): data_version} if data_version else {})


def input_record(tags: Mapping[str, str], key: dg.AssetKey, unknown: int = 0) -> int:
    """The storage id of the materialisation of its input `key` that a materialisation with these tags used: 0 if the
    input had none yet, `unknown` if the tags do not say it.

    The tags with the data versions of inputs are of no use: for an input that was made in the same run, Dagster writes
    a data version that the input does not have.
    """
    from dagster._core.definitions.data_version import get_input_event_pointer_tag

    value = tags.get(get_input_event_pointer_tag(key))
    return unknown if value is None else int(value) if value.isdigit() else 0


def staleness(instance: dg.DagsterInstance, graph: Any, *, of_most: bool = False) -> Any:
    """An object whose `get_status(asset key, partition)` says whether an asset is fresh, stale or missing, by code
    versions and data versions.

    With `of_most`, the first question reads the records of all assets in one query. By themselves they are read one by
    one, which takes seconds when the status of most assets is asked for.
    """
    from dagster._core.definitions import data_version
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest
    from dagster._core.storage.event_log.base import AssetRecord

    # Dagster does not look at an input with 100 partitions or more: the 100th snapshot would make nothing stale.
    data_version.SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD = sys.maxsize
    context = LoadingContextForTest(instance)
    if of_most:
        AssetRecord.prepare(context, graph.toposorted_asset_keys)
    return CachingStaleStatusResolver(instance, graph, context)


def repository_of(module: str, attribute: str, folder: str) -> Any:
    """The repository of the definitions `attribute` in a module, in a form that other processes can load again."""
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    return ReconstructableRepository.for_module(module, attribute, working_directory=folder)


def job_of(repository: Any, name: str = "__ASSET_JOB") -> Any:
    """A job of a `repository_of`; the default is the implicit job of all assets."""
    from dagster._core.definitions.reconstruct import ReconstructableJob

    return ReconstructableJob(repository, name)


def unfinished_statuses() -> list[dg.DagsterRunStatus]:
    """The statuses of runs that have not ended yet: also of runs that still wait in the queue."""
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

    return list(NOT_FINISHED_STATUSES)


def sqlite_storage() -> type:
    """The class of Dagster's storage in SQLite: runs, events, and ticks of schedules and sensors."""
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

    return DagsterSqliteStorage


def keep_sqlite_engines() -> None:
    """Let Dagster's SQLite storage keep the engine of SQLAlchemy for each database. By itself it makes a new engine for
    every query, and the new engine compiles the query again, which takes longer than the query."""
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        module.create_engine = _sqlite_engine


def _sqlite_engine(address: str, poolclass: type, connect_args: Mapping[str, Any] | None = None) -> Any:
    return _kept_engine(address, poolclass, tuple(sorted((connect_args or {}).items())))


@functools.lru_cache(maxsize=32)  # the events of each run are in a database of their own
def _kept_engine(address: str, poolclass: type, connect_args: tuple[tuple[str, Any], ...]) -> Any:
    from sqlalchemy import create_engine

    return create_engine(address, poolclass=poolclass, connect_args=dict(connect_args))


def worker_health(status: str, message: str) -> Any:
    """The answer of a run launcher about the process of a run. `status` is RUNNING or FAILED."""
    from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

    return CheckRunHealthResult(WorkerStatus(status), message)


def unchecked(instance: dg.DagsterInstance, graph: Any, partition: str | None) -> set[dg.AssetKey]:
    """The assets of which a check failed (with severity ERROR) or was not finished when it ran last, in a partition or,
    with None, without partitions."""
    import dagster as dg
    from dagster._core.event_api import PartitionKeyFilter
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        sorted(graph.asset_check_keys), partition_filter=PartitionKeyFilter(key=partition)
    )
    found = set()
    for key, record in latest.items():
        if record.status == Status.FAILED:
            evaluation = record.event.dagster_event.event_specific_data
            if evaluation.severity == dg.AssetCheckSeverity.ERROR:
                found.add(key.asset_key)
        elif record.status == Status.PLANNED:
            run = instance.get_run_by_id(record.run_id)
            if run is None or run.is_finished:
                found.add(key.asset_key)
    return found
