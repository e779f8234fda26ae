"""Reads long values of single rows from Parquet files without reading the rest of the column.

A file of a table with `point_reads` has small pages of its long columns, and an index of where these pages are. The
other readers (polars, DuckDB, DataFusion) do not use this index and read the whole column. This module reads one column
of byte arrays by the index: it finds the page of a row by the row's number and decompresses only this page. It reads
what `ParquetWriter` writes for such a column: plain encoding, version 1 data pages, no nulls. For any other file
`values_at` raises `NotIndexed`, and the caller reads the file in the usual way.

The layout is described in the specification of Apache Parquet; its structures are encoded in Thrift's compact protocol.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resources import thrift
from resources.kernels import kernel

_PLAIN, _DATA_PAGE = 0, 0


class NotIndexed(ValueError):
    """The file has no index of the column's pages, or it is encoded in a way that this module does not read."""


def values_at(path: str | os.PathLike[str], column: str, rows: Sequence[int]) -> list[bytes]:
    """The values of a column of byte arrays at some rows of a local file. `rows` are ascending and counted from 0.

    Raises `NotIndexed` if the file is not laid out for single rows, `IndexError` for a row that it does not have, and
    `OSError` for a page that differs from its checksum.
    """
    metadata = pq.read_metadata(path)
    rows = np.asarray(rows, np.int64)
    if len(rows) and not (rows[0] >= 0 and rows[-1] < metadata.num_rows):
        raise IndexError(f"{path} has {metadata.num_rows} rows, so rows {rows[0]} to {rows[-1]} cannot be read")
    number = metadata.schema.names.index(column)
    _check(path, metadata, number)
    try:
        return _values_at(path, number, metadata, rows)
    except thrift.Undecodable as problem:
        raise NotIndexed(f"{path}: {problem}") from problem


def _values_at(path: str | os.PathLike[str], number: int, metadata: pq.FileMetaData, rows: np.ndarray) -> list[bytes]:
    """The values of column `number` at some rows."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        data.madvise(mmap.MADV_RANDOM)
        groups = _footer(data)[4]
        found: list[bytes] = []
        begin = 0
        for group, described in enumerate(groups):
            end = begin + metadata.row_group(group).num_rows
            wanted = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, end)] - begin
            if len(wanted):
                found += _in_group(path, data, described[1][number], wanted)
            begin = end
    return found


def _check(path: str | os.PathLike[str], metadata: pq.FileMetaData, number: int) -> None:
    """Raise `NotIndexed` if a column has no index of its pages or another encoding."""
    schema = metadata.schema.column(number)
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(number)
        if (
            chunk.physical_type != "BYTE_ARRAY"
            or schema.max_definition_level
            or schema.max_repetition_level
            or chunk.has_dictionary_page
            or chunk.compression not in ("ZSTD", "UNCOMPRESSED")
            or not chunk.has_offset_index
        ):
            raise NotIndexed(f"{path}: column {schema.name!r} is not laid out for reading single rows")


def _in_group(path: str | os.PathLike[str], data: mmap.mmap, chunk: dict, rows: np.ndarray) -> list[bytes]:
    """The values at rows of one row group. `chunk` is the metadata of its column chunk, by field number."""
    index = np.frombuffer(data[chunk[4] : chunk[4] + chunk[5]], np.uint8)
    offsets, sizes, firsts = _locations(index)
    codec = pa.Codec("zstd") if chunk[3][4] == 6 else None
    found: list[bytes] = []
    pages, begins = np.unique(np.searchsorted(firsts, rows, side="right") - 1, return_index=True)
    for page, wanted in zip(pages.tolist(), np.split(rows, begins[1:]), strict=True):
        raw = data[offsets[page] : offsets[page] + sizes[page]]
        kind, size, checksum, encoding, place = _page_header(np.frombuffer(raw, np.uint8))
        if min(place, size) < 0 or kind != _DATA_PAGE or encoding != _PLAIN:
            raise NotIndexed(f"{path}: cannot read a page of kind {kind} and encoding {encoding}")
        body = memoryview(raw)[place:]
        if checksum >= 0 and zlib.crc32(body) != checksum:
            raise OSError(f"{path}: a page of {len(body)} bytes at {offsets[page]} differs from its checksum")
        if codec is not None:
            body = memoryview(codec.decompress(pa.py_buffer(body), size))
        values = _plain(np.frombuffer(body, np.uint8), wanted - firsts[page])
        if values is None:
            raise NotIndexed(f"{path}: a page of {len(body)} bytes at {offsets[page]} has too few values")
        found += [bytes(body[start:end]) for start, end in values.tolist()]
    return found


def _footer(data: mmap.mmap) -> dict:
    """The file's metadata as nested structures, by field number."""
    (size,) = struct.unpack("<I", data[-8:-4])
    return thrift.structure(data[-8 - size : -8], 0)[0]


