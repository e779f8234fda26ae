"""Finds the tables of SFT data: those of the rooms that begin with the columns `SFT_COLUMNS`.

The recipe names some of them. `check_names` refuses other names before anything runs.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.stages import STAGES
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from nemotron_assets.recipe.sft.root import Sft

_NAMES = tuple(column.name for column in SFT_COLUMNS)


def sft_tables_before(stage: str) -> tuple[Table, ...]:
    """Every table of SFT data of the stages before `stage`, in the order of the stages. So a table that a room declares
    is translated, searched for benchmark items and published without being listed anywhere."""
    rooms = [name for name in STAGES[: STAGES.index(stage)] if name.startswith("sft.")]
    modules = (f"nemotron_assets.{room}.tables" for room in rooms)
    tables = [table for name in modules if find_spec(name) for table in import_module(name).TABLES]
    return tuple(table for table in tables if table.column_names[: len(_NAMES)] == _NAMES)


def check_names(recipe: Sft) -> None:
    """Raises `RecipeError` if the recipe names a table that is not a table of SFT data."""
    from nemotron_assets.recipe.section import RecipeError  # table declarations load this module without the recipe

    named = {
        "sft.multilingual.sources": (recipe.multilingual.sources, "sft.multilingual"),
        "sft.release.unverified": (recipe.release.unverified, "sft.release"),
    }
    for key, (names, stage) in named.items():
        tables = sorted(table.full_name for table in sft_tables_before(stage))
        if unknown := sorted(set(names) - set(tables)):
            raise RecipeError(
                f"{key} names {', '.join(unknown)}, which is not a table of SFT data; the tables are "
                f"{', '.join(tables)}"
            )
