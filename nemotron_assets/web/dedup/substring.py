"""The repeated spans of a snapshot's kept documents as parts of `web.repeated_spans`, and the documents without them.

Spans are searched for in a window of snapshots: this one and those just before it. If the texts of the window do not
fit into one suffix array, they are split into chunks by host, because pages of one site share headers, footers and
phrases. Each chunk is one part. The last part, "rest", is about whole texts: a document is dropped if too little of it
is left without its spans, or if the same text is left of an earlier document.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import xxhash

from nemotron_assets.dedup.arrivals import CascadingParts, participating_snapshots
from nemotron_assets.dedup.workspace import load, workspace
from nemotron_assets.recipe.dedup import Dedup, Substring
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.web.dedup.spans import repeated_spans, shortened, without_spans
from nemotron_assets.web.dedup.tables import DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: The part that is made last. Chunks have names like "1 of 4".
REST = "rest"

_DOCUMENT = ("id", "snapshot", "fetched_at", "content_hash")
_SCHEMA = pa.schema(
    [
        ("id", pa.large_string()),
        ("snapshot", pa.large_string()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("content_hash", pa.large_string()),
    ]
)
_CUT = pa.schema([("document", pa.large_string()), ("rest_hash", pa.large_string()), ("rest_characters", pa.int64())])

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


@dataclass(frozen=True, slots=True)
class _Text:
    snapshot: str
    fetched_at: object
    id: str
    data: bytes


class SnapshotSpans:
    """The repeated spans of one snapshot, searched for in its window."""

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Substring, memory_mb: int, arriving: str = "") -> None:
        """`arriving` is the snapshot that is being made, if it is not `snapshot`: it takes part already, although its
        own partition is not finished."""
        self.lake, self.snapshot, self.recipe, self.memory_mb = lake, snapshot, recipe, memory_mb
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
        for number, name in enumerate(names):
            yield Part(name, marks, functools.partial(self._chunk, name, number, count))
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

    def _kept(self, snapshot: str, *columns: str) -> pl.LazyFrame:
        """Some columns of a snapshot's documents that are not duplicates."""
        dropped = self.lake.read(DUPLICATES, snapshot).scan().select(id=pl.col("parents").list.first())
        return self.lake.read(DOCUMENTS, snapshot).scan().select(columns).join(dropped, on="id", how="anti")

    # -- chunks -------------------------------------------------------------------------------------------------

    def _chunk(self, name: str, number: int, count: int) -> Iterator[pl.DataFrame]:
        waiting: list[_Text] = []
        size = 0
        for text in self._texts(number, count):
            # A chunk that is too large for one suffix array, because of a large host, is searched piece by piece.
            if waiting and size + len(text.data) > self.recipe.chunk_mb * 1_000_000:
                yield self._spans(waiting, name)
                waiting, size = [], 0
            waiting.append(text)
            size += len(text.data)
        yield self._spans(waiting, name)

    def _texts(self, number: int, count: int) -> Iterator[_Text]:
        """The texts of one chunk in the order of precedence, snapshot by snapshot."""
        for snapshot in self.window:
            texts: list[_Text] = []
            kept = self._kept(snapshot, "id", "snapshot", "fetched_at", "host", "text")
            for frame in kept.collect_batches(chunk_size=4_096, engine="streaming"):
                for id_, of, fetched_at, host, text in frame.iter_rows():
                    if xxhash.xxh3_64_intdigest(host.encode()) % count == number:
                        texts.append(_Text(of, fetched_at, id_, text.encode()))
            yield from sorted(texts, key=lambda text: (text.fetched_at, text.id))

    def _spans(self, texts: list[_Text], chunk: str) -> pl.DataFrame:
        """The rows for the repeated spans of this snapshot's texts; the other texts are only compared with."""
        spans: dict[int, list[tuple[int, int, int]]] = {}
        for span in repeated_spans([text.data for text in texts], self.recipe.min_bytes):
            text = texts[span.text]
            if text.snapshot == self.snapshot:
                start, end = shortened(text.data, span.start, span.end, self.recipe.boundary)
                if start < end:
                    spans.setdefault(span.text, []).append((start, end, span.first))
        rows = []
        for number, cuts in spans.items():
            text = texts[number]
            rest = without_spans(text.data.decode(), [cut[:2] for cut in cuts], self.recipe.boundary)
            rows += [
                (
                    text.id,
                    chunk,
                    start,
                    end,
                    "repeated",
                    texts[first].id,
                    texts[first].snapshot,
                    content_hash(rest),
                    len(rest),
                )
                for start, end, first in cuts
            ]
        return self._rows(rows)

    # -- the remaining texts ------------------------------------------------------------------------------------

    def _rest(self, chunks: list[str]) -> Iterator[pl.DataFrame]:
        with workspace(self.memory_mb) as connection:
            load(connection, "cut", _CUT, self._cuts(chunks))
            load(connection, "kept", _SCHEMA, self._all_kept())
            values = {"snapshot": self.snapshot, "shortest": self.recipe.min_characters}
            for batch in connection.execute(_ENDINGS, values).to_arrow_reader(65_536):
                found = pl.from_arrow(batch).with_columns(
                    chunk=pl.lit(REST),
                    start=pl.lit(0, pl.Int64),
                    end=pl.lit(0, pl.Int64),
                    rest_characters=pl.lit(0, pl.Int64),
                )
                yield self._rows(found.select(*_FIELDS).rows())

    def _cuts(self, chunks: list[str]) -> Iterator[pa.RecordBatch]:
        """The remaining texts of the documents with repeated spans; of this snapshot only those in its `chunks`."""
        current = (pl.col("snapshot") != self.snapshot) | pl.col("chunk").is_in(chunks)
        cut = self.lake.read(REPEATED_SPANS, self.here).scan().filter(pl.col("why") == "repeated", current)
        cut = cut.select(pl.col("parents").list.first().alias("document"), "rest_hash", "rest_characters").unique()
        yield from _batches(cut, _CUT)

    def _all_kept(self) -> Iterator[pa.RecordBatch]:
        for snapshot in self.here:
            yield from _batches(self._kept(snapshot, *_DOCUMENT), _SCHEMA)

    def _rows(self, rows: list[tuple]) -> pl.DataFrame:
        frame = pl.DataFrame(rows, schema=_FIELDS, orient="row")
        ids = [row_id(REPEATED_SPANS.full_name, *key) for key in frame.select("document", "chunk", "start").iter_rows()]
        return frame.with_columns(
            id=pl.Series(ids, dtype=pl.String), parents=pl.concat_list("document"), snapshot=pl.lit(self.snapshot)
        ).select(REPEATED_SPANS.column_names)


