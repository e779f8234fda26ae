"""The bands of a snapshot's signatures, sorted by their hashes, so that joins read them range by range.

A join of two snapshots has to bring equal hashes together. Both snapshots keep theirs in ascending order, so any range
of hashes can be joined alone: in bounded memory, in any process of a cluster, and reading only what lies in the range.
The sorted bands follow from `web.signatures`, or from a table like it. They lie in files beside the tables of the lake
and are made again whenever the signatures of the snapshot change; deleting them loses nothing.

Texts are numbered in the order of precedence, by (fetched_at, id) of their earliest document. A snapshot has three
files: `bands` (hash of a band, text), `contents` (first 8 bytes of the content hash, text), both in ascending order,
and `texts` (document, content_hash) by number.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from nemotron_assets.dedup.hashes import int64s, leading
from nemotron_assets.dedup.workspace import load, workspace
from resources.kernels import kernel
from resources.store import store_at

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

#: The columns of `web.signatures` that are read.
COLUMNS = ("parents", "fetched_at", "content_hash", "bands")
_FOLDER = "_sorted_bands"
_DONE, _FILES = "sorted.json", ("texts", "bands", "contents")
_FRAME_ROWS = 8_192
#: Rows of a Parquet row group: what a range reads at least.
_GROUP = 1 << 18
#: Hashes that are sorted together, at 40 bytes each; and the most files that they are scattered to.
_TOGETHER, _MOST_FILES = 1 << 22, 512
_RUN = pa.schema([("hash", pa.int64()), ("text", pa.int32())])
_TEXTS = pa.schema([("document", pa.large_string()), ("content_hash", pa.large_string())])
_ROWS = pa.schema([("row", pa.int32()), ("fetched_at", pa.timestamp("us", tz="UTC")), *_TEXTS])


@dataclass(frozen=True)
class SortedBands:
    """The files of one snapshot, in a folder of a local or remote store; `texts` and `bands` are their numbers."""

    folder: str
    texts: int
    bands: int

    def run(self, name: str, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """(hashes as int64, numbers of their texts as int32) of the run `bands` or `contents` in low <= hash <= high,
        ascending by both."""
        with store_at(self.folder).open_input_file(f"{name}.parquet") as opened, pq.ParquetFile(opened) as file:
            groups = [group for group in range(file.num_row_groups) if _overlaps(file.metadata, group, low, high)]
            rows = file.read_row_groups(groups, use_threads=False).combine_chunks()
        hashes, texts = (_array(rows, column) for column in _RUN.names)
        inside = slice(np.searchsorted(hashes, low), np.searchsorted(hashes, high, side="right"))
        return hashes[inside], texts[inside]

    def documents(self, texts: np.ndarray) -> pl.DataFrame:
        """Frame of document and content_hash of the texts with these numbers, which must ascend."""
        found = [pl.DataFrame(_TEXTS.empty_table())]
        with store_at(self.folder).open_input_file("texts.parquet") as opened, pq.ParquetFile(opened) as file:
            begin = 0
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                wanted = texts[slice(*np.searchsorted(texts, [begin, end]))]
                if len(wanted):
                    rows = file.read_row_group(group, use_threads=False).take(pa.array(wanted - begin))
                    found.append(pl.from_arrow(rows))
                begin = end
        return pl.concat(found)


def ranges(count: int) -> list[tuple[int, int]]:
    """The lowest and highest hash of `count` ranges of equal width, which together have all int64."""
    bounds = [-(1 << 63) + (number << 64) // count for number in range(count + 1)]
    return [(low, high - 1) for low, high in itertools.pairwise(bounds)]


def sorted_bands(signatures: Reader, memory_mb: int) -> SortedBands:
    """The sorted bands of one snapshot's signatures, made now unless the lake has them."""
    lake, snapshot = signatures.lake, signatures.partition
    folder = f"{_place(lake, signatures)}/{_name(snapshot)}/{_name(signatures.content())}"
    if made := _made(folder):
        return made
    forget(signatures)
    batches = signatures.batches(COLUMNS, batch_size=_FRAME_ROWS, keep_memory=True)
    return write(folder, map(pl.from_arrow, batches), memory_mb)


