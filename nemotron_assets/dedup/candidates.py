"""Candidates for near-duplicates: pairs of texts that share a band of their signatures, joined in DuckDB.

The bands of all earlier snapshots outnumber those of a new snapshot by far, and nearly none of them occur in it. So the
old bands stream through a Bloom filter of the new snapshot's bands, which takes a nanosecond per band. The few in a
thousand that pass by chance are dropped by the join.

Many texts may share a band, such as the pages of one template. In such a bucket each text is paired only with the
earliest `max_bucket` others and with as many that come just before it (between snapshots: with the latest ones). So the
number of pairs grows with the number of texts and not with its square. Of a group of near-duplicates the earliest text
is kept, which is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from nemotron_assets.dedup.bloom import BloomFilter
from nemotron_assets.dedup.workspace import load

#: The columns of `web.signatures` that are read.
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

# Pairs inside the snapshot. `shared` has the bands that at least two of its texts may have.
_WITHIN = """
with
    ranked as (
        select band, row, row_number() over (partition by band order by fetched_at, document) as place
        from shared join texts using (row)
    ),
    pairs as (
        select late.row as late, early.row as early
        from ranked early join ranked late using (band)
        where early.place < late.place and early.row <> late.row and early.place <= $most
        union
        select late.row, early.row
        from (select *, unnest(range(1, $most + 1)) as back from ranked where place > $most + 1) late
        join ranked early on early.band = late.band and early.place = late.place - late.back
        where early.row <> late.row
    )
select late.document as document, late.content_hash as content_hash,
       early.document as other, early.content_hash as other_content_hash
from pairs join texts late on late.row = pairs.late join texts early on early.row = pairs.early
"""

# Pairs with another snapshot. `other_bands` has its bands that passed the filter, and `other_texts` the texts that have
# them. A text that is in both snapshots has all its bands in both, so the filter certainly lets it pass.
_BETWEEN = """
with
    common as (
        select texts.row as row, other_texts.row as other_row from texts join other_texts using (content_hash)
    ),
    ranked as (
        select band, row, row_number() over (partition by band order by fetched_at, document) as place,
               count(*) over (partition by band) as size
        from other_bands join other_texts using (row)
        where row not in (select other_row from common)
    ),
    pairs as (
        select distinct bands.row as row, ranked.row as other_row
        from bands join ranked using (band)
        where (place <= $most or place > size - $most) and bands.row not in (select row from common)
    )
select texts.document as document, texts.content_hash as content_hash,
       other_texts.document as other, other_texts.content_hash as other_content_hash
from pairs join texts using (row) join other_texts on other_texts.row = pairs.other_row
"""


class BandIndex:
    """The bands of one snapshot, ready to be joined with themselves and with the bands of other snapshots.

    Memory: the Bloom filter, and what DuckDB is given.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        signatures: Iterable[pl.DataFrame],
        bands: int,
        max_bucket: int,
        filter_mb: int = 1_024,
    ) -> None:
        """`signatures` are frames of `COLUMNS` with about `bands` bands in all; `filter_mb` bounds the filter."""
        self._connection, self._most = connection, max_bucket
        self._filter = BloomFilter(bands, filter_mb)
        texts: list[pa.RecordBatch] = []
        load(connection, "bands", _BANDS, self._index(signatures, texts))
        load(connection, "texts", _TEXTS, texts)

    def _index(self, signatures: Iterable[pl.DataFrame], texts: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        row = 0
        for frame in signatures:
            values, offsets = _flat(frame["bands"])
            self._filter.add(values)
            rows = np.arange(row, row + len(frame))
            texts += _texts(frame, rows)
            yield pa.record_batch([pa.array(values), pa.array(np.repeat(rows, np.diff(offsets)))], schema=_BANDS)
            row += len(frame)

    def join_itself(self) -> None:
        """Make the table `candidates` of the pairs inside the snapshot, the later document first."""
        with self._connection.cursor() as cursor:
            bands = cursor.execute("from bands").to_arrow_reader(1 << 20)
            load(self._connection, "shared", _BANDS, (self._repeated(batch) for batch in bands))
        self._make_candidates(_WITHIN)

    def join_with(self, others: Iterable[pl.DataFrame]) -> None:
        """Make the table `candidates` of the pairs with another snapshot; `others` are its frames of `COLUMNS`.

        Texts that are in both snapshots are left out: their pairs are found inside each of them.
        """
        texts: list[pa.RecordBatch] = []
        load(self._connection, "other_bands", _BANDS, self.matching_bands(others, texts))
        load(self._connection, "other_texts", _TEXTS, texts)
        self._make_candidates(_BETWEEN)

    def matching_bands(self, others: Iterable[pl.DataFrame], texts: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The bands of another snapshot that may occur in this one too; the texts that have them are added to
        `texts`."""
        row = 0
        for frame in others:
            values, offsets = _flat(frame["bands"])
            found = self._filter.find(values)
            if len(found):
                owners = np.searchsorted(offsets, found, side="right") - 1
                rows = np.unique(owners)
                texts += _texts(frame.drop("bands")[rows], rows + row)
                yield pa.record_batch([pa.array(values[found]), pa.array(owners + row)], schema=_BANDS)
            row += len(frame)

    def _make_candidates(self, query: str) -> None:
        self._connection.execute(f"create or replace table candidates as {query}", {"most": self._most})

    def _repeated(self, bands: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch of `bands` whose band another text may have too."""
        return bands.take(pa.array(self._filter.find_repeated(bands.column("band").to_numpy())))


def frames(signatures: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """A table of signatures as a stream of frames of `COLUMNS`."""
    yield from signatures.select(COLUMNS).collect_batches(chunk_size=_FRAME_ROWS, engine="streaming")


def _flat(bands: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """(all bands of a frame as int64, the offsets at which the bands of each row begin: one more than rows)."""
    column = bands.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    if data is None:
        return np.zeros(0, np.int64), np.zeros(len(column) + 1, np.int64)
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].view("<i8"), (offsets - offsets[0]) // 8


def _texts(frame: pl.DataFrame, rows: np.ndarray) -> list[pa.RecordBatch]:
    """The texts of a frame as batches of `_TEXTS`, numbered by `rows`."""
    texts = frame.select(
        row=pl.Series(rows, dtype=pl.Int64),
        document=pl.col("parents").list.first(),
        fetched_at="fetched_at",
        content_hash="content_hash",
    )
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_TEXTS).to_batches()
