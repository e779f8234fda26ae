"""From numbers, licences, duplicates and the closer look to what is kept and what is not, and why.

Two steps, because the closer look is slow: `survivors` are the files that licence, copies and rules leave, `fates` adds
what the closer look found. Texts are read once, at the end, a batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa

from nemotron_assets.code.quality import rules
from nemotron_assets.code.quality.signals import identified
from nemotron_assets.code.quality.tables import CURATED, DROPPED
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.table.ids import content_hash

#: Reasons of this module, by the step of the funnel.
NO_LICENCE, DUPLICATE, NOT_ANNOTATED = "no_licence", "duplicate", "not_annotated"
NOT_SCREENED, TOO_COMPLEX, SECRET, PERSONAL = "not_screened", "too_complex", "secret", "personal"
CONTAMINATED = "contaminated"
LICENCE = ("licence_rejected", "licence_review", NO_LICENCE)
LATE = (NOT_SCREENED, TOO_COMPLEX, SECRET, PERSONAL, CONTAMINATED)

READ = ("id", "content")
_FACTS = ("repo", "commit_id", "rel_path", "language", "content_hash")
_BATCH_ROWS = 65_536


def judged(
    files: pl.LazyFrame,
    annotations: pl.LazyFrame,
    licences: pl.LazyFrame,
    duplicates: pl.LazyFrame,
    recipe: CodeQuality,
) -> pl.LazyFrame:
    """One row per file: its facts, `license`, `characters`, and `rules`: every reason so far to drop it."""
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


def survivors(judged: pl.LazyFrame) -> pl.DataFrame:
    """Ids of the files that nothing drops so far."""
    return judged.filter(pl.col("rules").list.len() == 0).select("id").collect(engine="streaming")


def fates(judged: pl.LazyFrame, screened: pl.LazyFrame, recipe: CodeQuality) -> pl.LazyFrame:
    """`judged` with the reasons of the closer look, and its `cyclomatic`, `redactions`, `tokens`."""
    looked = screened.select(
        "cyclomatic", "secrets", "personal", "contamination", file=pl.col("parents").list.first(), looked=pl.lit(True)
    )
    rows = judged.join(looked, left_on="id", right_on="file", how="left")
    secrets, people = pl.col("secrets").list.len().fill_null(0), pl.col("personal").list.len().fill_null(0)
    settings, survived = recipe.secrets, pl.col("rules").list.len() == 0
    late = [pl.when(survived & pl.col("looked").is_null()).then(pl.lit(NOT_SCREENED))]
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
    ).drop("looked", "secrets", "personal", "contamination", "characters")


def chosen(batches: Iterable[pa.RecordBatch], kept: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    """The rows of batches of files whose ids are among those kept."""
    ids = kept["id"].to_arrow()
    for batch in batches:
        found = batch.filter(pa.compute.is_in(batch["id"].cast(ids.type), ids))
        if found.num_rows:
            yield found


def curated_rows(
    batches: Iterable[pa.RecordBatch], redacted: Iterable[pa.RecordBatch], judged: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Rows of `code.curated`. `batches`: of `code.files` (columns `READ`); `redacted`: file and text of `code.screened`
    where the text changed; `judged`: `fates` of the files that are kept."""
    texts = _by_file(redacted)
    for batch in chosen(batches, judged):
        files = pl.from_arrow(batch).join(judged, on="id", how="inner", maintain_order="left")
        changed = texts(files["id"].to_list())
        content = [changed.get(file, text) for file, text in files.select("id", "content").iter_rows()]
        frame = files.with_columns(
            content=pl.Series(content, dtype=pl.String),
            file_hash=pl.col("content_hash"),
            content_hash=pl.Series([content_hash(text) for text in content], dtype=pl.String),
        )
        yield identified(frame, CURATED.full_name).select(CURATED.column_names)


def dropped_rows(fates: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Rows of `code.dropped`."""
    dropped = fates.filter(pl.col("rules").list.len() > 0)
    for frame in dropped.sort("repo", "commit_id", "rel_path").collect_batches(chunk_size=_BATCH_ROWS):
        yield identified(frame, DROPPED.full_name).select(DROPPED.column_names)


def _by_file(redacted: Iterable[pa.RecordBatch]):
    """Changed texts in a file beside, so that they need no memory: a function from ids of files to those it has."""
    import sqlite3

    connection = sqlite3.connect("")  # a file without a name, gone with the connection
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE t (f TEXT PRIMARY KEY, x)")
    for batch in redacted:
        rows = pl.from_arrow(batch).drop_nulls("redacted").select(pl.col("parents").list.first(), "redacted")
        connection.executemany("INSERT OR REPLACE INTO t VALUES (?, ?)", rows.iter_rows())

    def look_up(files: list[str]) -> dict[str, str]:
        marks = ", ".join("?" * len(files))
        return dict(connection.execute(f"SELECT f, x FROM t WHERE f IN ({marks})", files))

    return look_up
