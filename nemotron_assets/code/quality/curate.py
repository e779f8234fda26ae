"""Decides for every file whether it is kept, from its measurements, its licence, its duplicates and its screening.

The screening is slow. Therefore the decision has two steps: `early_reasons` finds the files that licences, duplicates
and rules drop, only the other files are screened, and `all_reasons` adds the results of the screening. The texts are
read once, at the end, batch by batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl
import pyarrow as pa

from nemotron_assets.code.quality import rules
from nemotron_assets.code.quality.signals import with_row_ids
from nemotron_assets.code.quality.tables import CURATED, DROPPED
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.table.ids import content_hash

#: Reasons to drop a file that are decided here, by the step of the funnel.
NO_LICENCE, DUPLICATE, NOT_ANNOTATED = "no_licence", "duplicate", "not_annotated"
NOT_SCREENED, TOO_COMPLEX, SECRET, PERSONAL = "not_screened", "too_complex", "secret", "personal"
CONTAMINATED = "contaminated"
LICENCE = ("licence_rejected", "licence_review", NO_LICENCE)
LATE = (NOT_SCREENED, TOO_COMPLEX, SECRET, PERSONAL, CONTAMINATED)

#: Columns of `code.files` that `curated_rows` reads.
READ = ("id", "content")
_FACTS = ("repo", "commit_id", "rel_path", "language", "content_hash")
_BATCH_ROWS = 65_536


def early_reasons(
    files: pl.LazyFrame,
    annotations: pl.LazyFrame,
    licences: pl.LazyFrame,
    duplicates: pl.LazyFrame,
    recipe: CodeQuality,
) -> pl.LazyFrame:
    """One row per file of `code.files`: id, repo, commit_id, rel_path, language, content_hash, license, characters, and
    `rules`, the reasons to drop it that are known before the screening (empty: none)."""
    of_file = pl.col("parents").list.first().alias("file")
    numbers = annotations.with_columns(failed=rules.failures(recipe)).select(of_file, "failed", "characters")
    decided = licences.select("file", "decision", "license").unique("file", keep="any")
    copies = duplicates.select(of_file, copy=pl.lit(True)).unique("file", keep="any")
    decision = pl.col("decision")
    reasons = [
        pl.when(decision.is_null()).then(pl.lit(NO_LICENCE)),
        pl.when(decision == "rejected").then(pl.lit("licence_rejected")),
        pl.when(~decision.is_in(["allowed", "rejected"])).then(pl.lit("licence_review")),
        pl.when(pl.col("copy")).then(pl.lit(DUPLICATE)),
        pl.when(pl.col("failed").is_null()).then(pl.lit(NOT_ANNOTATED)),
        pl.col("failed").fill_null([]),
    ]
    rows = files.select("id", *_FACTS)
    for found in (decided, copies, numbers):
        rows = rows.join(found, left_on="id", right_on="file", how="left")
    return rows.select("id", *_FACTS, "license", "characters", rules=pl.concat_list(reasons).list.drop_nulls())


def survivors(early: pl.LazyFrame) -> pl.DataFrame:
    """The ids of the files that have no early reason, and are screened."""
    return early.filter(pl.col("rules").list.len() == 0).select("id").collect(engine="streaming")


def all_reasons(early: pl.LazyFrame, screened: pl.LazyFrame, recipe: CodeQuality) -> pl.LazyFrame:
    """The rows of `early_reasons` with the reasons from `code.screened` added to `rules`, and with the columns
    cyclomatic, redactions and tokens."""
    results = screened.select(
        "cyclomatic",
        "secrets",
        "personal",
        "contamination",
        file=pl.col("parents").list.first(),
        is_screened=pl.lit(True),
    )
    rows = early.join(results, left_on="id", right_on="file", how="left")
    secrets, people = pl.col("secrets").list.len().fill_null(0), pl.col("personal").list.len().fill_null(0)
    settings, survived = recipe.secrets, pl.col("rules").list.len() == 0
    late = [pl.when(survived & pl.col("is_screened").is_null()).then(pl.lit(NOT_SCREENED))]
    if recipe.max_cyclomatic is not None:
        late.append(pl.when(pl.col("cyclomatic") > recipe.max_cyclomatic).then(pl.lit(TOO_COMPLEX)))
    if settings.action == "drop":
        late.append(pl.when(secrets > 0).then(pl.lit(SECRET)))
    if settings.personal == "drop":
        late.append(pl.when(people > 0).then(pl.lit(PERSONAL)))
    if recipe.contaminated == "drop":
        late.append(pl.when(pl.col("contamination").is_not_null()).then(pl.lit(CONTAMINATED)))
    replaced = secrets * (settings.action == "redact") + people * (settings.personal == "redact")
    tokens = (pl.col("characters").fill_null(0) / recipe.characters_per_token).ceil().cast(pl.Int64)
    return rows.with_columns(
        rules=pl.concat_list("rules", *late).list.drop_nulls(), redactions=replaced.cast(pl.Int64), tokens=tokens
    ).drop("is_screened", "secrets", "personal", "contamination", "characters")


def chosen(batches: Iterable[pa.RecordBatch], kept: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    """The rows of batches of `code.files` whose ids are in `kept`."""
    ids = kept["id"].to_arrow()
    for batch in batches:
        found = batch.filter(pa.compute.is_in(batch["id"].cast(ids.type), ids))
        if found.num_rows:
            yield found


def curated_rows(
    batches: Iterable[pa.RecordBatch], redacted: Iterable[pa.RecordBatch], reasons: pl.LazyFrame
) -> Iterator[pl.DataFrame]:
    """Rows of `code.curated`: the files without a reason to drop them.

    `batches` are those of `code.files` (columns `READ`), `redacted` those of `code.screened` (columns parents and
    redacted), `reasons` is the result of `all_reasons`.
    """
    kept = reasons.filter(pl.col("rules").list.len() == 0).collect(engine="streaming")
    redacted_texts = _texts_on_disk(redacted)
    for batch in chosen(batches, kept):
        files = pl.from_arrow(batch).join(kept, on="id", how="inner", maintain_order="left")
        changed = redacted_texts(files["id"].to_list())
        content = [changed.get(file, text) for file, text in files.select("id", "content").iter_rows()]
        frame = files.with_columns(
            content=pl.Series(content, dtype=pl.String),
            file_hash=pl.col("content_hash"),
            content_hash=pl.Series([content_hash(text) for text in content], dtype=pl.String),
        )
        yield with_row_ids(frame, CURATED.full_name).select(CURATED.column_names)


def dropped_rows(reasons: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Rows of `code.dropped`: the files with a reason to drop them. `reasons` is the result of `all_reasons`."""
    dropped = reasons.filter(pl.col("rules").list.len() > 0)
    for frame in dropped.sort("repo", "commit_id", "rel_path").collect_batches(chunk_size=_BATCH_ROWS):
        yield with_row_ids(frame, DROPPED.full_name).select(DROPPED.column_names)


def _texts_on_disk(redacted: Iterable[pa.RecordBatch]) -> Callable[[list[str]], dict[str, str]]:
    """Store the redacted texts in a temporary file. Returns a function from ids of files to {id: text} of those that
    have a redacted text."""
    import sqlite3

    connection = sqlite3.connect("")  # a file without a name, which is deleted with the connection
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE t (f TEXT PRIMARY KEY, x)")
    for batch in redacted:
        rows = pl.from_arrow(batch).drop_nulls("redacted").select(pl.col("parents").list.first(), "redacted")
        connection.executemany("INSERT OR REPLACE INTO t VALUES (?, ?)", rows.iter_rows())

    def look_up(files: list[str]) -> dict[str, str]:
        marks = ", ".join("?" * len(files))
        return dict(connection.execute(f"SELECT f, x FROM t WHERE f IN ({marks})", files))

    return look_up
