"""A small lake with documents that a test writes, deduplicated with the code of the assets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from nemotron_assets.dedup.arrivals import Announce, Updated, nobody
from nemotron_assets.dedup.duplicates import duplicates_of, rewrite_others
from nemotron_assets.dedup.near import CascadingPairs
from nemotron_assets.dedup.signatures import signature_parts
from nemotron_assets.recipe.dedup import Dedup, Signatures, Substring
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from nemotron_assets.web.dedup.substring import CascadingSpans
from nemotron_assets.web.dedup.tables import (
    CORPUS,
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.dedup.unique import unique_documents_of
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse, WriteResult
from resources.lakehouse.writer import Writer

START = datetime(2025, 1, 1, tzinfo=UTC)
#: With one row per band, a similar pair is missed only with a probability of 0.2^64.
SIGNED = Signatures(unit="words", word_shingle=3, permutations=64, bands=64, rows=1)
RECIPE = Dedup(memory_mb=128, signatures=SIGNED, linkage="direct")
SUBSTRING = Substring(snapshots=2, min_bytes=40, boundary="word", chunk_mb=1, min_characters=10)
#: The tables of deduplication with what each is made from, as in web/dedup/assets.py.
INPUTS = {
    SIGNATURES: (DOCUMENTS,),
    NEAR_DUPLICATES: (SIGNATURES, DOCUMENTS),
    DUPLICATES: (DOCUMENTS, NEAR_DUPLICATES),
    REPEATED_SPANS: (DOCUMENTS, DUPLICATES),
    UNIQUE_DOCUMENTS: (DOCUMENTS, DUPLICATES, REPEATED_SPANS),
}
TABLES = tuple(INPUTS)

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
        host=pl.col("text").str.slice(0, 2) + ".example",
        language_score=pl.lit(1.0),
        title=pl.lit(None, pl.String),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
        content_hash=pl.Series([content_hash(text) for text in frame["text"]], dtype=pl.String),
    ).select(DOCUMENTS.column_names)


def document_parts(rows: Sequence[Row], snapshot: str) -> Parts:
    """A snapshot's documents: the even rows as one WARC file, the odd rows as another."""
    own = [row for row in rows if row[1] == snapshot]
    parts = []
    for name, some in (("f", own[::2]), ("g", own[1::2])):
        frame = documents(some, name)
        if some:
            parts.append(Part(name, str(frame.hash_rows().sum()), lambda frame=frame: frame))
    return Parts(parts)


def put(lake: Lakehouse, rows: Sequence[Row], snapshot: str) -> WriteResult:
    """Write a snapshot's documents."""
    return lake.write(DOCUMENTS, document_parts(rows, snapshot), snapshot)


def deduplicate(
    lake: Lakehouse, snapshot: str, recipe: Dedup = RECIPE, substring: Substring = SUBSTRING
) -> dict[str, list[str]]:
    """Run the code of the assets for one snapshot; table -> other snapshots whose partitions changed."""
    changed = {}
    for table in (SIGNATURES, NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS):
        make(lake, table, snapshot, recipe, substring, lambda updated, name=table.name: changed.update({name: updated}))
    return {name: [other.snapshot for other in updated if other.rows_changed] for name, updated in changed.items()}


def make(
    lake: Lakehouse, table: Table, snapshot: str, recipe: Dedup, substring: Substring, announce: Announce = nobody
) -> WriteResult:
    """Run the code of one asset for one snapshot."""
    if table is SIGNATURES:
        signed = signature_parts(lake.read(DOCUMENTS, snapshot), recipe, SIGNATURES)
        return lake.write(SIGNATURES, signed, snapshot, code_version=recipe.signatures.scheme)
    if table is NEAR_DUPLICATES:
        return lake.write(table, CascadingPairs(lake, snapshot, recipe, CORPUS, announce=announce).parts(), snapshot)
    if table is DUPLICATES:
        rewrite_others(snapshot, lake, recipe, CORPUS, announce=announce)
        return lake.write(table, duplicates_of(snapshot, lake, recipe, CORPUS), snapshot)
    if table is REPEATED_SPANS:
        spans = CascadingSpans(lake, snapshot, substring, recipe, announce=announce)
        return lake.write(table, spans.parts(), snapshot)
    inputs = [lake.read(source, snapshot).scan() for source in INPUTS[UNIQUE_DOCUMENTS]]
    return lake.write(table, unique_documents_of(*inputs, substring, recipe.memory_mb), snapshot)


