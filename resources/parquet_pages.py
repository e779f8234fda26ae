"""Finds out how much memory a Parquet file of unknown origin takes, before any of it is decompressed.

A reader decompresses a page of a column as a whole, and a page of a few kilobytes may grow to two gigabytes. The
headers of the pages say how much they grow to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from resources import thrift
from resources.gunzip import Window

if TYPE_CHECKING:
    import pyarrow.parquet as pq

#: Bytes in which a page's header ends, if it holds short values or long ones.
_HEADER, _LONG_HEADER = 1 << 12, 1 << 25
#: Pages of one column chunk whose headers are read.
_MAX_PAGES = 1_000_000


class TooLargePage(ValueError):
    """A page of the file grows to more than is allowed, or the headers of its pages cannot be read."""


def check_pages(
    stream: BinaryIO, metadata: pq.FileMetaData, columns: set[str], most: int, groups: Iterable[int] | None = None
) -> None:
    """Raise `TooLargePage` if a page of the named columns has more than `most` bytes after decompression. `groups` are
    the numbers of the row groups, by default all."""
    window = Window(stream)
    for number in range(metadata.num_row_groups) if groups is None else groups:
        group = metadata.row_group(number)
        for chunk in (group.column(place) for place in range(group.num_columns)):
            if chunk.path_in_schema in columns:
                _check_chunk(window, chunk, most, f"row group {number}, column {chunk.path_in_schema!r}")


def _check_chunk(window: Window, chunk: pq.ColumnChunkMetaData, most: int, where: str) -> None:
    begins = [offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset]
    at = min(begins, default=0)
    end = at + chunk.total_compressed_size
    for _ in range(_MAX_PAGES):
        if at >= end:
            return
        header, length = _header(window, at, where)
        size, packed = header.get(2), header.get(3)
        if not all(isinstance(number, int) and number >= 0 for number in (size, packed)):
            raise TooLargePage(f"{where}: a page has no size")
        if size > most:
            raise TooLargePage(f"{where}: a page has {size:,} bytes after decompression; at most {most:,} are read")
        at += length + packed
    raise TooLargePage(f"{where}: more than {_MAX_PAGES:,} pages")


def _header(window: Window, at: int, where: str) -> tuple[dict, int]:
    """The header of the page at an offset, by field number, and its length."""
    for size in (_HEADER, _LONG_HEADER):
        try:
            return thrift.structure(window.read(at, size), 0)
        except thrift.Undecodable as problem:
            why = problem
    raise TooLargePage(f"{where}: {why}")
