"""A small lake with documents that a test writes, deduplicated with the code of the assets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from nemotron_assets.dedup.duplicates import duplicates_of, rewrite_others
from nemotron_assets.dedup.near import CascadingPairs
from nemotron_assets.dedup.signatures import signature_parts
from nemotron_assets.recipe.dedup import Dedup, Signatures, Substring
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.web.dedup.substring import CascadingSpans, unique_documents_of
from nemotron_assets.web.dedup.tables import (
    CORPUS,
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse

START = datetime(2025, 1, 1, tzinfo=UTC)
#: With one row per band, a similar pair is missed only with a probability of 0.2^64.
SIGNED = Signatures(unit="words", word_shingle=3, permutations=64, bands=64, rows=1)
RECIPE = Dedup(memory_mb=128, signatures=SIGNED, linkage="direct")
SUBSTRING = Substring(snapshots=2, min_bytes=40, boundary="word", chunk_mb=1, min_characters=10)
TABLES = (SIGNATURES, NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS)

#: (id, snapshot, hours after START, text, language)
Row = tuple[str, str, int, str, str]


def documents(rows: Sequence[Row], file: str = "f") -> pl.DataFrame:
    """Rows of `web.documents`, all in one WARC file."""
    frame = pl.DataFrame(
        [(i, s, START + timedelta(hours=h), text, language) for i, s, h, text, language in rows],
        schema={
            "id": pl.String,
            "snapshot": pl.String,
            "fetched_at": pl.Datetime("us", "UTC"),
            "text": pl.String,
            "language": pl.String,
        },
        orient="row",
    )
    return frame.with_columns(
        parents=pl.concat_list("id"),
        warc_file=pl.lit(file),
        url=pl.lit("http://e.example/"),
        host=pl.lit("e.example"),
        language_score=pl.lit(1.0),
        title=pl.lit(None, pl.String),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
        content_hash=pl.Series([content_hash(text) for text in frame["text"]], dtype=pl.String),
    ).select(DOCUMENTS.column_names)


def put(lake: Lakehouse, rows: Sequence[Row], snapshot: str) -> None:
    """Write a snapshot's documents: the even rows as one WARC file, the odd rows as another."""
    own = [row for row in rows if row[1] == snapshot]
    parts = []
    for name, some in (("f", own[::2]), ("g", own[1::2])):
        frame = documents(some, name)
        if some:
            parts.append(Part(name, str(frame.hash_rows().sum()), lambda frame=frame: frame))
    lake.write(DOCUMENTS, Parts(parts), snapshot)


def deduplicate(
    lake: Lakehouse, snapshot: str, recipe: Dedup = RECIPE, substring: Substring = SUBSTRING
) -> dict[str, list[str]]:
    """Run the code of the assets for one snapshot; table -> other snapshots whose partitions changed."""
    signed = signature_parts(lake.read(DOCUMENTS, snapshot), recipe, SIGNATURES)
    lake.write(SIGNATURES, signed, snapshot, code_version=recipe.signatures.scheme)
    pairs = CascadingPairs(lake, snapshot, recipe, CORPUS)
    lake.write(NEAR_DUPLICATES, pairs.parts(), snapshot)
    rewritten = rewrite_others(snapshot, lake, recipe, CORPUS)
    lake.write(DUPLICATES, duplicates_of(snapshot, lake, recipe, CORPUS), snapshot)
    spans = CascadingSpans(lake, snapshot, substring, recipe)
    lake.write(REPEATED_SPANS, spans.parts(), snapshot)
    changed = {"near_duplicates": pairs.rewritten, "duplicates": rewritten, "repeated_spans": spans.rewritten}
    return {name: [change.snapshot for change in changes] for name, changes in changed.items()}


def finish(lake: Lakehouse, snapshots: Iterable[str], substring: Substring = SUBSTRING) -> None:
    """Make the unique documents of all snapshots, as Dagster does in the end."""
    for snapshot in snapshots:
        tables = [lake.read(table, snapshot).scan() for table in (DOCUMENTS, DUPLICATES, REPEATED_SPANS)]
        lake.write(UNIQUE_DOCUMENTS, unique_documents_of(*tables, substring), snapshot)


def state(lake: Lakehouse) -> dict[str, list[tuple]]:
    """All rows of all tables of deduplication, by table."""
    return {table.name: sorted(map(repr, lake.read(table).scan().collect().iter_rows(named=True))) for table in TABLES}
