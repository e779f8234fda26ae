"""Reads every data file of a table and compares it with what the Delta log recorded about it.

A file is compared by its xxh3-128 hash, which its commit recorded in its name, its size and its number of rows. A file
that an earlier version of the program wrote has no recorded hash: it is decoded to the end, and its rows are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nemotron_assets.table.counting import counted
from nemotron_assets.table.schema import Table
from resources.contract import LakeError
from resources.lakehouse.errors import is_about_data, way_out
from resources.lakehouse.reader import Reader
from resources.lakehouse.stored import StoredFile, read
from resources.store import store_at

_BLOCK = 4 << 20


@dataclass(frozen=True)
class Damage:
    """A data file that differs from what its commit recorded."""

    table: Table
    path: str
    file: StoredFile
    problem: str

    def __str__(self) -> str:
        return f"{self.table.full_name}: the data file {self.path} {self.problem}. {way_out(self.table, self.file)}"


def damaged_files(reader: Reader) -> Iterator[Damage]:
    """The files of a reader's partitions that are missing or damaged."""
    store = store_at(reader.lake.path(reader.table))
    for file in reader.stored():
        if problem := _problem(reader, store, file):
            yield Damage(reader.table, f"{reader.lake.path(reader.table)}/{file.path}", file, problem)


def why_unreadable(reader: Reader) -> str:
    """Why a table, or a partition of it, cannot be read, as far as its log and the list of its files say: a damaged log
    or a missing file. "" if neither is the case. No data file is read."""
    if reader.lake.is_local:
        store = store_at(reader.lake.path(reader.table))
        for file in reader.stored():
            if store.get_file_info(file.path).size is None:
                path = f"{reader.lake.path(reader.table)}/{file.path}"
                return str(Damage(reader.table, path, file, "is missing"))
    return ""


def damage_behind(error: BaseException, readers: Callable[[], Iterable[Reader]]) -> LakeError | None:
    """The damaged or missing file that made reading fail. None if the error has another cause.

    polars reads files late and names none of them, so all files that were to be read are looked at.
    """
    if is_about_data(error):
        for reader in readers():
            for damage in damaged_files(reader):
                return LakeError(str(damage))
    return None


def _problem(reader: Reader, store: Any, file: StoredFile) -> str:
    """What is wrong with a file; "" if it is as its commit recorded it."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import xxhash

    size, hash_ = 0, xxhash.xxh3_128()
    try:
        with store.open_input_stream(file.path) as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                hash_.update(block)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    if size != file.bytes:
        return f"has {counted(size, 'byte')}; its commit recorded {file.bytes:,}"
    if file.hash is not None and hash_.hexdigest() != file.hash:
        return f"has the xxh3-128 hash {hash_.hexdigest()}; its commit recorded {file.hash}"
    try:
        if file.hash is not None:
            with store.open_input_file(file.path) as stream:
                rows = pq.read_metadata(stream).num_rows
        else:
            rows = sum(batch.num_rows for batch in read(reader.lake, reader.table, [file]))
    except (pa.ArrowException, OSError, LakeError) as error:
        return f"cannot be decoded: {str(error).splitlines()[0]}"
    if file.rows is not None and rows != file.rows:
        return f"has {counted(rows, 'row')}; its commit recorded {file.rows:,}"
    return ""
