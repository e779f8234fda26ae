"""Everything that is taken from Dagster's private modules, so that an update of Dagster is checked in one place.

Imports stay inside the functions: most processes need none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

#: Run tag that carries the partition of a run, as Dagster's UI reads it.
PARTITION_TAG = "dagster/partition"


def input_tags(key: dg.AssetKey, record: dg.EventLogRecord) -> dict[str, str]:
    """The tags of a materialisation that say which materialisation of an input it used."""
    from dagster._core.definitions.data_version import get_input_data_version_tag, get_input_event_pointer_tag

    made = (record.asset_materialization.tags or {}).get("dagster/data_version")
    tags = {get_input_event_pointer_tag(key): str(record.storage_id)}
    return tags | ({get_input_data_version_tag(key): made} if made else {})


def staleness(instance: dg.DagsterInstance, graph: Any) -> Any:
    """What answers `get_status(asset key, partition)`: fresh, stale or missing, by code versions and data versions."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    return CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))


def repository_of(module: str, attribute: str, folder: str) -> Any:
    """The repository of definitions in a module, so that other processes can load it again."""
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    return ReconstructableRepository.for_module(module, attribute, working_directory=folder)


def job_of(repository: Any, name: str = "__ASSET_JOB") -> Any:
    """A job of such a repository; the default is the implicit one of all assets."""
    from dagster._core.definitions.reconstruct import ReconstructableJob

    return ReconstructableJob(repository, name)


def in_progress_statuses() -> list[dg.DagsterRunStatus]:
    """The statuses of runs that have not ended."""
    from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

    return list(IN_PROGRESS_RUN_STATUSES)
