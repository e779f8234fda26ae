"""Which texts share a band of their signatures: joined in DuckDB, behind a filter that lets only few bands in.

The bands of all earlier snapshots outnumber those of a new one by far, and nearly none of them meet. A bitmap over the
new snapshot's bands tells so at a nanosecond each while the old ones stream by; a few in a thousand pass by chance and
are let go by the join.

In a band that many texts share (pages of one template), each is paired with the earliest `max_bucket` others only, and
with as many that come just before it (of another snapshot: the latest), so that pairs grow with the texts and not with
their square. The earliest of a group of near-duplicates are those that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from nemotron_assets.dedup.bitmap import Bitmap
from nemotron_assets.dedup.workspace import load

#: What is read of `web.signatures`.
COLUMNS = ("parents", "fetched_at", "content_hash", "bands")
_FRAME_ROWS = 65_536

_TEXTS = pa.schema(
    [
        ("row", pa.int64()),
        ("document", pa.large_string()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("content_hash", pa.large_string()),
    ]
)
_BANDS = pa.schema([("band", pa.int64()), ("row", pa.int64())])

_WITHIN = """
with
    own as (
        select band, row, row_number() over (partition by band order by fetched_at, document) as place
        from shared join mine using (row)
    ),
    pairs as (
        select late.row as late, early.row as early
        from own early join own late using (band)
        where early.place < late.place and early.row <> late.row and early.place <= $most
        union
        select late.row, early.row
        from (select *, unnest(range(1, $most + 1)) as back from own where place > $most + 1) late
        join own early on early.band = late.band and early.place = late.place - late.back
        where early.row <> late.row
    )
select late.document as document, late.content_hash as content_hash,
       early.document as other, early.content_hash as other_content_hash
from pairs join mine late on late.row = pairs.late join mine early on early.row = pairs.early
"""

# A text that is in both snapshots has all its bands in both, so it is surely among those that passed the filter.
_BETWEEN = """
with
    common as (select mine.row as row, theirs.row as other_row from mine join theirs using (content_hash)),
    others as (
        select band, row, row_number() over (partition by band order by fetched_at, document) as place,
               count(*) over (partition by band) as size
        from passed join theirs using (row)
        where row not in (select other_row from common)
    ),
    pairs as (
        select distinct bands.row as row, others.row as other_row
        from bands join others using (band)
        where (place <= $most or place > size - $most) and bands.row not in (select row from common)
    )
select mine.document as document, mine.content_hash as content_hash,
       theirs.document as other, theirs.content_hash as other_content_hash
from pairs join mine using (row) join theirs on theirs.row = pairs.other_row
"""


class BandIndex:
    """The bands of one snapshot, to be joined with those of others. Memory: the bitmap, and what DuckDB is given."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        mine: Iterable[pl.DataFrame],
        bands: int,
        max_bucket: int,
        bitmap_mb: int = 1_024,
    ) -> None:
        """`mine` are frames of `COLUMNS` with about `bands` bands in all."""
        self._connection, self._most = connection, max_bucket
        self._bitmap = Bitmap(bands, bitmap_mb)
        texts: list[pa.RecordBatch] = []
        load(connection, "bands", _BANDS, self._index(mine, texts))
        load(connection, "mine", _TEXTS, texts)

    def _index(self, mine: Iterable[pl.DataFrame], texts: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        row = 0
        for frame in mine:
            values, offsets = _flat(frame["bands"])
            self._bitmap.add(values)
            rows = np.arange(row, row + len(frame))
            texts += _texts(frame, rows)
            yield pa.record_batch([pa.array(values), pa.array(np.repeat(rows, np.diff(offsets)))], schema=_BANDS)
            row += len(frame)

    def within(self) -> None:
        """Make the table `candidates` of the pairs inside the snapshot, the later document first."""
        with self._connection.cursor() as cursor:
            bands = cursor.execute("from bands").to_arrow_reader(1 << 20)
            load(self._connection, "shared", _BANDS, (self._repeated(batch) for batch in bands))
        self._candidates(_WITHIN)

    def between(self, theirs: Iterable[pl.DataFrame]) -> None:
        """Make the table `candidates` of the pairs with another snapshot, whose frames of `COLUMNS` are given. Texts
        that are in both have their pairs within each; they are left out."""
        texts: list[pa.RecordBatch] = []
        load(self._connection, "passed", _BANDS, self.passing(theirs, texts))
        load(self._connection, "theirs", _TEXTS, texts)
        self._candidates(_BETWEEN)

    def passing(self, theirs: Iterable[pl.DataFrame], texts: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The bands of another snapshot that may be in this one as well; their texts are added to `texts`."""
        row = 0
        for frame in theirs:
            values, offsets = _flat(frame["bands"])
            found = self._bitmap.passing(values)
            if len(found):
                owners = np.searchsorted(offsets, found, side="right") - 1
                rows = np.unique(owners)
                texts += _texts(frame.drop("bands")[rows], rows + row)
                yield pa.record_batch([pa.array(values[found]), pa.array(owners + row)], schema=_BANDS)
            row += len(frame)

    def _candidates(self, query: str) -> None:
        self._connection.execute(f"create or replace table candidates as {query}", {"most": self._most})

    def _repeated(self, bands: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch of `bands` whose band another text may have as well."""
        return bands.take(pa.array(self._bitmap.repeated(bands.column("band").to_numpy())))


def frames(signatures: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Frames of `COLUMNS`, as they stream by."""
    yield from signatures.select(COLUMNS).collect_batches(chunk_size=_FRAME_ROWS, engine="streaming")


def _flat(bands: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """All bands of a frame as int64, and where in them those of each row begin."""
    column = bands.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    if data is None:
        return np.zeros(0, np.int64), np.zeros(len(column) + 1, np.int64)
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].view("<i8"), (offsets - offsets[0]) // 8


def _texts(frame: pl.DataFrame, rows: np.ndarray) -> list[pa.RecordBatch]:
    texts = frame.select(
        row=pl.Series(rows, dtype=pl.Int64),
        document=pl.col("parents").list.first(),
        fetched_at="fetched_at",
        content_hash="content_hash",
    )
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_TEXTS).to_batches()
