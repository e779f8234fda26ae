"""Divides the texts of a window of snapshots into chunks, and searches each chunk for repeated spans.

One pass over the texts writes every text to the file of its chunk in a temporary folder. Then the chunks are searched
one after the other, several at a time where there are workers. A text is read from the lake once, whatever the number
of chunks is, and the files take less disk than the texts, because they are compressed.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import polars_hash  # noqa: F401  the .nchash namespace
import pyarrow as pa

from nemotron_assets.recipe.dedup import Substring
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.scratch import scratch_folder
from nemotron_assets.web.dedup.spans import shortened, spans_between, without_spans
from nemotron_assets.web.dedup.tables import REPEATED_SPANS
from resources.memory import give_back

if TYPE_CHECKING:
    from resources.compute import Compute

#: A text: the place of its snapshot in the window, and what orders the texts of a snapshot.
TEXT = {"place": pl.Int32, "fetched_at": pl.Datetime("us", "UTC"), "id": pl.String, "text": pl.String}
_STORED = pa.schema(
    [
        ("place", pa.int32()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("id", pa.large_string()),
        ("text", pa.large_string()),
    ]
)
#: What a worker gets: texts that are searched together, as the content of their file. One row is one task.
_PIECE = pa.schema([("id", pa.large_string()), ("chunk", pa.int64()), ("texts", pa.large_binary())])
_FIELDS = {
    "document": pl.String, "chunk": pl.String, "start": pl.Int64, "end": pl.Int64, "why": pl.String,
    "first_document": pl.String, "first_snapshot": pl.String, "rest_hash": pl.String, "rest_characters": pl.Int64,
}  # fmt: skip

# What a worker may use for a chunk, per MB of its text. The search takes about seven bytes of memory per byte of text,
# and eleven for 2 GiB or more, and about 0.1 s per MB.
_MEMORY_PER_MB = 12
_SECONDS_PER_MB = 10


def chunk_of(host: str, count: int) -> pl.Expr:
    """The number of the chunk, from 0, that a text of the host is in. All texts of a host are in one chunk."""
    return (pl.col(host).nchash.xxh3_64() % count).cast(pl.Int64)


def span_rows(frame: pl.DataFrame, snapshot: str) -> pl.DataFrame:
    """Rows of `web.repeated_spans` from a frame with the columns of `NO_SPANS`."""
    # The loop goes over spans: few, next to the texts in which they were searched for.
    ids = [row_id(REPEATED_SPANS.full_name, *key) for key in frame.select("document", "chunk", "start").iter_rows()]
    return frame.with_columns(
        id=pl.Series(ids, dtype=pl.String), parents=pl.concat_list("document"), snapshot=pl.lit(snapshot)
    ).select(REPEATED_SPANS.column_names)


NO_SPANS = pl.DataFrame(schema=_FIELDS)


class Divided:
    """Rows that were divided into numbered files of a folder.

    Rows wait in memory until they take `memory_bytes`, and are then appended to their files, so the number of files
    does not matter. A file is a sequence of Arrow streams.
    """

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        self._folder, self._memory = folder, memory_bytes
        self._waiting: list[pl.DataFrame] = []
        self._held = 0
        self.sizes: Counter[int] = Counter()
        """Bytes of text by file."""
        folder.mkdir()

    def add(self, texts: pl.DataFrame) -> None:
        """Add texts (`TEXT`) with a column "file" that numbers their files."""
        sizes = texts.group_by("file").agg(pl.col("text").str.len_bytes().cast(pl.Int64).sum())
        self.sizes.update(dict(sizes.iter_rows()))
        self._waiting.append(texts)
        self._held += int(sizes["text"].sum()) + 64 * texts.height
        if self._held >= self._memory:
            self.flush()

    def flush(self) -> None:
        """Append the texts that wait to their files."""
        options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))
        if self._waiting:
            # The loop goes over files.
            for (file,), rows in pl.concat(self._waiting).partition_by("file", as_dict=True).items():
                table = rows.select(*TEXT).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_STORED)
                with self._path(file).open("ab") as sink, pa.ipc.new_stream(sink, _STORED, options=options) as writer:
                    writer.write_table(table)
        self._waiting, self._held = [], 0

    def take(self, file: int) -> bytes:
        """The content of a file, which is deleted; b"" if it has no rows."""
        path = self._path(file)
        if not path.exists():
            return b""
        content = path.read_bytes()
        path.unlink()
        return content

    def frames(self, file: int) -> Iterator[pl.DataFrame]:
        """The texts of a file in the order in which they were added, a few MB at a time."""
        if (path := self._path(file)).exists():
            with path.open("rb") as source:
                yield from _streams(pa.PythonFile(source, "r"), path.stat().st_size)

    def _path(self, file: int) -> Path:
        return self._folder / str(file)


class Chunks:
    """The chunks of a window from number `first` on, searched in their order.

    A chunk that is too large for one suffix array, because of a large host, is searched piece by piece.
    """

    def __init__(
        self,
        texts: Iterable[pl.DataFrame],
        names: list[str],
        first: int,
        window: list[str],
        recipe: Substring,
        memory_mb: int,
        compute: Compute | None,
    ) -> None:
        """`texts` are the texts of the window with their "host", `names` are those of all chunks. The texts that wait
        to be written take at most `memory_mb`. Without `compute`, the chunks are searched in this process."""
        self.next = self._first = first
        self._names, self._window, self._recipe = names, window, recipe
        self._memory, self._limit = memory_mb << 20, int(recipe.chunk_mb * 1_000_000)
        self._end = contextlib.ExitStack()
        self._folder = self._end.enter_context(scratch_folder("nemotron-chunks-"))
        self._chunks = Divided(self._folder / "chunks", self._memory)
        for frame in texts:
            placed = frame.with_columns(file=chunk_of("host", len(names))).drop("host")
            self._chunks.add(placed.filter(pl.col("file") >= first) if first else placed)
        self._chunks.flush()
        self._open: deque[tuple[int, bool]] = deque()  # pieces in work: the chunk, and whether it is its last piece
        self._results = self._searched(compute)

    def spans(self, chunk: int) -> Iterator[pl.DataFrame]:
        """Rows of `web.repeated_spans` of a chunk. Call it with increasing numbers."""
        self.next = chunk + 1
        for frame in self._results:
            number, is_last = self._open.popleft()
            if number == chunk:
                yield frame
            if number >= chunk and is_last:
                return

    def close(self) -> None:
        """End the search, and delete the texts that were not searched."""
        self._results.close()
        self._end.close()

    def _searched(self, compute: Compute | None) -> Iterator[pl.DataFrame]:
        """The spans of every piece, in order."""
        search = functools.partial(search_piece, names=self._names, window=self._window, recipe=self._recipe)
        if compute is None or len(self._names) == 1:
            yield from (search(pl.from_arrow(piece)) for piece in self._pieces())
            return

        def fail(piece: Reject) -> None:
            raise RuntimeError(
                f"the search for repeated spans failed in chunk {piece.row_id} ({piece.cause}: {piece.detail}). A "
                f"chunk may use {workers.memory_mb} MB of memory: if it needs more, lower web.substring.chunk_mb "
                f"({self._recipe.chunk_mb})"
            )

        compute.close()  # on a Ray cluster, its idle workers have the cores that these workers need
        workers = _workers(compute, int(self._recipe.chunk_mb) + 1, len(self._names))
        try:
            yield from workers.map(self._pieces(), search, reject=fail, stage=REPEATED_SPANS.full_name)
        finally:
            workers.close()

    def _pieces(self) -> Iterator[pa.RecordBatch]:
        """The pieces of all chunks as tasks (`_PIECE`); a chunk without texts is one empty piece."""
        for chunk in range(self._first, len(self._names)):
            whole = self._chunks.sizes[chunk] <= self._limit
            pieces = iter([self._chunks.take(chunk)]) if whole else self._divided(chunk)
            waiting = next(pieces)
            for number in itertools.count(1):
                following = next(pieces, None)
                self._open.append((chunk, following is None))
                name = self._names[chunk] if whole else f"{self._names[chunk]}, piece {number}"
                yield pa.record_batch([[name], [chunk], [waiting]], schema=_PIECE)
                if following is None:
                    break
                waiting = following

    def _divided(self, chunk: int) -> Iterator[bytes]:
        """The texts of a chunk that is too large, as pieces that are not, in the order of precedence."""
        # Per text of this one chunk, memory holds its id, its time and its size: about 80 bytes.
        keys = [
            texts.select("place", "fetched_at", "id", bytes=pl.col("text").str.len_bytes().cast(pl.Int64))
            for texts in self._chunks.frames(chunk)
        ]
        ordered = pl.concat(keys).with_row_index("row").sort("place", "fetched_at", "id").select("row", "bytes")
        del keys
        ends = ordered["bytes"].cum_sum().to_numpy()
        piece_of = np.zeros(ends.size, np.int64)
        begin, count = 0, 0
        while begin < ends.size:  # over pieces
            before = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + self._limit, side="right")))
            piece_of[ordered["row"][begin:end].to_numpy()] = count
            begin, count = end, count + 1
        pieces = Divided(self._folder / f"pieces of {chunk}", self._memory)
        row = 0
        for texts in self._chunks.frames(chunk):
            pieces.add(texts.with_columns(file=pl.Series(piece_of[row : row + texts.height])))
            row += texts.height
        self._chunks.take(chunk)
        pieces.flush()
        yield from map(pieces.take, range(count))


def search_piece(piece: pl.DataFrame, names: list[str], window: list[str], recipe: Substring) -> pl.DataFrame:
    """Rows of `web.repeated_spans` for the texts of the window's last snapshot in a piece (one row of `_PIECE`). The
    other texts are only compared with."""
    (content,), chunk = piece["texts"], names[piece["chunk"][0]]
    if not content:
        return span_rows(NO_SPANS, window[-1])
    give_back()  # of the piece before this one, or of the pass that divided the texts
    texts = pl.concat(_streams(pa.BufferReader(content), len(content))).sort("place", "fetched_at", "id")
    del content
    data, offsets = _joined(texts["text"])
    texts = texts.drop("text")
    owners, starts, ends, firsts = spans_between(data, offsets, recipe.min_bytes)
    own = texts["place"].to_numpy()[owners] == len(window) - 1
    owners, starts, ends, firsts = owners[own], starts[own], ends[own], firsts[own]
    ids, places = texts["id"], texts["place"]
    rows = []
    # The loops go over texts with repeated spans, and over their spans.
    for first_span, last_span in _runs(owners):
        text = int(owners[first_span])
        whole = data[offsets[text] : offsets[text + 1]].tobytes()
        cuts = []
        for k in range(first_span, last_span):
            start, end = shortened(whole, int(starts[k]), int(ends[k]), recipe.boundary)
            if start < end:
                cuts.append((start, end, int(firsts[k])))
        if cuts:
            rest = without_spans(whole.decode(), [cut[:2] for cut in cuts], recipe.boundary)
            known = content_hash(rest), len(rest)
            rows += [
                (ids[text], chunk, start, end, "repeated", ids[first], window[places[first]], *known)
                for start, end, first in cuts
            ]
    return span_rows(pl.DataFrame(rows, schema=NO_SPANS.schema, orient="row"), window[-1])


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Begin and end of every run of equal values."""
    borders = np.flatnonzero(np.diff(values, prepend=-1, append=-1)).tolist() if values.size else []
    return itertools.pairwise(borders)


