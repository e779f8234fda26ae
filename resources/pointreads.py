"""Long values of single rows of Parquet files, without reading what lies between them.

A file of a table with `point_reads` has small pages of its long columns and an index of where these pages are, which
no reader at hand uses to skip what it does not need: each walks through the whole column. Here one column of byte
arrays is read by that index: a page is found by the row's number, and it alone is decompressed. What `ParquetWriter`
writes for such a column is understood (plain encoding, first version of data pages, no nulls); about other files
`values_at` says so, and its caller reads them in the usual way.

The layout is Apache Parquet's format specification; its structures are in Thrift's compact protocol.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit

_PLAIN, _DATA_PAGE = 0, 0


class NotIndexed(ValueError):
    """The file has no index of the column's pages, or pages of another kind."""


def values_at(path: str | os.PathLike[str], column: str, rows: Sequence[int]) -> list[bytes]:
    """The values of a column of byte arrays at these rows of a local file, counted from 0 and ascending.

    Raises `NotIndexed` where the file is not laid out for it, `IndexError` for a row it does not have.
    """
    metadata = pq.read_metadata(path)
    rows = np.asarray(rows, np.int64)
    if len(rows) and not (rows[0] >= 0 and rows[-1] < metadata.num_rows):
        raise IndexError(f"{path} has {metadata.num_rows} rows; wanted are {rows[0]} to {rows[-1]}")
    number = metadata.schema.names.index(column)
    _check(path, metadata, number)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        data.madvise(mmap.MADV_RANDOM)
        groups = _footer(data)[4]
        found: list[bytes] = []
        begin = 0
        for group, described in enumerate(groups):
            end = begin + metadata.row_group(group).num_rows
            mine = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, end)] - begin
            if len(mine):
                found += _in_group(path, data, described[1][number], mine)
            begin = end
    return found


def _check(path: str | os.PathLike[str], metadata: pq.FileMetaData, number: int) -> None:
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
    """Values at rows of one row group, whose column chunk is described by `chunk`."""
    index = np.frombuffer(data[chunk[4] : chunk[4] + chunk[5]], np.uint8)
    offsets, sizes, firsts = _locations(index)
    codec = pa.Codec("zstd") if chunk[3][4] == 6 else None
    found: list[bytes] = []
    pages = np.searchsorted(firsts, rows, side="right") - 1
    for page in np.unique(pages):
        raw = data[offsets[page] : offsets[page] + sizes[page]]
        header, place = _structure(raw, 0)
        if header[1] != _DATA_PAGE or header[5][2] != _PLAIN:
            raise NotIndexed(f"{path}: a page of kind {header[1]} and encoding {header.get(5, {}).get(2)}")
        body = memoryview(raw)[place:]
        if codec is not None:
            body = memoryview(codec.decompress(pa.py_buffer(body), header[2]))
        found += _plain(body, (rows[pages == page] - firsts[page]).tolist())
    return found


def _plain(body: memoryview, wanted: list[int]) -> list[bytes]:
    """Values of a page, each after its length in four bytes, at ascending positions."""
    found, place, position = [], 0, 0
    for want in wanted:
        while True:
            (size,) = struct.unpack_from("<I", body, place)
            if position == want:
                break
            place += 4 + size
            position += 1
        found.append(bytes(body[place + 4 : place + 4 + size]))
    return found


# -- Thrift's compact protocol ------------------------------------------------------------------------------------


def _footer(data: mmap.mmap) -> dict:
    """The file's metadata as nested structures by field number."""
    (size,) = struct.unpack("<I", data[-8:-4])
    return _structure(data[-8 - size : -8], 0)[0]


def _structure(data: bytes, place: int) -> tuple[dict, int]:
    """A structure as values by field number, and the place after it."""
    fields: dict = {}
    number = 0
    while kind := data[place]:
        place += 1
        if kind >> 4:
            number += kind >> 4
        else:
            number, place = _signed(data, place)
        fields[number], place = _value(data, place, kind & 15)
    return fields, place + 1


def _value(data: bytes, place: int, kind: int):
    if kind in (1, 2):
        return kind == 1, place
    if kind == 3:
        return data[place], place + 1
    if kind in (4, 5, 6):
        return _signed(data, place)
    if kind == 7:
        return data[place : place + 8], place + 8
    if kind == 8:
        size, place = _unsigned(data, place)
        return data[place : place + size], place + size
    if kind in (9, 10):
        size, kind = data[place] >> 4, data[place] & 15
        place += 1
        if size == 15:
            size, place = _unsigned(data, place)
        values = []
        for _ in range(size):
            # In a list, a truth value is a byte of its own.
            value, place = (data[place] == 1, place + 1) if kind in (1, 2) else _value(data, place, kind)
            values.append(value)
        return values, place
    if kind == 12:
        return _structure(data, place)
    raise NotIndexed(f"the file's metadata has a value of the unknown kind {kind}")


def _unsigned(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7


def _signed(data: bytes, place: int) -> tuple[int, int]:
    value, place = _unsigned(data, place)
    return value >> 1 ^ -(value & 1), place


@njit(cache=True)
def _varint(data, place):
    value, shift = np.int64(0), np.int64(0)
    while True:
        byte = np.int64(data[place])
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7


@njit(cache=True)
def _locations(data):
    """An OffsetIndex (a list of offset, size and first row of pages) as three arrays."""
    size, place = np.int64(data[1]) >> 4, 2  # after the header of field 1, which is the list
    if size == 15:
        size, place = _varint(data, place)
    found = np.zeros((3, size), np.int64)
    for page in range(size):
        field = np.int64(0)
        while data[place]:
            field += np.int64(data[place]) >> 4
            value, place = _varint(data, place + 1)
            found[field - 1, page] = value >> 1  # signed, but none is negative
        place += 1
    return found[0], found[1], found[2]
