"""Which documents are kept: the bounds of the rules, and the largest perplexity, applied to the numbers of the texts.

- English documents of the levels that the recipe names (medium and below): all 28 rules and perplexity. Those of the
  levels above are kept as they are.
- Other languages: the rules that the recipe does not switch off for the language; no perplexity, no level.
- An English document without a level (it could not be scored, see the quarantine) fails as `unscored`, because every
  row of `web.curated` has one; the rules are applied to it as to the lowest level.

Every document gets a verdict; nothing here reads a text.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from nemotron_assets.recipe.web.heuristics import Heuristics, Rules
from nemotron_assets.table.ids import row_id

ENGLISH = "en"
PERPLEXITY, UNSCORED = "perplexity", "unscored"

_BATCH = 65_536


def failures(recipe: Heuristics) -> pl.Expr:
    """The names of the rules that a row of measures, joined with its `level`, fails."""
    judged = (pl.col("language") != ENGLISH) | pl.col("level").is_null() | pl.col("level").is_in(recipe.levels)
    failed = []
    for name in Rules.model_fields:
        bounds, number = getattr(recipe.rules, name), pl.col(name)
        outside = pl.lit(False)
        if bounds.min is not None:
            outside |= number < bounds.min
        if bounds.max is not None:
            outside |= number > bounds.max
        off = [language for language, names in recipe.switched_off.items() if name in names]
        failed.append((name, judged & outside & ~pl.col("language").is_in(off)))
    if recipe.max_perplexity is not None:
        high = (pl.col(PERPLEXITY) > recipe.max_perplexity).fill_null(False)
        failed.append((PERPLEXITY, judged & high & (pl.col("language") == ENGLISH)))
    failed.append((UNSCORED, (pl.col("language") == ENGLISH) & pl.col("level").is_null()))
    named = [pl.when(fails).then(pl.lit(name, dtype=pl.String)) for name, fails in failed]
    return pl.concat_list(named).list.drop_nulls()


def verdicts(measures: pl.LazyFrame, quality: pl.LazyFrame, recipe: Heuristics) -> pl.LazyFrame:
    """One row per row of `web.measures`: document, snapshot, language, level, bucket, failed, kept, characters.

    `quality` are the rows of `web.quality` of the same documents."""
    levels = quality.select("level", "bucket", document=pl.col("parents").list.first())
    rows = measures.with_columns(document=pl.col("parents").list.first()).join(levels, on="document", how="left")
    return rows.with_columns(failed=failures(recipe)).select(
        "document",
        "snapshot",
        "language",
        "level",
        "bucket",
        "failed",
        "characters",
        kept=pl.col("failed").list.len() == 0,
    )


def verdict_rows(judged: pl.LazyFrame, table: str, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """Rows of `web.verdicts`, streamed."""
    for frame in judged.collect_batches(chunk_size=_BATCH, engine="streaming"):
        yield _identified(frame, table).select(columns)


def kept_rows(
    documents: pl.LazyFrame, judged: pl.LazyFrame, english: bool, table: str, columns: tuple[str, ...]
) -> Iterator[pl.DataFrame]:
    """The documents (rows of `web.unique_documents`) whose verdict is that they are kept, as rows of `table`."""
    of_language = pl.col("language") == ENGLISH if english else pl.col("language") != ENGLISH
    kept = judged.filter(pl.col("kept"), of_language).select("level", "bucket", document=pl.col("parents").list.first())
    rows = documents.join(kept, left_on="id", right_on="document", how="inner")
    for frame in rows.collect_batches(chunk_size=8_192, engine="streaming"):
        yield _identified(frame.rename({"id": "document"}), table).select(columns)


def _identified(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    return frame.with_columns(
        id=pl.Series([row_id(table, document) for document in frame["document"]], dtype=pl.String),
        parents=pl.concat_list("document"),
    )


# -- what people want to see -------------------------------------------------------------------------------------------


def failed_rules(judged: pl.LazyFrame) -> dict[str, int]:
    """{rule: documents that fail it}, the most frequent first. A document may fail several."""
    counts = judged.select(rule=pl.col("failed")).explode("rule").drop_nulls("rule").group_by("rule").len()
    return dict(counts.sort("len", "rule", descending=[True, False]).collect(engine="streaming").iter_rows())


def funnel(judged: pl.LazyFrame) -> pl.DataFrame:
    """Per group (level of the English documents, or language): documents and tokens there are, and that are kept.

    Tokens are estimated: four characters each."""
    is_english, tokens = pl.col("language") == ENGLISH, pl.col("characters") // 4
    group = pl.when(is_english).then(pl.col("level").fill_null(UNSCORED)).otherwise(pl.col("language"))
    return (
        judged.group_by(group.alias("group"))
        .agg(
            pl.len().alias("documents"),
            pl.col("kept").sum().alias("kept"),
            tokens.sum().alias("tokens"),
            tokens.filter(pl.col("kept")).sum().alias("tokens_kept"),
            is_english.any().alias("english"),
        )
        .sort("english", "documents", "group", descending=[True, True, False])
        .drop("english")
        .collect(engine="streaming")
    )


def funnel_table(counts: pl.DataFrame) -> str:
    """`funnel` as Markdown."""
    lines = ["| level or language | documents | kept | tokens | tokens kept |", "|---|--:|--:|--:|--:|"]
    return "\n".join(lines + [f"| {g} | {d:,} | {k:,} | {t:,} | {tk:,} |" for g, d, k, t, tk in counts.iter_rows()])