_FIELDS = {
    "document": pl.String, "chunk": pl.String, "start": pl.Int64, "end": pl.Int64, "why": pl.String,
    "first_document": pl.String, "first_snapshot": pl.String, "rest_hash": pl.String, "rest_characters": pl.Int64,
}  # fmt: skip


def unique_documents_of(
    documents: pl.LazyFrame, duplicates: pl.LazyFrame, spans: pl.LazyFrame, recipe: Substring
) -> Iterator[pl.DataFrame]:
    """Rows of `web.unique_documents` as a stream: the documents without their repeated spans. Duplicates are left out,
    and so are documents of which too little or nothing new remains."""
    document = pl.col("parents").list.first().alias("id")
    gone = pl.concat([duplicates.select(document), spans.filter(pl.col("why") != "repeated").select(document)])
    cuts = spans.filter(pl.col("why") == "repeated").group_by(document).agg(cuts=pl.struct("start", "end"))
    columns = UNIQUE_DOCUMENTS.column_names
    rest = documents.select(columns).join(gone, on="id", how="anti").join(cuts, on="id", how="left")
    for frame in rest.collect_batches(chunk_size=8_192, engine="streaming"):
        texts = [
            text if cut is None else without_spans(text, [(c["start"], c["end"]) for c in cut], recipe.boundary)
            for text, cut in frame.select("text", "cuts").iter_rows()
        ]
        hashes = [
            known if whole else content_hash(text)
            for text, known, whole in zip(texts, frame["content_hash"], frame["cuts"].is_null(), strict=True)
        ]
        yield (
            frame.with_columns(
                id=pl.Series(
                    [row_id(UNIQUE_DOCUMENTS.full_name, document) for document in frame["id"]], dtype=pl.String
                ),
                parents=pl.concat_list("id"),
                text=pl.Series(texts, dtype=pl.String),
                content_hash=pl.Series(hashes, dtype=pl.String),
            )
            .with_columns(characters=pl.col("text").str.len_chars().cast(pl.Int64))
            .select(columns)
        )


class CascadingSpans(CascadingParts):
    """The parts of the asset's snapshot, and the parts of other snapshots that change with it.

    With the linkage `components`, an arriving snapshot can also change the duplicates of an earlier one, and with them
    the texts in which spans are looked for. Example: the texts x and z of A-1 are both kept, until B-2 brings a text
    that is like both; then z is a duplicate of x, and the span that z repeats of x must go.
    """

    table = REPEATED_SPANS

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: Substring, dedup: Dedup, **run: Any) -> None:
        super().__init__(lake, snapshot, **run)
        self.recipe, self.dedup = recipe, dedup

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        spans = SnapshotSpans(self.lake, snapshot, self.recipe, self.dedup.memory_mb, arriving=self.snapshot)
        return spans.parts()

    def earlier(self) -> list[str]:
        if self.dedup.linkage == "direct":  # a later snapshot never changes the duplicates of an earlier one
            return []
        return [snapshot for snapshot in self._participating() if snapshot < self.snapshot]

    def later(self) -> list[str]:
        return [snapshot for snapshot in self._participating() if snapshot > self.snapshot]

    def _participating(self) -> list[str]:
        return participating_snapshots(self.lake, self.table, self.snapshot, DOCUMENTS, REST)


def _batches(frame: pl.LazyFrame, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for part in frame.collect_batches(chunk_size=65_536, engine="streaming"):
        table = part.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        yield from table.cast(schema).to_batches()
