"""Rows of `math.contamination`: each names the page, the benchmark item, and the text in which the item stands."""

from __future__ import annotations

import json

import polars as pl

from nemotron_assets.contamination.items import Items
from nemotron_assets.math.corpus.audit import _TRUTH as TRUTH
from nemotron_assets.math.corpus.audit import planted
from nemotron_assets.math.corpus.contamination import contamination_rows
from nemotron_assets.recipe import load_recipe

QUESTION = (
    "A baker makes 24 rolls in the morning and twice as many in the afternoon; she sells a third of all of them "
    "before noon and gives the rest to a school. How many rolls does the school get?"
)
ITEM = {"id": "i0", "benchmark": "gsm8k", "item": "gsm8k-0", "question": QUESTION, "choices": [], "entry_point": None,
        "tests": [], "answer": "In the afternoon she makes 48 rolls, so the school gets 72 - 24 = 48."}  # fmt: skip


def test_rows_name_the_page_the_item_and_the_text():
    items = Items([ITEM], load_recipe("laptop").math.corpus.contamination)
    pages = pl.DataFrame({"id": ["p"], "snapshot": ["S"], "url": ["u"], "text": [f"x {QUESTION}"]})
    (row,) = contamination_rows(pages, items, "math.rendered").to_dicts()
    assert row["parents"] == ["p"] and row["sources"] == ["math.rendered"] and row["item"] == "gsm8k-0"
    assert row["removed"] and row["share"] == 1.0 and row["page_text"].startswith("A baker")


def test_nothing_is_expected_of_planted_pages_that_were_not_read():
    snapshot = "CC-MAIN-2025-08"
    none = pl.DataFrame(schema={"url": pl.String, "item": pl.String})
    everywhere = [json.loads(line) for line in TRUTH.read_text().splitlines()]
    urls = [row["url"] for row in everywhere if row["snapshot"] == snapshot]
    items = [row["item"] for row in everywhere if row["snapshot"] == snapshot and row["planted"]]
    assert planted(none, pl.Series(urls), snapshot)["missed"] == items and items
    assert planted(none, pl.Series(["https://elsewhere.example/"]), snapshot)["missed"] == []