def _made(folder: str) -> SortedBands | None:
    """The sorted bands in a folder; None unless all files are there as they were written. A kill
    while they are made or deleted may leave some of them."""
    store = store_at(folder)
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError), store.open_input_stream(_DONE) as file:
        done = json.loads(file.read())
        if done["bytes"] == _sizes(store):
            return SortedBands(folder, done["texts"], done["bands"])
    return None


def _sizes(store: Any) -> list[int | None]:
    """The bytes of the three files; None for a file that is missing."""
    return [info.size for info in store.get_file_info([f"{name}.parquet" for name in _FILES])]


def forget(signatures: Reader) -> None:
    """Delete the sorted bands of one snapshot, of all versions of its signatures."""
    with contextlib.suppress(FileNotFoundError):
        store_at(_place(signatures.lake, signatures)).delete_dir(_name(signatures.partition))


def forget_all(lake: Lakehouse) -> None:
    """Delete all sorted bands of a lake, which name documents. The next joins make them again."""
    with contextlib.suppress(FileNotFoundError):
        store_at(lake.root).delete_dir(_FOLDER)


def write(folder: str, signatures: Iterable[pl.DataFrame], memory_mb: int) -> SortedBands:
    """Sort signatures, frames of `COLUMNS`, into the files of a folder.

    Memory: 4 bytes per text, 40 bytes per hash of a range, and `memory_mb` for DuckDB, which sorts the texts.
    """
    parent, _, name = folder.rpartition("/")
    store_at(parent).create_dir(name, recursive=True)
    store = store_at(folder)
    with _Scattered() as bands, _Scattered() as contents, workspace(memory_mb) as connection:
        load(connection, "texts", _ROWS, _scattered(signatures, bands, contents))
        number = np.empty(contents.count, np.int32)
        ordered = connection.execute("select row, document, content_hash from texts order by fetched_at, document")
        done = 0
        with (
            store.open_output_stream("texts.parquet") as sink,
            pq.ParquetWriter(sink, _TEXTS, compression="none", use_dictionary=False) as file,
        ):
            for batch in ordered.to_arrow_reader(1 << 16):
                number[batch.column("row").to_numpy()] = np.arange(done, done + batch.num_rows, dtype=np.int32)
                file.write_batch(batch.select(_TEXTS.names).cast(_TEXTS))
                done += batch.num_rows
        bands.write(store, "bands", number)
        contents.write(store, "contents", number)
    made = SortedBands(folder, contents.count, bands.count)
    with store.open_output_stream(_DONE) as file:
        file.write(json.dumps({"texts": made.texts, "bands": made.bands, "bytes": _sizes(store)}).encode())
    return made


def _scattered(signatures: Iterable[pl.DataFrame], bands: _Scattered, contents: _Scattered) -> Iterator[pa.RecordBatch]:
    """The texts of the signatures as `_ROWS`; their hashes are scattered meanwhile."""
    first = 0
    for frame in signatures:
        rows = np.arange(first, first + len(frame), dtype=np.int32)
        hashes, counts = int64s(frame["bands"])
        bands.add(hashes, np.repeat(rows, counts))
        contents.add(leading(frame["content_hash"]), rows)
        first += len(frame)
        texts = frame.select(
            "fetched_at", "content_hash", row=pl.Series(rows), document=pl.col("parents").list.first()
        ).select(_ROWS.names)
        yield from texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ROWS).to_batches()


