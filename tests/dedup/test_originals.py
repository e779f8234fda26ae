"""A text that a model made from another text never takes the other one's place, however long it is: the two are never
compared. Deduplication compares the rows of one table, and no row of the table is made from another row of it."""

from __future__ import annotations

import pytest

from nemotron_assets.stages import all_tables

TABLES = all_tables()
#: Tables that say which texts give way to which others.
GIVES_WAY = [name for name, table in TABLES.items() if "duplicate_of" in table.column_names] + ["web.repeated_spans"]


def ancestors(name: str) -> set[str]:
    """The tables that the rows of a table are made from, directly or through others."""
    found, left = set(), [*TABLES[name].parents]
    while left:
        if (parent := left.pop()) not in found:
            found.add(parent)
            left += TABLES[parent].parents
    return found


def written(name: str) -> bool:
    """Whether a model wrote the rows of a table."""
    return bool({"generation_id", "generation_ids"} & set(TABLES[name].column_names))


def test_there_are_tables_to_look_at():
    assert set(GIVES_WAY) >= {"web.duplicates", "math.duplicates", "code.duplicates", "web.repeated_spans"}
    assert written("web.rephrased") and "web.documents" in ancestors("web.translated_diverse_qa")


@pytest.mark.parametrize("name", GIVES_WAY)
def test_only_texts_of_one_kind_give_way_to_each_other(name):
    (compared,) = TABLES[name].parents
    above = ancestors(compared)
    assert compared not in above, f"rows of {compared} are made from other rows of it, and could drive them out"
    assert not [table for table in above if written(table)], f"{compared} mixes originals with texts made from them"
