"""Reads every file of a home, whatever it is, as cells of text: nothing that is stored stays unread.

Parquet files are decoded, lists of token ids with every tokenizer of the home. SQLite and DuckDB files are read by
query, for the names of their tables, and as bytes, because a deleted row stays in the file until the file is vacuumed.
Compressed files and archives are unpacked, everything else is read as bytes. Of weights only the names are read: see
`verify.NOT_PROVEN`.
"""

from __future__ import annotations

import contextlib
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nemotron_assets.rights.evidence import _OVERLAP, GROUP_BYTES
from nemotron_assets.rights.vocabularies import Vocabulary
from nemotron_assets.table.quoting import identifier

if TYPE_CHECKING:
    import pyarrow as pa

#: Where something is that no row of a database has, but its file.
BYTES = "bytes of the file, which deleted rows stay in until it is vacuumed"
_ROWS = 256  # rows of a table that are in memory at once
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\x04\x22\x4d\x18": "lz4"}
_NOT_UNPACKED = {b"\xfd7zXZ\0": "xz", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar"}
_SQLITE, _DUCKDB, _ZIP, _PARQUET = b"SQLite format 3\0", b"DUCK", b"PK\x03\x04", b"PAR1"
_MOST_CELL = 32 << 20  # bytes of a compressed cell
_MOST_HEADER = 64 << 20  # bytes of the header of weights

Rows = Callable[[int], str]


@dataclass(frozen=True)
class Block:
    """Some cells of a column or file. `row(k)` names cell k as far as its place is known. `line` is the number of the
    first line of a text, 0 if the cells are not lines of a file."""

    where: str
    cells: pa.Array
    row: Rows = field(default=lambda _: "")
    line: int = 0


def blocks(store: Any, path: str, local: Path | None, vocabularies: Iterable[Vocabulary]) -> Iterator[Block]:
    """The cells of the file `path` of a pyarrow file system. `local` is its path on this machine, which databases are
    opened by; None for a file in an object store."""
    import pyarrow as pa

    yield Block("name of the file", pa.array([path.encode()], pa.large_binary()))
    with store.open_input_file(path) as file:
        head = file.read(16)
        file.seek(0)
        if head.startswith(_PARQUET):
            yield from _parquet(file, vocabularies)
        elif path.endswith(".safetensors"):
            yield from _names_of_weights(file)
        elif path.endswith(".tokens"):
            yield from _tokens(file, vocabularies)
        elif (head.startswith(_SQLITE) or head[8:12] == _DUCKDB) and local is not None:
            yield from _sqlite(local) if head.startswith(_SQLITE) else _duckdb(local)
            yield from raw(file, BYTES)
        elif head.startswith(_ZIP):
            yield from _zip(file)
        else:
            yield from _unpacked(file, head)


def raw(file: Any, where: str = "") -> Iterator[Block]:
    """The bytes of a file in parts that overlap."""
    import pyarrow as pa

    line, kept = 1, b""
    while part := file.read(GROUP_BYTES - len(kept)):
        part = kept + part
        yield Block(where, pa.array([part], pa.large_binary()), line=0 if where == BYTES else line)
        kept = part[-_OVERLAP:] if len(part) >= GROUP_BYTES - _OVERLAP else b""
        line += part.count(b"\n", 0, len(part) - len(kept))


def _unpacked(file: Any, head: bytes, where: str = "") -> Iterator[Block]:
    import pyarrow as pa

    if refused := next((name for magic, name in _NOT_UNPACKED.items() if head.startswith(magic)), None):
        raise ValueError(f"it is compressed as {refused}, which is not read here: unpack it or delete it")
    kind = next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), None)
    yield from raw(pa.CompressedInputStream(file, kind) if kind else file, where)


def _zip(file: Any) -> Iterator[Block]:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                yield from _unpacked(member, member.peek(16), name)


def _names_of_weights(file: Any) -> Iterator[Block]:
    """The header of a safetensors file: the names of the tensors, and the notes about them."""
    import pyarrow as pa

    size = int.from_bytes(file.read(8), "little")
    yield Block("header", pa.array([file.read(min(size, _MOST_HEADER))], pa.large_binary()))


