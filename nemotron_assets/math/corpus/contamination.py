"""Finds benchmark items in pages: rows of `math.contamination`, with the text in which an item stands.

Worker processes use this module: it does not load Dagster.
"""

from __future__ import annotations

import functools
from pathlib import Path

import polars as pl

from nemotron_assets.contamination.items import Items
from nemotron_assets.math.corpus.tables import CONTAMINATION
from nemotron_assets.recipe.math.corpus import MathContamination
from nemotron_assets.scorers.embeddings import embedding as load_embedding
from nemotron_assets.table.ids import row_id

#: Columns that are read from `math.rendered` and from `web.documents`.
READ = ("id", "snapshot", "url", "text")


def search_pages(
    pages: pl.DataFrame, items: str, embedding: str | None, recipe: MathContamination, source: str
) -> pl.DataFrame:
    """Rows of `math.contamination` for pages (columns `READ`) of the table `source`. `items` is the path of a Parquet
    file with the columns `ITEMS`, `embedding` the folder of an embedding. Without an embedding the rule "cosine" is not
    applied."""
    return contamination_rows(pages, _load_items(items, embedding, recipe), source)


@functools.lru_cache(maxsize=2)
def _load_items(items: str, embedding: str | None, recipe: MathContamination) -> Items:
    """The benchmark items, prepared for the search once per process."""
    embed = load_embedding(Path(embedding), recipe.embedding_tokens) if embedding else None
    return Items(pl.read_parquet(items).iter_rows(named=True), recipe, embed)


def contamination_rows(pages: pl.DataFrame, items: Items, source: str) -> pl.DataFrame:
    """Rows of `math.contamination` for pages (columns `READ`) of the table `source`: one per item found in a page."""
    rows = []
    for page, snapshot, url, text in pages.select(READ).iter_rows():
        for match in items.find(text):
            item = items.rows[match.item]
            rows.append(
                {
                    "id": row_id(CONTAMINATION.full_name, page, item["id"]),
                    "parents": [page],
                    "sources": [source],
                    "snapshot": snapshot,
                    "url": url,
                    "benchmark": item["benchmark"],
                    "item": item["item"],
                    "item_id": item["id"],
                    "removed": match.removed,
                    "rule": match.rule,
                    "field": match.field,
                    "matched": match.matched,
                    "of": match.of,
                    "share": match.share,
                    "cosine": match.cosine,
                    "page_text": match.page_text,
                    "item_text": match.item_text,
                }
            )
    return pl.DataFrame(rows, schema=CONTAMINATION.empty().schema)
