"""Counts the unsound rows of academic documents, of questions about them, and of long documents with questions."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe.sft.academic import AcademicDocuments, LongdocQa
from nemotron_assets.sft.academic.longdoc import with_pairs

_FRAME = 64


def document_faults(
    rows: pl.LazyFrame, sources: Mapping[str, pl.LazyFrame], recipe: AcademicDocuments, held_out_share: float
) -> dict[str, int]:
    """{kind of fault: number of rows} of `sft.academic_documents`. `sources` are the source tables, by name."""
    unwanted = ~(pl.col("subject").is_in(list(recipe.subjects)) & pl.col("level").is_in(list(recipe.levels)))
    counts = rows.select(
        repeated_ids=pl.len() - pl.col("id").n_unique(),
        unwanted=(unwanted | (pl.col("quality") < recipe.min_quality)).sum(),
        held_out=is_held_out(held_out_share, "origin_hash").sum(),
        wrong_length=(pl.col("text").str.len_chars() != pl.col("characters")).sum(),
    )
    found = counts.collect(engine="streaming").row(0, named=True)
    found["orphans"] = 0
    for name, source in sources.items():
        mine = rows.filter(pl.col("sources").list.first() == name)
        mine = mine.select("text", id=pl.col("parents").list.first())
        lost = mine.join(source.select("id", "text"), on=["id", "text"], how="anti")
        found["orphans"] += lost.select(pl.len()).collect(engine="streaming").item()
    return found


def question_faults(rows: pl.LazyFrame) -> dict[str, int]:
    """{kind of fault: number of rows} of `sft.academic_qa` that other tables cannot have."""
    options, is_choice = pl.col("options"), pl.col("kind") == "multiple_choice"
    unlike = (options.list.len() != 4) | (options.list.n_unique() != 4)
    foreign = ~options.list.contains(pl.col("final_answer"))
    counts = rows.select(
        wrong_options=pl.when(is_choice).then(unlike | foreign).otherwise(options.list.len() > 0).sum(),
        wrong_final_answer=(~pl.col("answer").str.ends_with(pl.col("final_answer"))).sum(),
        wrong_snippets=(pl.col("snippets").list.len() != pl.col("similarities").list.len()).sum(),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def longdoc_faults(rows: pl.LazyFrame, documents: pl.LazyFrame, recipe: LongdocQa) -> dict[str, int]:
    """{kind of fault: number of rows} of `sft.longdoc_qa` that other tables cannot have."""
    found = {"wrong_text": 0, "wrong_length": 0, "pairs_missing": 0}
    joined = rows.select(
        "text", "questions", "answers", "pieces", "document_tokens", document=pl.col("parents").list.first()
    ).join(documents.select(document="id", whole="text"), on="document", how="left")
    for frame in joined.collect_batches(chunk_size=_FRAME, engine="streaming"):
        for row in frame.iter_rows(named=True):
            pairs = list(zip(row["questions"], row["answers"], strict=False))
            found["pairs_missing"] += not len(row["questions"]) == len(row["answers"]) == len(row["pieces"]) > 0
            tail = with_pairs("", pairs)
            start = row["text"].removesuffix(tail)
            found["wrong_text"] += start == row["text"] or not (row["whole"] or "").lstrip("\n").startswith(start)
            found["wrong_length"] += row["document_tokens"] > recipe.max_document_tokens
    return found