class _Scattered:
    """Pairs of (hash, row), until they are sorted.

    They wait in memory until they are too many to be sorted together. Then they are in temporary files by the leading
    bits of the hash, which are sorted file by file; when the files have too many pairs, each is divided.
    """

    def __init__(self) -> None:
        self.count, self._bits = 0, 0
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._files: list[Any] = []

    def __enter__(self) -> _Scattered:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files:
            file.close()

    def add(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        self.count += len(hashes)
        if self._files:
            self._scatter(hashes, rows)
        else:
            self._waiting.append((hashes, rows))
        if self.count > _TOGETHER << self._bits and 2 << self._bits <= _MOST_FILES:
            self._divide()

    def _scatter(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        pairs = np.empty(len(hashes), _PAIR)
        pairs["hash"], pairs["row"] = hashes, rows
        leading = (hashes.view(np.uint64) >> np.uint64(64 - self._bits)).astype(np.uint16)
        leading ^= np.uint16(1 << (self._bits - 1))  # negative hashes come first
        order = np.argsort(leading, kind="stable")
        pairs, ends = pairs[order], np.cumsum(np.bincount(leading, minlength=len(self._files)))
        for file, begin, end in zip(self._files, [0, *ends[:-1]], ends, strict=True):
            pairs[begin:end].tofile(file)

    def _divide(self) -> None:
        """Twice as many files, in two steps at once: a few divisions are enough for any number of hashes."""
        self._bits = min(self._bits + 3, _MOST_FILES.bit_length() - 1)
        old, self._files = self._files, [_temporary() for _ in range(1 << self._bits)]
        while self._waiting:
            self._scatter(*self._waiting.pop(0))
        for file in old:
            with file:
                file.seek(0)
                while len(pairs := np.fromfile(file, _PAIR, _TOGETHER)):
                    self._scatter(pairs["hash"].copy(), pairs["row"].copy())

    def write(self, store: Any, name: str, number: np.ndarray) -> None:
        """Write a run in ascending order; `number` is the number of the text of each row."""
        options = {"compression": "none", "use_dictionary": False, "column_encoding": {"hash": "DELTA_BINARY_PACKED"}}
        with store.open_output_stream(f"{name}.parquet") as sink, pq.ParquetWriter(sink, _RUN, **options) as file:
            for hashes, rows in self._together():
                file.write_table(pa.table(_sorted(hashes, number[rows]), schema=_RUN), row_group_size=_GROUP)

    def _together(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The hashes and rows that are sorted together, from the lowest hashes to the highest."""
        if not self._files:
            hashes, rows = zip((np.zeros(0, np.int64), np.zeros(0, np.int32)), *self._waiting, strict=True)
            yield np.concatenate(hashes), np.concatenate(rows)
        for file in self._files:
            file.seek(0)
            pairs = np.fromfile(file, _PAIR)
            yield pairs["hash"].copy(), pairs["row"]


_LOWEST = np.int64(-(2**63))
_PAIR = np.dtype([("hash", np.int64), ("row", np.int32)])


def _temporary() -> Any:
    return tempfile.TemporaryFile(prefix="nemotron-bands-")


def _array(rows: pa.Table, column: str) -> np.ndarray:
    chunks = rows[column].chunks
    return chunks[0].to_numpy() if chunks else np.zeros(0, _RUN.field(column).type.to_pandas_dtype())


def _overlaps(metadata: pq.FileMetaData, group: int, low: int, high: int) -> bool:
    bounds = metadata.row_group(group).column(0).statistics
    return bounds is None or not bounds.has_min_max or (bounds.min <= high and bounds.max >= low)


def _place(lake: Lakehouse, signatures: Reader) -> str:
    return f"{lake.root.rstrip('/')}/{_FOLDER}/{signatures.table.full_name}"


def _name(text: str) -> str:
    return quote(text, safe="")


@kernel
def _sorted(hashes, texts):
    """Both in ascending order of (hash, text). The hashes are as good as random: a radix sort puts them in order of
    their first 33 bits, and few of them still have to change places with a neighbour."""
    other_hashes, other_texts = np.empty_like(hashes), np.empty_like(texts)
    for shift in (31, 42, 53):
        places = np.zeros(2049, np.int64)
        for k in range(hashes.size):
            places[((hashes[k] ^ _LOWEST) >> shift & 2047) + 1] += 1
        for digit in range(2048):
            places[digit + 1] += places[digit]
        for k in range(hashes.size):
            digit = (hashes[k] ^ _LOWEST) >> shift & 2047
            other_hashes[places[digit]], other_texts[places[digit]] = hashes[k], texts[k]
            places[digit] += 1
        hashes, other_hashes = other_hashes, hashes
        texts, other_texts = other_texts, texts
    for k in range(1, hashes.size):
        value, text, place = hashes[k], texts[k], k
        while place and hashes[place - 1] > value:
            hashes[place], texts[place] = hashes[place - 1], texts[place - 1]
            place -= 1
        hashes[place], texts[place] = value, text
    begin = 0
    for end in range(1, hashes.size + 1):
        if end == hashes.size or hashes[end] != hashes[begin]:
            if end - begin > 1:
                texts[begin:end].sort()
            begin = end
    return hashes, texts
