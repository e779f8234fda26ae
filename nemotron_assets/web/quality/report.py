"""What is checked of numbers and kept documents: values no text can have, languages that are not as claimed."""

from __future__ import annotations

import polars as pl

from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.text.heuristics import NUMBERS, WHOLE
from nemotron_assets.text.language import hint


def impossible(measures: pl.LazyFrame) -> int:
    """Rows with a number no text can have: a share outside 0..1, less than nothing, a mean above the largest."""
    shares = [pl.col(name) for name in NUMBERS if name.endswith("_share")]
    wrong = pl.any_horizontal(~share.is_between(0, 1) for share in shares)
    wrong |= pl.any_horizontal(pl.col(name) < 0 for name in WHOLE)
    wrong |= pl.col("mean_word_characters") > pl.col("longest_word_characters")
    wrong |= pl.col("longest_word_characters") > pl.col("characters")
    wrong |= pl.col("common_words") > pl.col("words")
    wrong |= (pl.col("perplexity") < 1).fill_null(False)
    return measures.select(wrong.fill_null(True).sum()).collect(engine="streaming").item()


def purity(documents: pl.LazyFrame, most: int, recipe: Documents) -> pl.DataFrame:
    """language, documents, right: how many of the documents with the lowest content hashes CLD2 takes for the language
    they stand under. It did not take part in choosing that language."""
    order = ["content_hash", "id"]
    sample = documents.select("language", "text", *order).bottom_k(most, by=order).collect()
    found = [
        hint(text, "pycld2", recipe.language_model, recipe.language_characters) == language
        for language, text in sample.select("language", "text").iter_rows()
    ]
    return (
        sample.with_columns(right=pl.Series(found, dtype=pl.Boolean))
        .group_by("language")
        .agg(pl.len().alias("documents"), pl.col("right").sum())
        .sort("documents", "language", descending=[True, False])
    )
