"""Finds the tables of SFT data: those of the rooms that begin with the columns `SFT_COLUMNS`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.stages import STAGES
from nemotron_assets.table.schema import Table

_NAMES = tuple(column.name for column in SFT_COLUMNS)


def sft_tables_before(stage: str) -> tuple[Table, ...]:
    """Every table of SFT data of the stages before `stage`, in the order of the stages. So a table that a room declares
    is translated, searched for benchmark items and published without being listed anywhere."""
    rooms = [name for name in STAGES[: STAGES.index(stage)] if name.startswith("sft.")]
    modules = (f"nemotron_assets.{room}.tables" for room in rooms)
    tables = [table for name in modules if find_spec(name) for table in import_module(name).TABLES]
    return tuple(table for table in tables if table.column_names[: len(_NAMES)] == _NAMES)