def finish(lake: Lakehouse, snapshots: Iterable[str], substring: Substring = SUBSTRING) -> None:
    """Make the unique documents of all snapshots, as Dagster does in the end."""
    for snapshot in snapshots:
        make(lake, UNIQUE_DOCUMENTS, snapshot, RECIPE, substring)


#: What Dagster knows of a partition: the data version of its last materialisation, and those of its inputs.
Known = tuple[str, dict[str, str]]


class Killed(BaseException):
    """The process that runs a step is killed."""


class Graph:
    """The graph of deduplication as Dagster sees it: which steps are stale, by data versions of the same snapshot.

    A step can be killed at a moment: after a commit, or before or after an announcement of another partition.
    """

    def __init__(self, lake: Lakehouse, recipe: Dedup = RECIPE, substring: Substring = SUBSTRING) -> None:
        self.lake, self.recipe, self.substring = lake, recipe, substring
        self.known: dict[tuple[str, str], Known] = {}
        self.runs = 0

    def arrive(self, rows: Sequence[Row], snapshot: str) -> None:
        """New or other documents of a snapshot."""
        self.known[DOCUMENTS.name, snapshot] = put(self.lake, rows, snapshot).data_version, {}

    def stale(self) -> list[tuple[Table, str]]:
        """The steps to run: all inputs are made, and the step is not made or was made from other inputs."""
        snapshots = sorted(snapshot for name, snapshot in self.known if name == DOCUMENTS.name)
        units = [(table, snapshot) for snapshot in snapshots for table in TABLES]
        return [unit for unit in units if self._is_due(*unit)]

    def _is_due(self, table: Table, snapshot: str) -> bool:
        if any((source.name, snapshot) not in self.known for source in INPUTS[table]):
            return False
        before = self.known.get((table.name, snapshot))
        return before is None or before[1] != self._inputs(table, snapshot)

    def _inputs(self, table: Table, snapshot: str) -> dict[str, str]:
        return {source.name: self.known[source.name, snapshot][0] for source in INPUTS[table]}

    def run(self, table: Table, snapshot: str, moments: int | None = None) -> bool:
        """Run a step; False if it was killed, because it had more than `moments` moments."""
        self.runs += 1
        assert self.runs < 500, "steps make each other stale for ever"
        before = {other: self._inputs(table, other) for _, other in self.known if self._has_inputs(table, other)}

        def moment() -> None:
            nonlocal moments
            if moments is not None:
                moments -= 1
                if moments < 0:
                    raise Killed

        def announce(updated: list[Updated]) -> None:
            for other in updated:
                moment()
                if known := self.known.get((table.name, other.snapshot)):
                    now = other.result.data_version, before[other.snapshot]
                    if known != now:
                        self.known[table.name, other.snapshot] = now
            moment()

        def commit(writer: Writer, *args, **kwargs) -> int:
            content = write_part(writer, *args, **kwargs)
            moment()
            return content

        write_part = Writer._write_part
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(Writer, "_write_part", commit)
            result = make(self.lake, table, snapshot, self.recipe, self.substring, announce)
            self.known[table.name, snapshot] = result.data_version, before[snapshot]
            return True
        return False

    def _has_inputs(self, table: Table, snapshot: str) -> bool:
        return all((source.name, snapshot) in self.known for source in INPUTS[table])

    def settle(self, choose: Callable[[int], int] = lambda count: 0) -> None:
        """Run what is stale until nothing is; `choose` gets the number of stale steps and says which runs next."""
        while stale := self.stale():
            self.run(*stale[choose(len(stale))])


def state(lake: Lakehouse) -> dict[str, list[tuple]]:
    """All rows of all tables of deduplication, by table."""
    return {table.name: sorted(map(repr, lake.read(table).scan().collect().iter_rows(named=True))) for table in TABLES}
