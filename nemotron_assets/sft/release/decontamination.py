"""Finds benchmark items in rows of SFT data: every item, in every table, by common words.

An item is a row of `evaluate.benchmarks`, or a row of the test split of a table of SFT data that has splits of its own.
A row has an item if they share a single n-gram. An n-gram that many items have is an instruction, such as "Choose the
correct option", and does not count. Rows of one task with a test split come from one template: of them only n-grams
count that no other row of the task has.

Worker processes use this module: it does not load Dagster.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.contamination.items import ITEMS, Items
from nemotron_assets.recipe.sft.release import SftContamination
from nemotron_assets.sft.release.splits import TEST, split_of
from nemotron_assets.sft.release.tables import CONTAMINATED
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Rejects
from nemotron_assets.table.scratch import scratch_folder

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Reader

_READ = ("id", "text")
_NGRAMS = 3  # n-grams that are stored as evidence
_TEMPLATE_ROWS = 200  # rows per task that show which words are the task's template
#: The split of rows that only show which n-grams are common.
_COUNTED = ""


def read_items(benchmarks: Reader, with_splits: Sequence[Reader]) -> pl.DataFrame:
    """All items, with the columns `ITEMS`, `split` and `max_items` (see `Items`). `with_splits` are tables of SFT data
    with a column split: the rows of their test split are items, and some other rows are there to be counted."""
    items = benchmarks.scan().select(ITEMS).collect()
    splits = pl.Series(map(split_of, items["benchmark"], items["item"]), dtype=pl.String)
    frames = [items.with_columns(split=splits, max_items=pl.lit(None, pl.Int64))]
    for reader in with_splits:
        rows = reader.scan().select("id", "prompt", "question", "answer", "split")
        is_test = pl.col("split") == TEST
        copies = pl.col("question").is_in(rows.filter(is_test).select("question").collect()["question"].implode())
        others = rows.filter(~is_test & ~copies).filter(pl.col("id").rank("ordinal").over("prompt") <= _TEMPLATE_ROWS)
        frames.append(
            pl.concat([rows.filter(is_test), others.with_columns(split=pl.lit(_COUNTED))])
            .select(
                "id",
                pl.lit(reader.table.full_name).alias("benchmark"),
                pl.col("id").alias("item"),
                "question",
                pl.lit([], pl.List(pl.String)).alias("choices"),
                "answer",
                pl.lit(None, pl.String).alias("entry_point"),
                pl.lit([], pl.List(pl.String)).alias("tests"),
                "split",
                pl.lit(1, pl.Int64).alias("max_items"),
            )
            .collect()
        )
    return pl.concat(frames).sort("id")


def contaminated_parts(
    sources: Sequence[Reader],
    benchmarks: Reader,
    recipe: SftContamination,
    compute: Compute,
    rejects: Rejects,
) -> Iterator[Part]:
    """The parts of `sft.contaminated`, one per table of SFT data. A table is searched again when its rows or the items
    have changed. Rows that cannot be searched go to `rejects`, and are not published."""
    with_splits = [reader for reader in sources if "split" in reader.table.column_names]
    against = " ".join(reader.content() for reader in (benchmarks, *with_splits))
    with scratch_folder("nemotron-items-") as scratch:
        items = scratch / "items.parquet"

        def search(reader: Reader) -> Iterator[pl.DataFrame]:
            if not items.exists():
                read_items(benchmarks, with_splits).write_parquet(items)
            source = reader.table.full_name
            look = functools.partial(search_rows, items=str(items), recipe=recipe, source=source)
            # The rows of a test split are items themselves.
            columns = (*_READ, "split") if reader in with_splits else _READ
            batches = reader.batches(columns, batch_size=recipe.batch_rows)
            yield CONTAMINATED.empty()
            yield from compute.map(batches, look, reject=rejects.add, stage=CONTAMINATED.full_name)

        for reader in sources:
            made_from = content_hash(f"{reader.content()} {against}")
            yield Part(reader.table.full_name, made_from, functools.partial(search, reader))


def search_rows(rows: pl.DataFrame, items: str, recipe: SftContamination, source: str) -> pl.DataFrame:
    """Rows of `sft.contaminated` for rows (id, text, perhaps split) of the table `source`. `items` is the path of a
    Parquet file that `read_items` filled."""
    if "split" in rows.columns:
        rows = rows.filter(pl.col("split") != TEST)
    return contaminated_rows(rows, _load(items, recipe), recipe, source)


@functools.lru_cache(maxsize=2)
def _load(items: str, recipe: SftContamination) -> Items:
    """The items, prepared for the search once per process."""
    return Items(pl.read_parquet(items).iter_rows(named=True), recipe, max_items=recipe.max_items)


def contaminated_rows(rows: pl.DataFrame, items: Items, recipe: SftContamination, source: str) -> pl.DataFrame:
    """Rows of `sft.contaminated` for rows (id, text) of the table `source`: one per item found in a row. `items.rows`
    have the columns `ITEMS` and `split`."""
    found = []
    for row, text in rows.select(_READ).iter_rows():
        for match in items.find(text):
            item = items.rows[match.item]
            if item["split"] == _COUNTED:
                continue
            found.append(
                {
                    "id": row_id(CONTAMINATED.full_name, source, row, item["id"]),
                    "parents": [row],
                    "sources": [source],
                    "source": source,
                    "removed": match.removed and item["split"] in recipe.removed_splits,
                    "benchmark": item["benchmark"],
                    "item": item["item"],
                    "item_id": item["id"],
                    "split": item["split"],
                    "rule": match.rule,
                    "field": match.field,
                    "matched": match.matched,
                    "of": match.of,
                    "share": match.share,
                    "ngrams": items.matched_words(text, match, _NGRAMS),
                    "row_text": match.page_text,
                    "item_text": match.item_text,
                }
            )
    return pl.DataFrame(found, schema=CONTAMINATED.empty().schema)
