"""Facts about web documents for checks and metadata: languages, sizes, fates of pages, personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.personal_data import find
from nemotron_assets.web.extract import FATES


def language_mix(documents: pl.LazyFrame) -> dict[str, int]:
    """{language: documents}, the most frequent first."""
    counts = documents.group_by("language").len().sort("len", "language", descending=[True, False])
    return dict(counts.collect(engine="streaming").iter_rows())


def text_sizes(documents: pl.LazyFrame) -> dict[str, int]:
    """Sum, median, 90th percentile and maximum of the text lengths in characters, and the estimated tokens (a token is
    taken to have four characters)."""
    characters = pl.col("characters")
    row = (
        documents.select(
            characters.sum().alias("characters"),
            characters.median().alias("median_characters"),
            characters.quantile(0.9).alias("p90_characters"),
            characters.max().alias("longest_characters"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    sizes = {name: int(value or 0) for name, value in row.items()}
    return {**sizes, "estimated_tokens": sizes["characters"] // 4}


def fates(extraction: pl.LazyFrame) -> dict[str, int]:
    """{fate: pages} over all files of `web.extraction`, the most frequent first."""
    sums = extraction.group_by("fate").agg(pl.col("pages").sum()).sort("pages", "fate", descending=[True, False])
    return dict(sums.collect().iter_rows())


def personal_data(privacy: pl.LazyFrame) -> pl.DataFrame:
    """rule, action, documents and matches over all files of `web.privacy`, the rule with most matches first."""
    counts = privacy.group_by("rule", "action").agg(pl.col("documents", "matches").sum())
    return counts.sort("matches", "rule", descending=[True, False]).collect()


def personal_data_table(counts: pl.DataFrame) -> str:
    """The counts of `personal_data` as a Markdown table."""
    lines = ["| rule | action | documents | matches |", "|---|---|--:|--:|"]
    return "\n".join(lines + [f"| {rule} | {action} | {n:,} | {m:,} |" for rule, action, n, m in counts.iter_rows()])


def personal_data_left(texts: Iterable[tuple[str | None, ...]], recipe: Privacy) -> tuple[int, Counter[str]]:
    """(documents scanned, {rule: matches in their texts and titles}); rules whose action is `keep` are not applied.

    `texts` are rows of (text, title). Nothing should be found in documents after extraction.
    """
    rules = {name for name, rule in recipe.rules().items() if rule.action != "keep"}
    scanned, left = 0, Counter()
    for row in texts:
        scanned += 1
        left.update(match.rule for text in row if text for match in find(text, recipe, rules))
    return scanned, left


def fates_table(counts: Mapping[str, int]) -> str:
    """The counts of `fates` as a Markdown table with the meaning of each fate."""
    meanings = {**FATES, "rejected": "it failed; quarantine.rows has the error"}
    lines = ["| fate | pages | meaning |", "|---|--:|---|"]
    return "\n".join(lines + [f"| {fate} | {pages:,} | {meanings[fate]} |" for fate, pages in counts.items()])
