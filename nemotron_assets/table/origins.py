"""Says which columns of other tables a column is made of: for the column lineage in the Dagster UI.

It follows from the declarations. The ids of a row come from the ids of its parents. A column that a parent table has
too is carried over or made of the parent's column: `url`, `text`. A table declares the rest in `origins`.
"""

from __future__ import annotations

from collections.abc import Mapping

from nemotron_assets.table.schema import Table

#: Columns that are made by the run or set by the recipe, not read from a table.
_OF_THE_RUN = {
    "at", "generation_id", "generation_ids", "input_versions", "prompt", "recipe_hash", "run_id", "sources", "state",
    "version",
}  # fmt: skip
#: Columns that describe the row's own content. They are not those of a parent whose content is another one.
_OF_THE_CONTENT = {"content_hash", "characters"}


def column_origins(table: Table, tables: Mapping[str, Table]) -> dict[str, tuple[str, ...]]:
    """The origins of every column that has any, by the column's name: {"text": ("web.documents.text",)}."""
    found = {name: _origins(table, name, tables) for name in table.column_names}
    return {name: origins for name, origins in found.items() if origins}


def _origins(table: Table, name: str, tables: Mapping[str, Table]) -> tuple[str, ...]:
    if name in table.origins:
        return table.origins[name]
    if name in _OF_THE_RUN:
        return ()
    parents = [tables[parent] for parent in table.parents]
    if name in ("id", "parents"):
        return tuple(f"{parent.full_name}.id" for parent in parents)
    rest = table.origins.get("*", ())
    if rest and name in _OF_THE_CONTENT:
        return rest
    return tuple(f"{parent.full_name}.{name}" for parent in parents if name in parent.column_names) or rest
