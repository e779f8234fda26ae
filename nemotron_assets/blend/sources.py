"""The tables the blend is made from, as the recipe lists them (`nemotron_assets/recipe/blend.py`)."""

from __future__ import annotations

from nemotron_assets.recipe.blend import SOURCES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

__all__ = ["SOURCES", "asset_inputs", "source_tables"]


def source_tables() -> dict[str, Table]:
    """The declarations of the sources, by full name."""
    tables = all_tables()
    return {name: tables[name] for name in SOURCES}


def asset_inputs() -> dict[str, Table]:
    """The sources as inputs of an asset, named like the tables without their schema."""
    return {table.name: table for table in source_tables().values()}