def _tokens(file: Any, vocabularies: Iterable[Vocabulary]) -> Iterator[Block]:
    """A mapped token shard (training/mapped.py): int32 ids after an index of int64. As int32, the index is short. It is
    read in parts that overlap."""
    import pyarrow as pa

    kept = b""
    while part := file.read(GROUP_BYTES - len(kept)):
        part = kept + part
        ids = np.frombuffer(part[: len(part) // 4 * 4], np.int32)
        for vocabulary in vocabularies:
            yield Block(f"tokens, decoded with {vocabulary.name}", pa.array([vocabulary.text(ids)], pa.large_binary()))
        kept = part[-_OVERLAP:] if len(part) == GROUP_BYTES else b""


# -- Parquet -----------------------------------------------------------------------------------------------------------


def _parquet(file: Any, vocabularies: Iterable[Vocabulary]) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
    notes = parquet.metadata.metadata or {}
    yield Block("notes of the file", pa.array([part for pair in notes.items() for part in pair], pa.large_binary()))
    for batch in parquet.iter_batches(batch_size=_ROWS, use_threads=False):
        ids = batch["id"] if "id" in batch.schema.names else None
        charsets = batch["charset"].to_pylist() if "charset" in batch.schema.names else None
        rows = np.arange(batch.num_rows)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for where, cells, of in _leaves(name, column, rows, vocabularies):
                label = (lambda k, of=of, ids=ids: str(ids[int(of[k])])) if ids is not None else (lambda _: "")
                if charsets and name == "html":
                    cells = pa.array(map(_in_utf8, cells.to_pylist(), charsets), pa.large_binary())
                yield Block(where, cells, label)


def _leaves(
    name: str, array: pa.Array, rows: np.ndarray, vocabularies: Iterable[Vocabulary]
) -> Iterator[tuple[str, pa.Array, np.ndarray]]:
    """(name, cells, their rows) of every column of texts or token ids inside a column."""
    import pyarrow as pa
    import pyarrow.types as t

    kind = array.type
    if t.is_dictionary(kind):
        yield from _leaves(name, array.dictionary_decode(), rows, vocabularies)
    elif t.is_struct(kind):
        for inner, values in zip(kind, array.flatten(), strict=True):
            yield from _leaves(f"{name}.{inner.name}", values, rows, vocabularies)
    elif t.is_map(kind):
        for part, values in (("key", array.keys), ("value", array.items)):
            yield from _leaves(f"{name}.{part}", values, np.repeat(rows[:1], len(values)), vocabularies)
    elif t.is_list(kind) or t.is_large_list(kind):
        array = array.cast(pa.large_list(kind.value_type))
        sizes = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        if t.is_integer(kind.value_type):
            values = array.flatten().fill_null(-1).cast(pa.int64()).to_numpy()
            ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            for vocabulary in vocabularies:
                yield f"{name}, decoded with {vocabulary.name}", vocabulary.texts(values, ends), rows
        else:
            yield from _leaves(name, array.flatten(), np.repeat(rows, sizes), vocabularies)
    elif t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind) or t.is_large_binary(kind):
        yield name, array, rows
    elif t.is_string_view(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        yield name, array.cast(pa.large_binary()), rows


def _in_utf8(data: bytes | None, charset: str | None) -> bytes | None:
    """The bytes of a page in UTF-8, if they are in another encoding."""
    if data is None or not charset or charset.lower().replace("-", "") in ("utf8", "ascii", "usascii"):
        return data
    try:
        return data.decode(charset, "replace").encode()
    except (LookupError, UnicodeError):
        return data


# -- databases ---------------------------------------------------------------------------------------------------------


def _sqlite(path: Path) -> Iterator[Block]:
    """The texts in all tables of a SQLite file, also in compressed cells. Rows that are only in the write-ahead log are
    found in its file."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("select name, sql from sqlite_master where type = 'table'").fetchall()
        for name, sql in tables:
            key = "null" if b"without rowid" in (sql or b"").lower() else "rowid"
            found = connection.execute(f"select {key}, * from {identifier(name.decode())}")
            columns = [column[0] for column in found.description[1:]]
            yield from _of_rows(f"table {name.decode()}", columns, iter(lambda f=found: f.fetchmany(_ROWS), []))


def _duckdb(path: Path) -> Iterator[Block]:
    """The texts in the tables of a DuckDB file, and the definitions and comments of its views. Views are not run: what
    they read is read as files."""
    import duckdb

    with contextlib.closing(duckdb.connect(str(path), read_only=True)) as connection:
        connection.execute("set enable_external_access = false")
        named = "select schema_name, table_name from duckdb_tables() where not internal"
        queries = {f"table {s}.{t}": f"select * from {identifier(s, t)}" for s, t in connection.sql(named).fetchall()}
        queries["views"] = "select view_name, sql, comment from duckdb_views() where not internal"
        queries["columns"] = "select table_name, column_name, comment from duckdb_columns() where not internal"
        queries["macros"] = "select function_name, macro_definition from duckdb_functions() where not internal"
        for where, query in queries.items():
            found = connection.execute(query)
            columns, number = [column[0] for column in found.description], itertools.count(1)
            parts = iter(lambda f=found: f.fetchmany(_ROWS), [])
            rows = ([(next(number), *row) for row in part] for part in parts)
            yield from _of_rows(where, columns, rows)


def _of_rows(where: str, columns: list[str], parts: Iterable[list[tuple[Any, ...]]]) -> Iterator[Block]:
    """The cells of rows whose first value is the number of the row."""
    import pyarrow as pa

    for part in parts:
        numbers, *values = zip(*part, strict=True)
        for column, cells in zip(columns, values, strict=True):
            data = [_bytes(cell) for cell in cells]
            if any(data):
                yield Block(
                    f"{where}, column {column}",
                    pa.array(data, pa.large_binary()),
                    lambda k, numbers=numbers: "" if numbers[k] is None else f"row {numbers[k]}",
                )


def _bytes(cell: Any) -> bytes | None:
    """The bytes of a text or a compressed cell; None for a number."""
    if isinstance(cell, bytes):
        if cell[:1] == b"\x78":  # zlib, by which Dagster stores the definitions of jobs
            with contextlib.suppress(zlib.error):
                tool = zlib.decompressobj()
                data = tool.decompress(cell, _MOST_CELL)
                if tool.unconsumed_tail:
                    raise ValueError(f"a compressed cell has more than {_MOST_CELL:,} bytes, which are not all read")
                return data
        return cell
    return str(cell).encode() if isinstance(cell, str | list | dict) else None
