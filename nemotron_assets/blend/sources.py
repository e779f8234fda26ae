"""The tables that the blend is made from: those of `nemotron_assets/recipe/categories.py` that the project declares."""

from __future__ import annotations

from nemotron_assets.recipe.categories import CONTAMINATED, SOURCES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

__all__ = ["SOURCES", "asset_inputs", "source_tables"]


def source_tables() -> dict[str, Table]:
    """{full name: declaration} of the source tables."""
    tables = all_tables()
    return {name: tables[name] for name in SOURCES if name in tables}


def asset_inputs() -> dict[str, Table]:
    """The source tables as inputs of an asset, and the table of their rows with benchmark items. The name of an input
    is that of its table without the schema."""
    return {table.name: table for table in (*source_tables().values(), all_tables()[CONTAMINATED])}
