"""The repeated spans of a snapshot's kept documents as parts of `web.repeated_spans`.

Spans are searched for in a window of snapshots: this one and those just before it. If the texts of the window do not
fit into one suffix array, they are split into chunks by host, because pages of one site share headers, footers and
phrases. Each chunk is one part. The last part, "rest", is about whole texts: a document is dropped if too little of it
is left without its spans, or if the same text is left of an earlier document.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.dedup.arrivals import CascadingParts, participating_snapshots
from nemotron_assets.dedup.workspace import load, schema_of, stream, workspace
from nemotron_assets.recipe.dedup import Dedup, Substring
from nemotron_assets.table.parts import Part
from nemotron_assets.web.dedup.chunks import NO_SPANS, Chunks, span_rows
from nemotron_assets.web.dedup.tables import DUPLICATES, REPEATED_SPANS
from nemotron_assets.web.tables import DOCUMENTS

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Lakehouse

#: The part that is made last. Chunks have names like "1 of 4".
REST = "rest"

_DOCUMENT = ("id", "snapshot", "fetched_at", "content_hash")
_CUT = ("parents", "rest_hash", "rest_characters")
#: Only documents with cuts, and those whose whole text is what a cut leaves, can end up equal to another document.
_MAY_END_EQUAL = "where content_hash in (select rest_hash from cut) or id in (select document from cut)"

# `ended` has the remaining text (its hash, `ending`) of each kept document that may end up equal to another one: of the
# documents with cuts, and of documents without cuts whose whole text is what a cut leaves of another document. Of
# documents with equal remaining texts the earliest is kept. Documents whose remaining text is too short are dropped.
_ENDINGS = """
with
    rests as (select distinct rest_hash from cut),
    ended as (
        select kept.id, kept.snapshot, kept.fetched_at, cut.rest_hash as ending, rest_characters as characters
        from kept join cut on cut.document = kept.id
        union all
        select id, snapshot, fetched_at, content_hash, null
        from kept
        where content_hash in (from rests) and id not in (select document from cut)
    ),
    earliest as (select ending, min(struct_pack(snapshot, fetched_at, id)) as first from ended group by ending)
select
    id as document,
    case when characters < $shortest then 'too_short' else 'same_rest' end as why,
    case when characters < $shortest then id else first.id end as first_document,
    case when characters < $shortest then snapshot else first.snapshot end as first_snapshot,
    ending as rest_hash