@kernel
def _varint(data, place):
    value, shift = np.int64(0), np.int64(0)
    while place < data.size:
        byte = np.int64(data[place])
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return value, place


@kernel
def _page_header(data):
    """(kind of the page, size of its body before compression, its checksum, encoding of its values, place of its body),
    each -1 if the header lacks it; the place is -1 for a header that writers of Parquet do not make."""
    kind, size, checksum, encoding = np.int64(-1), np.int64(-1), np.int64(-1), np.int64(-1)
    fields, depth, place = np.zeros(4, np.int64), 0, 0
    while place < data.size:
        head = np.int64(data[place])
        place += 1
        if head == 0:  # the end of a structure
            if depth == 0:
                return kind, size, checksum, encoding, place
            depth -= 1
            continue
        fields[depth] += head >> 4
        if head & 15 == 12:  # a structure
            depth += 1
            if depth == fields.size:
                break
            fields[depth] = 0
        elif head >> 4 == 0 or not (1 <= head & 15 <= 6 or head & 15 == 8):
            break
        elif head & 15 == 3:  # a byte
            place += 1
        elif head & 15 > 3:
            value, place = _varint(data, place)
            if head & 15 == 8:  # bytes
                if not 0 <= value <= data.size - place:
                    break
                place += value
                continue
            value = value >> 1 ^ -(value & 1)
            if depth == 0 and fields[0] == 1:
                kind = value
            elif depth == 0 and fields[0] == 2:
                size = value
            elif depth == 0 and fields[0] == 4:
                checksum = value & 0xFFFFFFFF
            elif depth == 1 and fields[0] == 5 and fields[1] == 2:
                encoding = value
    return kind, size, checksum, encoding, -1


@kernel
def _plain(body, wanted):
    """The starts and ends, int64[values, 2], of the values at ascending positions of a page, where four bytes with its
    length precede each value. None if the page ends before."""
    found = np.empty((wanted.size, 2), np.int64)
    place, position = np.int64(0), np.int64(0)
    for k in range(wanted.size):
        while True:
            if place + 4 > body.size:
                return None
            start, size = place + 4, np.int64(0)
            for byte in range(4):
                size |= np.int64(body[place + byte]) << 8 * byte
            if start + size > body.size:
                return None
            if position == wanted[k]:
                found[k, 0], found[k, 1] = start, start + size
                break
            place, position = start + size, position + 1
    return found


@kernel
def _locations(data):
    """An OffsetIndex as three arrays: the offset, the size and the first row of each page."""
    size, place = np.int64(data[1]) >> 4, 2  # the list follows the header of field 1
    if size == 15:
        size, place = _varint(data, place)
    found = np.zeros((3, size), np.int64)
    for page in range(size):
        field = np.int64(0)
        while data[place]:
            field += np.int64(data[place]) >> 4
            value, place = _varint(data, place + 1)
            found[field - 1, page] = value >> 1  # zigzag encoding of a value that is never negative
        place += 1
    return found[0], found[1], found[2]
