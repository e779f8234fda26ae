"""Checks the write contract of a table: what a stage returns becomes record batches with exactly the declared columns.

Also computes the order-independent hash of the written rows, and the preview that Dagster shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.markdown import markdown_row
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import pyarrow as pa


def shortened(text: str, longest: int = 200) -> str:
    """The first characters of a library's message, which may go on with data of the library for many lines."""
    return text if len(text) <= longest else f"{text[:longest]} ..."


class LakeError(RuntimeError):
    """The lake cannot do what it was asked to do. The message names the table, the reason and how to go on."""


class ContractError(LakeError):
    """The data does not have the columns that its table declares. Nothing was committed."""


class OutOfDate(LakeError):
    """Another version of the program wrote the table, with an incompatible schema."""


class CommitConflict(LakeError):
    """Another writer committed to the same partition meanwhile. The whole write has to run again."""


def checked(table: Table, data: Any, partition: str | None, part: str | None = None) -> Iterator[pa.RecordBatch]:
    """Yield `data` as record batches with exactly the declared schema.

    With `partition` or `part`, all rows must have that value in the partition or part column. Raises `ContractError`,
    which names every problem of the first wrong batch.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = table.arrow_schema()
    for raw in _batches(data):
        problems = [f"missing column {n!r}" for n in schema.names if n not in raw.schema.names]
        problems += [f"undeclared column {n!r}" for n in raw.schema.names if n not in schema.names]
        arrays = {}
        for name in set(schema.names) & set(raw.schema.names):
            array, wanted = raw.column(name), schema.field(name)
            if not _same_type(array.type, wanted.type):
                problems.append(f"column {name!r} is {array.type}, declared {wanted.type}")
            elif array.null_count and not wanted.nullable:
                problems.append(f"column {name!r} has {array.null_count} nulls and is declared without")
            else:
                arrays[name] = array.cast(wanted.type)
        for column, value in ((table.partition_by, partition), (table.part_by, part)):
            if column in arrays and value is not None and not problems:
                other = pc.filter(arrays[column], pc.not_equal(arrays[column], value))
                if len(other):
                    problems.append(f"column {column!r} holds {other[0].as_py()!r} in the partition or part {value!r}")
        if problems:
            raise ContractError(f"{table.full_name}: {'; '.join(problems)}. Nothing was written.")
        yield pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _batches(data: Any) -> Iterator[pa.RecordBatch]:
    """Yield what a stage returns as record batches."""
    import polars as pl
    import pyarrow as pa

    if isinstance(data, pl.LazyFrame):
        data = data.collect_batches(chunk_size=65_536, engine="streaming")
    if isinstance(data, pa.RecordBatch):
        if data.num_rows:
            yield data
    elif isinstance(data, pa.Table):
        yield from (b for b in data.to_batches(max_chunksize=65_536) if b.num_rows)
        if not data.num_rows:
            yield pa.RecordBatch.from_pylist([], data.schema)
    elif isinstance(data, pl.DataFrame):
        yield from _batches(data.to_arrow(compat_level=pl.CompatLevel.oldest()))
    elif isinstance(data, Iterable):
        for item in data:
            yield from _batches(item)
    else:
        raise LakeError(
            f"cannot store a {type(data).__name__}: return a frame, a record batch reader, or an iterable of frames"
        )


def _same_type(actual: pa.DataType, declared: pa.DataType) -> bool:
    """Whether two types differ at most in the width of their offsets (string, large_string), which Delta ignores."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_large_list(declared):
        lists = t.is_list(actual) or t.is_large_list(actual)
        return lists and (t.is_null(actual.value_type) or _same_type(actual.value_type, declared.value_type))
    if t.is_large_string(declared):
        return t.is_string(actual) or t.is_large_string(actual) or t.is_string_view(actual)
    if t.is_large_binary(declared):
        return t.is_binary(actual) or t.is_large_binary(actual) or t.is_binary_view(actual)
    if t.is_timestamp(declared):
        return actual == pa.timestamp("us", tz="UTC")
    return actual == declared


class ContentHash:
    """An order-independent hash of rows: the sum, modulo 2^64, of a hash per row over all columns except volatile
    ones."""

    def __init__(self, table: Table) -> None:
        self._columns = [column.name for column in table.columns if not column.volatile]
        self._sum = self._rows = 0

    def counting(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass batches on unchanged and add their rows to the hash."""
        import polars as pl

        for batch in batches:
            hashes = pl.from_arrow(batch.select(self._columns)).hash_rows(seed=42).to_numpy()
            self._sum = (self._sum + int(hashes.sum(dtype="uint64"))) & (2**64 - 1)
            self._rows += batch.num_rows
            yield batch

    @property
    def value(self) -> int:
        """The hash of the rows so far, 63 bits."""
        return hash63(str(self._sum), str(self._rows))


def hash63(*parts: str) -> int:
    """The first 63 bits of a sha256 over texts: a number that fits a signed 64-bit mark of the Delta log."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8]) >> 1


def preview(batch: pa.RecordBatch, rows: int = 5, width: int = 80) -> str:
    """The first rows as a Markdown table. Long values are cut; bytes are shown as their number: <12 bytes>."""
    lines = [markdown_row(batch.schema.names), "|" + "---|" * batch.num_columns]
    for row in batch.slice(0, rows).to_pylist():
        cells = [f"<{len(cell)} bytes>" if isinstance(cell, bytes) else cell for cell in row.values()]
        lines.append(markdown_row(cells, width))
    return "\n".join(lines)