from ended join earliest using (ending)
where snapshot = $snapshot and (characters < $shortest or id <> first.id)
order by id
"""


class SnapshotSpans:
    """The repeated spans of one snapshot, searched for in its window."""

    def __init__(
        self,
        lake: Lakehouse,
        snapshot: str,
        recipe: Substring,
        memory_mb: int,
        arriving: str = "",
        compute: Compute | None = None,
    ) -> None:
        """`arriving` is the snapshot that is being made, if it is not `snapshot`: it takes part already, although its
        own partition is not finished. Without `compute` the chunks are searched in this process."""
        self.lake, self.snapshot, self.recipe, self.memory_mb = lake, snapshot, recipe, memory_mb
        self.compute, self._chunks = compute, None
        here = participating_snapshots(lake, REPEATED_SPANS, arriving or snapshot, DOCUMENTS, REST)
        self.here = [other for other in here if other <= snapshot]
        self.window = self.here[-recipe.snapshots :]

    def parts(self) -> Iterator[Part]:
        """The parts of the partition. There are none if the recipe switches the search off, or if the snapshot has no
        documents."""
        if not self.recipe.enabled or self.snapshot not in self.here:
            return
        marks = self._contents(self.window)
        count = self._chunk_count()
        names = [f"{number + 1} of {count}" for number in range(count)]
        try:
            for number, name in enumerate(names):
                yield Part(name, marks, functools.partial(self._chunk, number, names))
        finally:
            self._close()
        # The lake has committed all chunks when it asks for the next part. It may still hold chunks of an earlier run,
        # whose window had another size, and deletes them after the last part.
        spans = [self.lake.read(REPEATED_SPANS, other).content() for other in self.here[:-1]]
        chunks = [f"{key}={content}" for key, content in self._committed_chunks().items() if key in names]
        fingerprint = " ".join([self._contents(self.here), *spans, *chunks])
        yield Part(REST, fingerprint, functools.partial(self._rest, names))

    def _contents(self, snapshots: list[str]) -> str:
        """The content versions of the snapshots' documents and duplicates, for the fingerprint of a part."""
        documents, duplicates = self.lake.read(DOCUMENTS), self.lake.read(DUPLICATES)
        return " ".join(f"{s}:{documents.within(s).content()}:{duplicates.within(s).content()}" for s in snapshots)

    def _committed_chunks(self) -> dict[str, str]:
        """Content hashes of this snapshot's chunks, by chunk."""
        reader = self.lake.read(REPEATED_SPANS, self.snapshot)
        return {key: content for key, content in reader.parts().items() if key != REST} if reader.exists else {}

    def _chunk_count(self) -> int:
        texts = self.lake.read(DOCUMENTS, self.window).scan()
        size = texts.select(pl.col("characters").sum()).collect().item()
        return max(1, -(-size // (self.recipe.chunk_mb * 1_000_000)))

    def _kept(self, connection: duckdb.DuckDBPyConnection, snapshot: str, columns: Sequence[str], rows: int) -> str:
        """A query for some columns of a snapshot's documents that are not duplicates. They are read `rows` at a time;
        the query can run once."""
        dropped = self.lake.read(DUPLICATES, snapshot).batches(["parents"], batch_size=65_536)
        load(connection, "dropped", schema_of(DUPLICATES, "parents"), dropped, "select parents[1] as id from stream")
        documents = self.lake.read(DOCUMENTS, snapshot).batches(columns, batch_size=rows)
        stream(connection, "documents", schema_of(DOCUMENTS, *columns), documents)
        return f"select {', '.join(columns)} from documents anti join dropped using (id)"

    # -- chunks -------------------------------------------------------------------------------------------------

    def _chunk(self, number: int, names: list[str]) -> Iterator[pl.DataFrame]:
        """The rows of a chunk. The texts are divided when the first chunk is asked for that the lake does not hold."""
        if self._chunks is None or number < self._chunks.next:
            self._close()
            more = (names, number, self.window, self.recipe, self.memory_mb // 2, self.compute)
            self._chunks = Chunks(self._texts(), *more)
        yield from self._chunks.spans(number)

    def _close(self) -> None:
        if self._chunks is not None:
            self._chunks.close()
            self._chunks = None

    def _texts(self) -> Iterator[pl.DataFrame]:
        """All texts of the window with their hosts."""
        with workspace(self.memory_mb // 2) as connection:
            for place, snapshot in enumerate(self.window):
                query = self._kept(connection, snapshot, ("fetched_at", "id", "text", "host"), 1_024)
                for batch in connection.execute(query).to_arrow_reader(4_096):
                    yield pl.from_arrow(batch).select(pl.lit(place, pl.Int32).alias("place"), pl.all())

    # -- the remaining texts ------------------------------------------------------------------------------------

    def _rest(self, chunks: list[str]) -> Iterator[pl.DataFrame]:
        with workspace(self.memory_mb) as connection:
            cut = "select distinct parents[1] as document, rest_hash, rest_characters from stream"
            load(connection, "cut", schema_of(REPEATED_SPANS, *_CUT), self._cuts(chunks), cut)
            load(connection, "kept", schema_of(DOCUMENTS, *_DOCUMENT), ())
            for snapshot in self.here:
                kept = self._kept(connection, snapshot, _DOCUMENT, 65_536)
                connection.execute(f"insert into kept {kept} {_MAY_END_EQUAL}")
            values = {"snapshot": self.snapshot, "shortest": self.recipe.min_characters}
            for batch in connection.execute(_ENDINGS, values).to_arrow_reader(65_536):
                found = pl.from_arrow(batch).with_columns(
                    chunk=pl.lit(REST),
                    start=pl.lit(0, pl.Int64),
                    end=pl.lit(0, pl.Int64),
                    rest_characters=pl.lit(0, pl.Int64),
                )
                yield span_rows(found.select(NO_SPANS.columns).cast(NO_SPANS.schema), self.snapshot)

    def _cuts(self, chunks: list[str]) -> Iterator[pa.RecordBatch]:
        """The remaining texts of the documents with repeated spans; of this snapshot only those in its `chunks`."""
        for snapshot in self.here:
            spans = self.lake.read(REPEATED_SPANS, snapshot)
            for batch in spans.batches([*_CUT, "why", "chunk"], batch_size=65_536):
                counts = pc.equal(batch.column("why"), "repeated")
                if snapshot == self.snapshot:
                    counts = pc.and_(counts, pc.is_in(batch.column("chunk"), pa.array(chunks, pa.large_string())))
                yield batch.filter(counts).select(_CUT)


class CascadingSpans(CascadingParts):
    """The parts of the asset's snapshot, and the parts of other snapshots that change with it.

    With the linkage `components`, an arriving snapshot can also change the duplicates of an earlier one, and with them
    the texts in which spans are looked for. Example: the texts x and z of A-1 are both kept, until B-2 brings a text
    that is like both; then z is a duplicate of x, and the span that z repeats of x must go.
    """

    table = REPEATED_SPANS

    def __init__(
        self,
        lake: Lakehouse,
        snapshot: str,
        recipe: Substring,
        dedup: Dedup,
        compute: Compute | None = None,
        **run: Any,
    ) -> None:
        super().__init__(lake, snapshot, **run)
        self.recipe, self.dedup, self.compute = recipe, dedup, compute

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        memory_mb, arriving, compute = self.dedup.memory_mb, self.snapshot, self.compute
        return SnapshotSpans(self.lake, snapshot, self.recipe, memory_mb, arriving, compute).parts()

    def earlier(self) -> list[str]:
        if self.dedup.linkage == "direct":  # a later snapshot never changes the duplicates of an earlier one
            return []
        return [snapshot for snapshot in self._participating() if snapshot < self.snapshot]

    def later(self) -> list[str]:
        return [snapshot for snapshot in self._participating() if snapshot > self.snapshot]

    def _participating(self) -> list[str]:
        return participating_snapshots(self.lake, self.table, self.snapshot, DOCUMENTS, REST)
