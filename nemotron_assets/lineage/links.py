"""How rows point to the rows they were made from, over all tables.

The links follow from the Table declarations alone, so a new table is part of the graph as soon as it is declared. The
views over them are in resources/warehouse/lineage_views.py, and `walk` follows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nemotron_assets.table.schema import Table

#: The ledger that a row's `generation_id`, or several `generation_ids`, points into.
GENERATIONS = "llm.generations"


@dataclass(frozen=True)
class Link:
    """How rows of `child` point to rows of other tables: by the ids in `column`, found in one of `parents`.

    `sources` names a list column beside `column` that gives the parent table of every id.
    """

    child: Table
    column: str
    parents: tuple[str, ...]
    sources: str | None = None

    @property
    def is_list(self) -> bool:
        return self.child.column(self.column).dtype.startswith("list[")


def parents_of(table: Table, tables: Iterable[Table]) -> tuple[str, ...]:
    """The tables whose ids stand in the `parents` of a table.

    A model can be made from models of any table; each row names them. A request in the ledger of generations is made
    from the same rows as the row that its answer ends up in, so the ledger has the parents of all tables that a
    language model wrote.
    """
    tables = list(tables)
    if table.is_model:
        return tuple(t.full_name for t in tables if t.is_model)
    if table.full_name != GENERATIONS:
        return table.parents
    written = (t for t in tables if {"generation_id", "generation_ids"} & set(t.column_names))
    return tuple(dict.fromkeys(parent for t in written for parent in t.parents))


def links(tables: Iterable[Table]) -> list[Link]:
    """Every way in which rows point to the rows they were made from."""
    tables = list(tables)
    declared = {table.full_name for table in tables}
    found = []
    for table in tables:
        parents = tuple(parent for parent in parents_of(table, tables) if parent in declared)
        if "id" not in table.column_names:
            continue
        if parents and "parents" in table.column_names:
            several = (len(parents) > 1 or table.is_model) and "sources" in table.column_names
            found.append(Link(table, "parents", parents, "sources" if several else None))
        if GENERATIONS in declared:
            asked = (column for column in ("generation_id", "generation_ids") if column in table.column_names)
            found += [Link(table, column, (GENERATIONS,)) for column in asked]
        if "model_id" in table.column_names and (models := tuple(t.full_name for t in tables if t.is_model)):
            found.append(Link(table, "model_id", models))
    return found
