"""Decides which documents are kept: compares the numbers of a text with the bounds of the rules and of perplexity.

- English documents of the levels that the recipe names (medium and below): all 28 rules and the largest perplexity.
  Documents of better levels are kept without a check.
- Documents in other languages: the rules that the recipe does not switch off for the language. They have neither
  perplexity nor level.
- An English document without a level (scoring failed, see the quarantine) fails as `unscored`, because every row of
  `web.curated` has a level. The rules are applied to it as to the lowest level.

Every document gets a verdict. The texts themselves are not read.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from nemotron_assets.dedup.workspace import batches_of, load, schema_of, stream, workspace
from nemotron_assets.recipe.web.heuristics import Heuristics, Rules
from nemotron_assets.table.ids import row_id
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.ensemble import ENGLISH
from nemotron_assets.web.quality.tables import VERDICTS

PERPLEXITY, UNSCORED = "perplexity", "unscored"

_BATCH = 65_536
_KEPT = ("parents", "level", "bucket")
_WITH_LEVEL = "select parents[1] as id, level, bucket from stream"


def failures(recipe: Heuristics) -> pl.Expr:
    """An expression for rows of `web.measures` with the column `level`: the list of the rules that a row fails."""
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

    `quality` are the rows of `web.quality` of the same documents. The join holds about 100 bytes per scored document of
    the snapshot."""
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
    """Rows of `web.verdicts` (`table`, with these `columns`) from the result of `verdicts`, streamed."""
    for frame in judged.collect_batches(chunk_size=_BATCH, engine="streaming"):
        yield _with_id_and_parents(frame, table).select(columns)


def kept_rows(
    documents: pl.LazyFrame,
    judged: pl.LazyFrame,
    english: bool,
    table: str,
    columns: tuple[str, ...],
    memory_mb: int,
) -> Iterator[pl.DataFrame]:
    """The kept documents in English, or in all other languages, as rows of `table` with these `columns`.

    `documents` are rows of `web.unique_documents`, `judged` are rows of `web.verdicts`. The join takes at most
    `memory_mb`."""
    of_language = pl.col("language") == ENGLISH if english else pl.col("language") != ENGLISH
    names = [name for name in documents.collect_schema().names() if name != "parents"]
    with workspace(memory_mb) as connection:
        connection.execute("set preserve_insertion_order = true")
        kept = judged.filter(pl.col("kept"), of_language).select("parents", "level", "bucket")
        load(connection, "kept", schema_of(VERDICTS, *_KEPT), batches_of(kept, VERDICTS), _WITH_LEVEL)
        texts = batches_of(documents.select(names), UNIQUE_DOCUMENTS)
        stream(connection, "documents", schema_of(UNIQUE_DOCUMENTS, *names), texts)
        query = "select documents.* rename (id as document), level, bucket from documents join kept using (id)"
        for batch in connection.execute(query).to_arrow_reader(8_192):
            yield _with_id_and_parents(pl.from_arrow(batch), table).select(columns)


def _with_id_and_parents(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    return frame.with_columns(
        id=pl.Series([row_id(table, document) for document in frame["document"]], dtype=pl.String),
        parents=pl.concat_list("document"),
    )
