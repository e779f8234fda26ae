"""Counts the unsound rows of SFT data in other languages."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.generation.translation.protect import same_numbers
from nemotron_assets.recipe.sft.multilingual import Multilingual

_FRAME = 512


def translation_faults(rows: pl.LazyFrame, sources: Mapping[str, pl.LazyFrame], recipe: Multilingual) -> dict[str, int]:
    """{kind of fault: number of rows} of `sft.multilingual_sft`. `sources` are the tables that its rows come from."""
    found = {"wrong_language": 0, "claims_a_proof": 0, "wrong_numbers": 0}
    columns = rows.select(
        "language", "status", "question", "answer", row=pl.col("parents").list.first(),
        table=pl.col("sources").list.first(),
    )  # fmt: skip
    for name, source in sources.items():
        english = source.select(row="id", asked="question", replied="answer")
        mine = columns.filter(pl.col("table") == name).join(english, on="row", how="left")
        for frame in mine.collect_batches(chunk_size=_FRAME, engine="streaming"):
            for row in frame.iter_rows(named=True):
                found["wrong_language"] += row["language"] not in recipe.translation.languages
                found["claims_a_proof"] += row["status"] != "unverified"
                texts = (row["asked"] or "", row["question"]), (row["replied"] or "", row["answer"])
                found["wrong_numbers"] += not all(same_numbers(source, text) for source, text in texts)
    return found
