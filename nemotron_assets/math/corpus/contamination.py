"""Rows of `math.contamination`: benchmark items found in pages, and the text they stand in."""

from __future__ import annotations

import functools
from pathlib import Path

import polars as pl

from nemotron_assets.contamination.items import Items
from nemotron_assets.math.corpus.tables import CONTAMINATION
from nemotron_assets.recipe.math.corpus import MathContamination
from nemotron_assets.scorers.embeddings import embedding as load_embedding
from nemotron_assets.table.ids import row_id

#: What is read of `math.rendered` and of `web.documents`.
READ = ("id", "snapshot", "url", "text")


def contaminated(
    pages: pl.DataFrame, items: str, embedding: str | None, recipe: MathContamination, source: str
) -> pl.DataFrame:
    """Rows of `math.contamination` for pages (`READ`) of the table `source`. `items` is a Parquet file of `ITEMS`,
    `embedding` the folder of an embedding; without one the rule cosine is left out."""
    ready = _ready(items, embedding, recipe)
    return found(pages, ready, source)


@functools.lru_cache(maxsize=2)
def _ready(items: str, embedding: str | None, recipe: MathContamination) -> Items:
    """The items, made ready once per process."""
    embed = load_embedding(Path(embedding), recipe.embedding_tokens) if embedding else None
    return Items(pl.read_parquet(items).iter_rows(named=True), recipe, embed)


def found(pages: pl.DataFrame, items: Items, source: str) -> pl.DataFrame:
    """Rows of `math.contamination` for pages (`READ`) of the table `source`."""
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
