"""The tables that the blend is made from: those of `nemotron_assets/recipe/categories.py` that the project declares."""

from __future__ import annotations

import graphlib

from nemotron_assets.lineage.links import parents_of
from nemotron_assets.recipe.categories import CONTAMINATED, SOURCES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

__all__ = ["SOURCES", "asset_inputs", "made_from", "source_tables"]

#: {table of texts: the table that says which of these texts are duplicates of others}.
DUPLICATES = {"web.documents": "web.duplicates", "math.cleaned": "math.duplicates"}


def source_tables() -> dict[str, Table]:
    """{full name: declaration} of the source tables."""
    tables = all_tables()
    return {name: tables[name] for name in SOURCES if name in tables}


def made_from() -> list[str]:
    """The full names of the source tables and of all tables that they are made from, parents before children."""
    tables, graph, waiting = all_tables(), {}, list(source_tables())
    while waiting:
        name = waiting.pop()
        if name not in graph:
            graph[name] = [parent for parent in parents_of(tables[name], tables.values()) if parent in tables]
            waiting += graph[name]
    return list(graphlib.TopologicalSorter(graph).static_order())


def asset_inputs() -> dict[str, Table]:
    """The source tables as inputs of an asset, and the table of their rows with benchmark items. The name of an input
    is that of its table without the schema."""
    return {table.name: table for table in (*source_tables().values(), all_tables()[CONTAMINATED])}
