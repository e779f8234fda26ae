"""How rows refer to the rows they were made from, for all tables.

The links are derived from the table declarations alone, so a new table is part of the graph as soon as it is declared.
resources/warehouse/lineage_views.py makes the view lineage.edges out of them; `walk` follows them from one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nemotron_assets.table.schema import Table

#: The table whose ids are in the columns `generation_id` and `generation_ids` of other tables.
GENERATIONS = "llm.generations"


@dataclass(frozen=True)
class Link:
    """One column by which rows of `child` refer to rows of other tables: each id in it is the id of a parent row.

    `parents` are the full names of the tables that may hold the parent rows. `sources` names a second list column with
    the parent table of every id; it is None if there is no such column.
    """

    child: Table
    column: str
    parents: tuple[str, ...]
    sources: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether the column holds a list of ids instead of one id."""
        return self.child.column(self.column).dtype.startswith("list[")


def parents_of(table: Table, tables: Iterable[Table]) -> tuple[str, ...]:
    """The full names of the tables whose ids can be in the `parents` column of a table.

    For a table of models these are all tables of models; the column `sources` of each row says which. A row of the
    ledger llm.generations has the same parents as the row that its answer became part of. The ledger's parent tables
    are therefore those of all tables with generated texts.
    """
    tables = list(tables)
    if table.is_model:
        return tuple(t.full_name for t in tables if t.is_model)
    if table.full_name != GENERATIONS:
        return table.parents
    generated = (t for t in tables if {"generation_id", "generation_ids"} & set(t.column_names))
    return tuple(dict.fromkeys(parent for t in generated for parent in t.parents))


def links(tables: Iterable[Table]) -> list[Link]:
    """The links of all tables. Parent tables that are not in `tables` are left out."""
    tables = list(tables)
    declared = {table.full_name for table in tables}
    found = []
    for table in tables:
        parents = tuple(parent for parent in parents_of(table, tables) if parent in declared)
        if "id" not in table.column_names:
            continue
        if parents and "parents" in table.column_names:
            has_sources = (len(parents) > 1 or table.is_model) and "sources" in table.column_names
            found.append(Link(table, "parents", parents, "sources" if has_sources else None))
        if GENERATIONS in declared:
            columns = (column for column in ("generation_id", "generation_ids") if column in table.column_names)
            found += [Link(table, column, (GENERATIONS,)) for column in columns]
        if "model_id" in table.column_names and (models := tuple(t.full_name for t in tables if t.is_model)):
            found.append(Link(table, "model_id", models))
    return found
