"""All imports from Dagster's private modules, so that an update of Dagster is checked in one place.

The imports are inside the functions, because most processes need none of them.
"""

from __future__ import annotations

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


def staleness(instance: dg.DagsterInstance, graph: Any) -> Any:
    """An object whose `get_status(asset key, partition)` says whether an asset is fresh, stale or missing, by code
    versions and data versions."""
    from dagster._core.definitions import data_version
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    # Dagster does not look at an input with 100 partitions or more: the 100th snapshot would make nothing stale.
    data_version.SKIP_PARTITION_DATA_VERSION_DEPENDENCY_THRESHOLD = sys.maxsize
    return CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))


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
