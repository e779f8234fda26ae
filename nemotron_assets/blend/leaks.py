"""Looks for held-out pages in the blend along the links of the lineage, whatever hashes the rows carry.

The blend leaves out rows by a hash that they carry (held_out.py). A row with a wrong hash would bring a held-out page
into the training data. So the check starts from the held-out pages themselves, and follows everything made from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from nemotron_assets.blend.sources import DUPLICATES
from nemotron_assets.blend.tables import TOKEN_SHARDS
from nemotron_assets.held_out import ADDRESS, is_held_out

#: The tables whose rows have an address and no parents.
ROOTS = ("snapshots.pages", "sft.seeds")
_DOCUMENTS, _MATHS = "web.documents", "math.cleaned"


def leaks(scans: Mapping[str, pl.LazyFrame], order: Iterable[str], held_out_share: float) -> dict[str, int]:
    """{table: number of its rows that are trained on, although they are, or were written from, a held-out page}.

    `scans` are tables by name: the shards, those that they are made from, in the `order` parents before children, and
    the duplicates of web documents and of pages of mathematics. A page is held out if its address is, and so is a page
    whose document was dropped as a duplicate of a held-out one. What was kept in the place of a held-out page of
    mathematics has its text, too. Each table is streamed once or twice; the ids of everything that was made from
    held-out pages must fit into memory.
    """
    reached = pl.DataFrame(schema={"id": pl.String})

    def made_from(rows: pl.LazyFrame, column: str, found: str) -> pl.DataFrame:
        made = rows.join(reached.lazy().select(pl.col("id").alias(column)), on=column, how="semi")
        return made.select(id=found).unique().collect(engine="streaming")

    # Documents come before other tables: they say which pages are duplicates of held-out ones.
    for name in sorted(order, key=lambda name: (*ROOTS, _DOCUMENTS, name).index(name)):
        rows = scans[name]
        if name in ROOTS:
            found = rows.filter(is_held_out(held_out_share, ADDRESS)).select("id").collect(engine="streaming")
        elif "parents" in rows.collect_schema():
            found = made_from(_by_parent(rows), "parent", "id")
        else:  # its rows are no texts of pages: code repositories, procedural problems
            continue
        reached = pl.concat([reached, found])
        if name == _DOCUMENTS:
            dropped = made_from(_by_parent(scans[DUPLICATES[_DOCUMENTS]], "duplicate_of"), "duplicate_of", "parent")
            pages = _by_parent(rows).join(dropped.lazy(), on="id", how="semi").select(id="parent")
            reached = pl.concat([reached, pages.collect(engine="streaming")])
        if name == _MATHS:
            kept = made_from(_by_parent(scans[DUPLICATES[_MATHS]], "duplicate_of"), "parent", "duplicate_of")
            reached = pl.concat([reached, kept])
    shards = scans[TOKEN_SHARDS.full_name].select("parents", "sources").explode("parents", "sources")
    trained_on = shards.join(reached.lazy().select(parents="id"), on="parents", how="semi")
    counts = trained_on.group_by("sources").agg(pl.col("parents").n_unique()).collect(engine="streaming")
    return dict(counts.sort("sources").iter_rows())


def _by_parent(rows: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """(id, parent, columns): one row per parent."""
    return rows.select("id", *columns, parent="parents").explode("parent")
