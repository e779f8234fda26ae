"""The list of stages. Everything that needs to know them all derives from it: definitions, tables, partitions.

A stage is a package with `assets`, `checks`, `tables`, `automation` or `partitions` modules; a large one has rooms,
which are packages of the same form. Names only: a stage is imported when somebody asks for what it offers.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

    from nemotron_assets.table.schema import Table

#: In the order of the data: from the crawl to the scores.
STAGES = (
    "snapshots", "models",
    "web", "web.dedup", "web.quality", "web.synthetic", "web.release",
    "math", "math.corpus",
    "code.sources", "code.licences", "code.quality", "code.qa",
    "blend", "pretrain", "evaluate.items", "evaluate", "lake",
)  # fmt: skip

#: Modules that declare tables without being a stage: the generation ledger and the quarantine are written by all.
SHARED_TABLES = ("resources.generations", "resources.lakehouse.quarantine")


def offered(name: str, module: str) -> list[Any]:
    """What all stages offer as the list `name` in their module `module`: offered("ASSETS", "assets")."""
    return [item for found in _modules(module) for item in getattr(found, name, ())]


def all_tables() -> dict[str, Table]:
    """Every declared table by full name."""
    shared = [table for module in SHARED_TABLES for table in import_module(module).TABLES]
    return {table.full_name: table for table in (*offered("TABLES", "tables"), *shared)}


def partitions_of(table: Table) -> dg.PartitionsDefinition | None:
    """How a table is partitioned in Dagster; the stage that makes the partitions says so in its `partitions` module.
    Raises `ValueError` for a partition column that no stage has partitions for."""
    if table.partition_by is None:
        return None
    known = {name: made for found in _modules("partitions") for name, made in found.PARTITIONS.items()}
    if table.partition_by not in known:
        raise ValueError(f"{table.full_name} is partitioned by {table.partition_by!r}; stages have {sorted(known)}")
    return known[table.partition_by]


def _modules(name: str) -> Iterator[Any]:
    for stage in STAGES:
        module = f"nemotron_assets.{stage}.{name}"
        if find_spec(module):
            yield import_module(module)
