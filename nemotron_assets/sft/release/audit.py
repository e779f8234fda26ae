"""Counts faults in the release: rows that may not be published, and benchmark items that are left in it.

The n-grams are counted once more and in another way than the search counts them: as texts in sets, without an index.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from nemotron_assets.contamination.words import words
from nemotron_assets.recipe.sft.release import SftContamination, SftRelease
from nemotron_assets.sft.release.selecting import statuses
from nemotron_assets.sft.release.tables import CONFIGS
from nemotron_assets.table.buckets import distinct, summed

_CALCULATION = re.compile(r"<<[^<>]*>>|####")  # GSM8K's notes for a calculator: <<24*2=48>>


def invalid_rows(release: pl.LazyFrame, recipe: SftRelease) -> dict[str, int]:
    """The number of rows with each fault: an id that another row has, a config that is not published, a status that is
    not used, an empty text, not exactly one parent in the row's table."""
    takes_unverified = pl.col("source").is_in(recipe.unverified)
    unusable = ~pl.col("status").is_in(list(statuses("", recipe)))
    lists = (pl.col("parents").list.len() != 1) | (pl.col("sources").list.first() != pl.col("source"))
    counts = release.select(
        doubled=pl.len() - pl.lit(distinct(release)),
        unknown_config=(~pl.col("subset").is_in(list(CONFIGS.values()))).sum(),
        failed=(pl.col("status") == "failed").sum(),
        unusable_status=(unusable & ~((pl.col("status") == "unverified") & takes_unverified)).sum(),
        empty_text=(pl.col("text").str.strip_chars() == "").sum(),
        wrong_parents=(lists | pl.col("sources").list.first().is_null()).sum(),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def untraceable_rows(release: pl.LazyFrame, tables: Mapping[str, pl.LazyFrame]) -> dict[str, int]:
    """The number of rows whose parent is not in their table, and of those whose parent has another status or text."""
    counts: Counter[str] = Counter(no_parent=0, other_status=0, other_text=0)
    text = pl.col("text").hash()  # texts are compared by a hash of 64 bits, so that the join holds no texts
    rows = release.select("source", "status", text=text, parent=pl.col("parents").list.first())

    def query(rows: pl.LazyFrame, parents: pl.LazyFrame) -> pl.LazyFrame:
        return rows.join(parents, on="parent", how="left").select(
            no_parent=pl.col("parent_status").is_null().sum(),
            other_status=(pl.col("status") != pl.col("parent_status")).sum(),
            other_text=(pl.col("text") != pl.col("parent_text")).sum(),
        )

    for name, table in tables.items():
        parents = table.select(parent="id", parent_status="status", parent_text=text)
        own = rows.filter(pl.col("source") == name)
        counts.update(summed(query, (own, "parent"), (parents, "parent")))
    known = rows.filter(~pl.col("source").is_in(list(tables))).select(pl.len()).collect().item()
    counts["no_parent"] += known
    return dict(counts)


def items_left(
    texts: Iterable[tuple[str, str]], items: Iterable[Mapping[str, Any]], recipe: SftContamination
) -> dict[str, str]:
    """{id of a row: the item and the words that are left in it} for (id, text) of published rows. `items` have the
    columns of `read_items`; only the recipe's `removed_splits` may not be in a row."""
    n, of_items, names, limits = recipe.ngram, Counter(), {}, {}
    for item in items:
        grams = set(itertools.chain.from_iterable(_ngrams(text, n) for text in _texts(item, n)))
        of_items.update(grams)
        if item["max_items"]:
            limits.update(dict.fromkeys(grams, item["max_items"]))
        if item["split"] in recipe.removed_splits:
            names.update(dict.fromkeys(grams, f"{item['benchmark']} {item['item']}"))
    counted = {gram for gram in names if of_items[gram] <= limits.get(gram, recipe.max_items)}
    left = {}
    for id_, text in texts:
        if gram := next((gram for gram in _ngrams(text, n) if gram in counted), None):
            left[id_] = f"{names[gram]}: {gram}"
    return left


def _texts(item: Mapping[str, Any], n: int) -> Sequence[str]:
    """The texts of an item that may not be in a row: the question, with its choices if it is shorter than an n-gram,
    and a worked answer. The code of a programming task has common n-grams, and is not searched for."""
    choices = item["choices"] or []
    short = len(words(item["question"])) < n
    question = "\n".join([item["question"], *choices]) if choices and short else item["question"]
    is_free = not (choices or item["entry_point"] or item["tests"])
    return (question, _CALCULATION.sub(" ", item["answer"])) if is_free else (question,)


def _ngrams(text: str, n: int) -> Iterator[str]:
    """Every run of n words of a text, as one text."""
    found = words(text).folded
    return (" ".join(found[start : start + n]) for start in range(len(found) - n + 1))


def unknown_entries(
    found: pl.LazyFrame, tables: Mapping[str, pl.LazyFrame], items: Sequence[pl.LazyFrame]
) -> dict[str, int]:
    """The number of entries of `sft.contaminated` with each fault: an id that another entry has, a row or an item that
    does not exist. `tables` and `items` have the column id."""
    none = pl.LazyFrame(schema={"id": pl.String, "source": pl.String})
    rows = pl.concat([none, *(ids.select("id", source=pl.lit(name)) for name, ids in tables.items())])
    entries = found.select("id", "source", "item_id", row=pl.col("parents").list.first())
    counts = {
        "unknown_rows": entries.join(rows, left_on=["source", "row"], right_on=["source", "id"], how="anti"),
        "unknown_items": entries.join(pl.concat(items), left_on="item_id", right_on="id", how="anti"),
    }
    doubled = entries.select(pl.len()).collect(engine="streaming").item() - distinct(entries)
    return {"doubled": doubled} | {
        name: frame.select(pl.len()).collect(engine="streaming").item() for name, frame in counts.items()
    }
