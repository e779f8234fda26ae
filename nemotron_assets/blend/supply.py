"""Counts what the lake has of every category: data sets, documents, tokens and sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.recipe.blend import Blend
from nemotron_assets.recipe.categories import CATEGORIES, SYNTHETIC, published_tokens, table_of
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    from collections.abc import Collection

TABLE = "blend.categories"


def category_rows(
    shards: pl.LazyFrame, sequences: pl.LazyFrame, recipe: Blend, tables: Collection[str]
) -> pl.DataFrame:
    """Rows of `blend.categories`. `shards` and `sequences` are the tables of these names; `tables` are the full names
    of the tables that the lake has."""
    documents = {
        name: (count, tokens)
        for name, count, tokens in shards.group_by("data_set")
        .agg(pl.len(), pl.col("length").sum())
        .collect(engine="streaming")
        .iter_rows()
        if name not in recipe.left_out
    }
    packed = {
        (name, length): count
        for name, length, count in sequences.group_by("data_set", "part")
        .agg(pl.len())
        .collect(engine="streaming")
        .iter_rows()
        if name not in recipe.left_out
    }
    lengths = {"sequences": recipe.sequence_length, "long_sequences": recipe.long_context.sequence_length}
    rows = []
    for name, category in CATEGORIES.items():
        data_sets = [data_set for data_set in category.data_sets if table_of(data_set) in tables]
        for data_set in data_sets or [None]:
            count, tokens = documents.get(data_set, (0, 0))
            rows.append(
                {
                    "id": row_id(TABLE, name, data_set),
                    "category": name,
                    "meaning": category.meaning,
                    "data_set": data_set,
                    "status": _status(data_set, count, recipe),
                    "synthetic": None if data_set is None else data_set in SYNTHETIC,
                    "documents": count,
                    "tokens": tokens,
                    **{column: packed.get((data_set, str(length)), 0) for column, length in lengths.items()},
                    "published_kinds": list(category.published),
                    "published_tokens": published_tokens(name),
                }
            )
    schema = {"data_set": pl.String, "synthetic": pl.Boolean, "published_kinds": pl.List(pl.String)}
    schema |= {"published_tokens": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=schema, infer_schema_length=None)


def _status(data_set: str | None, documents: int, recipe: Blend) -> str:
    """The column `status` of a data set; None: the category has no data set in this lake."""
    if data_set in recipe.left_out:
        return "left out"
    return "used" if documents else "missing" if data_set is None else "empty"


def facts(rows: pl.DataFrame) -> dict[str, Any]:
    """What the UI shows of the categories: tokens by data set, beside NVIDIA's, and what is missing."""
    from nemotron_assets.plots import bars, markdown

    by_category = rows.group_by("category", maintain_order=True).agg(pl.col("tokens").sum())
    lines = ["| category | data set | status | documents | tokens | tokens of NVIDIA |", "|---" * 6 + "|"]
    for row in rows.iter_rows(named=True):
        published = "" if row["published_tokens"] is None else f"{row['published_tokens']:,}"
        cells = (row["category"], row["data_set"] or "", row["status"], f"{row['documents']:,}", f"{row['tokens']:,}")
        lines.append(f"| {' | '.join(cells)} | {published} |")
    missing = rows.filter(pl.col("tokens").sum().over("category") == 0)["category"].unique(maintain_order=True)
    return {
        "tokens": bars(dict(by_category.iter_rows()), "tokens of each category"),
        "data_sets": markdown("\n".join(lines)),
        "missing": ", ".join(missing) or "none",
    }
