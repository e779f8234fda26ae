"""The list of stages, from which the definitions, the list of tables and the partitions follow.

A stage is a package with modules named `assets`, `checks`, `tables`, `automation` or `partitions`. A large stage has
subpackages of the same form. This module holds names only; it imports a stage when a function below needs it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

    from nemotron_assets.table.schema import Table

#: The stages in the order of the data, from the crawl to the scores.
STAGES = (
    "snapshots", "models",
    "web", "web.dedup", "web.quality", "web.synthetic", "web.release",
    "math", "math.corpus",
    "code.sources", "code.licences", "code.quality", "code.qa",
    "sft.inputs", "sft.procedural", "sft.stem", "sft.academic", "sft.reasoning", "sft.instructions",
    "sft.multilingual", "sft.release",
    "blend", "blend.sample", "pretrain",
    "align.conversations", "align.tuning", "align.reinforcement", "align.preference", "align.merging",
    "compress", "compress.distilling",
    "evaluate.items", "evaluate", "evaluate.suite", "evaluate.results", "evaluate.throughput", "evaluate.report",
    "lake",
    "lake.removals", "lake.thresholds",
)  # fmt: skip

#: Modules that declare tables but belong to no stage: all stages write the generation ledger and the quarantine, and
#: `nemotron forget` writes what it removed.
SHARED_TABLES = ("resources.generations", "resources.lakehouse.quarantine", "nemotron_assets.rights.tables")


def offered(name: str, module: str) -> list[Any]:
    """The items of the list `name` in the module `module` of all stages: offered("ASSETS", "assets") are the assets."""
    return [item for found in _modules(module) for item in getattr(found, name, ())]


def all_tables() -> dict[str, Table]:
    """Every declared table by its full name ("web.documents")."""
    shared = [table for module in SHARED_TABLES for table in import_module(module).TABLES]
    return {table.full_name: table for table in (*offered("TABLES", "tables"), *shared)}


def partitions_of(table: Table) -> dg.PartitionsDefinition | None:
    """The Dagster partitions of a table, or None for a table without partitions.

    They are declared in the `partitions` module of a stage, as PARTITIONS = {partition column: definition}. Raises
    `ValueError` for a partition column that no stage declares.
    """
    if table.partition_by is None:
        return None
    declared = {column: defined for module in _modules("partitions") for column, defined in module.PARTITIONS.items()}
    if table.partition_by not in declared:
        raise ValueError(
            f"{table.full_name} is partitioned by {table.partition_by!r}, but stages declare partitions only for "
            f"{', '.join(sorted(declared))}: add it to PARTITIONS in the `partitions` module of a stage"
        )
    return declared[table.partition_by]


def module_beside(table: Table, name: str) -> Any:
    """The module `name` of the stage that declares `table`. Raises `KeyError` if there is no such module."""
    for stage in STAGES:
        tables, wanted = f"nemotron_assets.{stage}.tables", f"nemotron_assets.{stage}.{name}"
        if find_spec(tables) and table in import_module(tables).TABLES and find_spec(wanted):
            return import_module(wanted)
    raise KeyError(f"no stage declares {table.full_name} and has a module {name!r}")


@functools.cache
def _modules(name: str) -> tuple[Any, ...]:
    """The modules of that name of all stages. Looking for them takes milliseconds, and many assets ask."""
    names = (f"nemotron_assets.{stage}.{name}" for stage in STAGES)
    with _without_collections():
        return tuple(import_module(module) for module in names if find_spec(module))


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Python looks for garbage again and again while thousands of definitions are made, and finds nothing: this takes a
    tenth of the time to load them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