def _joined(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all texts in a row, and where each begins and the last one ends."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, offsets, data = array.buffers()
    offsets = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data or b"", np.uint8)[offsets[0] : offsets[-1]].copy()  # writable
    return data, offsets - offsets[0]


def _streams(source: pa.NativeFile, size: int) -> Iterator[pl.DataFrame]:
    """The frames of the Arrow streams that follow each other in a file."""
    while source.tell() < size:
        yield pl.from_arrow(pa.ipc.open_stream(source).read_all(), schema=TEXT)


def _workers(compute: Compute, chunk_mb: int, chunks: int) -> Compute:
    """Workers that may take as long and as much memory as a chunk needs; as many as this machine has memory for. A Ray
    cluster counts the memory of its machines itself."""
    memory_mb = max(compute.memory_mb, chunk_mb * _MEMORY_PER_MB)
    here_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    most = max(1, min(chunks, here_mb // (chunk_mb * _MEMORY_PER_MB)))
    limits = {
        "workers": compute.workers if compute.backend == "ray" else min(compute.worker_count(), most),
        "memory_mb": memory_mb,
        "row_timeout_s": max(compute.row_timeout_s, chunk_mb * _SECONDS_PER_MB),
        "max_lost_rows": 1,
        "queue": 1,
    }
    return type(compute)(**{**compute.model_dump(), **limits})
