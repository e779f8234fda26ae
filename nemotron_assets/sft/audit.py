"""Counts the unsound rows of an SFT table, for the blocking check that every one of them has."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.recipe.sft.release import STATUSES
from nemotron_assets.sft.formats import THINK_CLOSE, THINK_OPEN, text_of
from nemotron_assets.table.buckets import distinct, distinct_absent

_READ = ("id", "parents", "sources", "subset", "category", "question", "reasoning", "answer", "text", "status",
         "verified_by", "status_detail", "generator", "generation_ids", "origin_hash", "tokens")  # fmt: skip
_CATEGORIES = ("general-sft", "stem-sft", "code-sft")
_PROVEN = ("verified", "majority", "judged")
_BATCH = 1_024


def faults(rows: pl.LazyFrame, known: Mapping[str, pl.LazyFrame], *, written_by_model: bool = True) -> dict[str, int]:
    """{kind of fault: number of rows} for the rows of an SFT table, with the number of all `rows`.

    `known` has the rows (at least the column `id`) of every table that a row may come from, by the table's full name.
    """
    found = {"rows": 0, "repeated_ids": 0, "wrong_text": 0, "wrong_status": 0, "without_proof": 0, "wrong_category": 0,
             "stray_tags": 0, "without_generation": 0, "parents_without_source": 0, "unknown_sources": 0}  # fmt: skip
    for frame in rows.select(_READ).collect_batches(chunk_size=_BATCH, engine="streaming"):
        for row in frame.iter_rows(named=True):
            found["rows"] += 1
            text = text_of(row["subset"], row["question"], row["answer"], row["reasoning"])
            found["wrong_text"] += row["text"] != text or not row["question"].strip() or not row["answer"].strip()
            proven = row["status"] in _PROVEN
            found["wrong_status"] += row["status"] not in STATUSES
            found["without_proof"] += proven != (row["verified_by"] is not None)
            found["without_proof"] += row["status"] == "failed" and not row["status_detail"]
            found["wrong_category"] += row["category"] not in _CATEGORIES
            parts = (row["question"], row["reasoning"] or "", row["answer"])
            found["stray_tags"] += any(tag in part for part in parts for tag in (THINK_OPEN, THINK_CLOSE))
            found["without_generation"] += written_by_model and not row["generation_ids"]
            found["parents_without_source"] += written_by_model and not row["parents"]
            found["parents_without_source"] += len(row["parents"]) != len(row["sources"])
            found["unknown_sources"] += sum(source not in known for source in row["sources"])
    found["repeated_ids"] = found["rows"] - distinct(rows)
    named = rows.select(parent="parents", source="sources").filter(
        pl.col("parent").list.len() == pl.col("source").list.len()
    )
    named = named.explode("parent", "source")
    found["orphans"] = sum(
        distinct_absent(named.filter(pl.col("source") == name), "parent", known[name])
        for name in named.select(pl.col("source").unique()).collect(engine="streaming")["source"]
        if name in known
    )
    return found


def passed(counts: Mapping[str, int]) -> bool:
    """Whether the counts of `faults` are all zero, the number of rows aside."""
    return not any(number for name, number in counts.items() if name != "rows")
