"""The data files of one version of a table: their names and statistics in the Delta log, and reading their rows.

Files are found by their path in the log, below the table's folder, so that a lake may lie at any path and may be moved.
Rows are always given the declared types, whatever types another writer stored them with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nemotron_assets.table.schema import Table
from resources.lakehouse.datafiles import recorded_hash
from resources.lakehouse.errors import explaining
from resources.store import store_at

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

    from resources.lakehouse.lake import Lake

#: Values that rows must have, by column: one value or several.
Where = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class StoredFile:
    """A data file of a table version: its path below the table's folder, and what the Delta log says about it. `rows`
    is None if another program wrote the file without statistics."""

    path: str
    partition: str | None
    rows: int | None
    bytes: int
    _statistics: Mapping[str, Any] = field(repr=False)

    @property
    def hash(self) -> str | None:
        """The xxh3-128 hash of the file that its commit recorded; None for a file of another writer."""
        return recorded_hash(self.path)

    def bounds(self, column: str | None) -> tuple[Any, Any]:
        """The least and the greatest value of a column; (None, None) without statistics of it."""
        return self._statistics.get(f"min.{column}"), self._statistics.get(f"max.{column}")

    def may_hold(self, where: Where) -> bool:
        """Whether the statistics allow rows with these values."""
        for column, wanted in where.items():
            low, high = self.bounds(column)
            if None not in (low, high) and not any(low <= value <= high for value in values(wanted)):
                return False
        return True

    def holds_only(self, where: Where) -> bool:
        """Whether the statistics say that all rows have these values."""
        pairs = ((self.bounds(column), values(wanted)) for column, wanted in where.items())
        return all(low is not None and low == high and low in wanted for (low, high), wanted in pairs)


def values(wanted: str | Sequence[str]) -> Sequence[str]:
    """The values that a `Where` allows in a column, as a sequence."""
    return (wanted,) if isinstance(wanted, str) else wanted


def live_files(delta: DeltaTable, table: Table, partitions: Iterable[str] | None = None) -> list[StoredFile]:
    """The files of a table version, or of some partitions of it, sorted by path, so that a version is always read in
    the same order."""
    import pyarrow as pa

    chosen = None if partitions is None else set(partitions)
    files = []
    for action in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        partition = action[f"partition.{table.partition_by}"] if table.partition_by else None
        if chosen is None or partition in chosen:
            path = unquote(action["path"])  # the log quotes paths
            files.append(StoredFile(path, partition, action["num_records"], action["size_bytes"], action))
    return sorted(files, key=lambda file: file.path)


def files_on_disk(lake: Lake, table: Table) -> list[StoredFile]:
    """All data files below the folder of a table that are whole, also those of older versions, sorted by path."""
    from pyarrow.fs import FileSelector, FileType

    files = []
    for info in store_at(lake.path(table)).get_file_info(FileSelector("", recursive=True, allow_not_found=True)):
        if info.type == FileType.File and recorded_hash(info.path):
            folder = info.path.rpartition("/")[0].rpartition("=")[2]
            files.append(StoredFile(info.path, unquote(folder) if table.partition_by else None, None, info.size, {}))
    return sorted(files, key=lambda file: file.path)


def read(
    lake: Lake,
    table: Table,
    files: Iterable[StoredFile],
    columns: Sequence[str] | None = None,
    *,
    where: Where | None = None,
    batch_size: int = 1_024,
    keep_memory: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Stream the rows of files as record batches with exactly the declared columns and types.

    `where` chooses rows. With `keep_memory` the memory of a batch is used for the next one instead of being returned to
    the system, which is faster for short columns. Raises `LakeError` for a file that is missing or damaged.
    """
    names, where = list(columns or table.column_names), dict(where or {})
    store = store_at(lake.path(table))
    for file in files:
        if file.may_hold(where):
            # What the statistics say of all rows of the file need not be compared, and the rows need not be copied.
            open_ = {column: wanted for column, wanted in where.items() if not file.holds_only({column: wanted})}
            with explaining(lake.path(table), table, file):
                yield from _rows(store, table, file, names, open_, batch_size, keep_memory)


def _rows(
    store: Any, table: Table, file: StoredFile, names: list[str], where: Where, batch_size: int, keep_memory: bool
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.types as t

    fragment = ds.ParquetFileFormat().make_fragment(file.path, store)
    stored = fragment.physical_schema
    wanted, here = None, {}  # the scanner's filter, and what is compared here after the types have been made right
    for column, value in where.items():
        if column == table.partition_by:
            if file.partition not in values(value):
                return
        elif column not in stored.names:  # the file is older than the column, which is null in it
            return
        elif t.is_string_view(stored.field(column).type):  # Arrow does not compare such columns with texts
            here[column] = values(value)
        else:
            this = ds.field(column).isin(list(values(value)))
            wanted = this if wanted is None else wanted & this
    needed = list(dict.fromkeys((*names, *here)))
    scanner = fragment.scanner(
        schema=stored,
        columns=[name for name in needed if name in stored.names],
        filter=wanted,
        batch_size=batch_size,
        batch_readahead=1,
        fragment_readahead=1,
        fragment_scan_options=ds.ParquetFragmentScanOptions(
            pre_buffer=False, use_buffered_stream=True, page_checksum_verification=True
        ),
        use_threads=False,
        # The system's pool returns freed memory to the system; the default pool does not.
        memory_pool=pa.default_memory_pool() if keep_memory else pa.system_memory_pool(),
    )
    for batch in scanner.to_batches():
        rows = declared(batch, table, needed, file.partition)
        if here:
            rows = _chosen(rows, here).select(names)
        if rows.num_rows:
            yield rows


def declared(batch: pa.RecordBatch, table: Table, names: Sequence[str], partition: str | None) -> pa.RecordBatch:
    """A batch as it is stored, with these columns in their declared types. The partition column gets its value, and a
    column that the stored table lacks is null."""
    import pyarrow as pa

    schema = pa.schema([table.arrow_schema().field(name) for name in names])

    def array(column: pa.Field) -> pa.Array:
        if column.name == table.partition_by:
            return pa.repeat(pa.scalar(partition, column.type), batch.num_rows)
        if column.name not in batch.schema.names:
            return pa.nulls(batch.num_rows, column.type)
        stored = batch.column(column.name)
        # Casting a list to its own type would copy it.
        return stored if stored.type == column.type else stored.cast(column.type)

    return pa.RecordBatch.from_arrays([array(column) for column in schema], schema=schema)


def _chosen(batch: pa.RecordBatch, where: Mapping[str, Sequence[str]]) -> pa.RecordBatch:
    """The rows of a batch of declared types that have these values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for column, wanted in where.items():
        batch = batch.filter(pc.is_in(batch.column(column), pa.array(wanted, pa.large_string())))
    return batch


def without(batch: pa.RecordBatch, where: Where) -> pa.RecordBatch:
    """The rows of a batch of declared types that do not have these values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keep = None
    for column, wanted in where.items():
        other = pc.invert(pc.is_in(batch.column(column), pa.array(values(wanted), pa.large_string())))
        keep = other if keep is None else pc.or_(keep, other)
    return batch.filter(keep)
