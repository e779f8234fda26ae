"""Turns errors of the libraries below the lake into sentences: which table, which file, and what to do."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nemotron_assets.table.schema import Table
from resources.contract import CommitConflict, LakeError, shortened
from resources.delta_log import DeltaLog, Head, set_aside_log

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from resources.lakehouse.stored import StoredFile


def explained(error: BaseException, root: str) -> LakeError | None:
    """The `LakeError` that says why a write failed: a concurrent writer, or a full disk. None for any other error."""
    from deltalake.exceptions import CommitFailedError

    if isinstance(error, CommitFailedError):
        return CommitConflict(f"another writer committed to the same partition first; run the step again: {error}")
    if "No space left on device" in str(error) or "os error 28" in str(error):
        return LakeError(f"the disk of {root} is full; nothing of this write was kept. Free some space and run again.")
    return None


@contextlib.contextmanager
def explaining(folder: str, table: Table, file: StoredFile | None = None) -> Iterator[None]:
    """Raise a `LakeError` in the place of a library's error about a data file or, without `file`, the Delta log.
    `folder` is the path or URL of the table."""
    try:
        yield
    except BaseException as error:
        if not is_about_data(error):
            raise
        why = _first_line(error)
        # `from None`: the message says it all, and what shows only the innermost cause shows this sentence.
        if file is None:
            raise unreadable_log(folder, table, why) from None
        raise LakeError(
            f"{table.full_name}: the data file {folder}/{file.path} cannot be read: {why}. {way_out(table, file)}"
        ) from None


@contextlib.contextmanager
def explaining_rows(folder: str, table: Table) -> Iterator[None]:
    """Raise a `LakeError` in the place of a library's error about any data file of a table in this folder."""
    try:
        yield
    except BaseException as error:
        if not is_about_data(error):
            raise
        raise LakeError(
            f"{table.full_name}: its rows in {folder} cannot be read: {_first_line(error)}. `nemotron maintain "
            "--verify` names the damaged file and says what to do."
        ) from None


def unreadable_log(folder: str, table: Table, why: str) -> LakeError:
    """The error about a Delta log that cannot be read."""
    return LakeError(
        f"{table.full_name}: its Delta log {folder}/_delta_log cannot be read: {why}. {set_aside_log(table.full_name)}"
    )


def check_log(folder: str, table: Table, delta: DeltaTable, head: Head) -> None:
    """Refuse what delta-rs would read wrongly without an error: a log that is damaged or lacks its newest commits, and
    deleted or renamed parts of data files, which only other programs write. `head` was read before the table."""
    if damage := DeltaLog(folder).damage(head, delta.version()):
        raise LakeError(f"{table.full_name}: {damage}")
    protocol = delta.protocol()
    if protocol.min_reader_version > 1:
        features = ", ".join(protocol.reader_features or ()) or f"reader version {protocol.min_reader_version}"
        raise LakeError(
            f"{folder} needs {features}, which the lakehouse does not read: another program changed the "
            f"table. Rewrite it there without this feature, or run `nemotron maintain --set-aside {table.full_name}` "
            f"and then `nemotron run --force {table.schema}/{table.name}`."
        )


def way_out(table: Table, file: StoredFile) -> str:
    """What to do about a damaged or missing data file."""
    low, high = file.bounds(table.part_by)
    if table.part_by and (low is None or low != high):  # the other parts in the file could not be copied
        again = (
            f"`nemotron maintain --set-aside {table.full_name}`, which keeps the table's folder under another name, "
            f"and then `nemotron run --force {table.schema}/{table.name}`"
        )
    else:
        which = f" --partition {file.partition}" if table.partition_by == "snapshot" else ""
        again = f"`nemotron run --force {table.schema}/{table.name}{which}`"
    return f"Put the file back from a copy of the lake, or write its rows again: {again}."


#: {module: its errors about bytes that it read}
_DATA_ERRORS = {
    "pyarrow": ("ArrowException",),
    "deltalake.exceptions": ("DeltaError",),
    "polars.exceptions": ("ComputeError", "PanicException"),
}


def is_about_data(error: BaseException) -> bool:
    """Whether a library raised the error because of the bytes that it read: Arrow, Delta, polars or the file system.
    Errors of the network do not count."""
    # A library that is not loaded has raised nothing, and loading it takes longer than most commands that fail.
    kinds = tuple(
        getattr(sys.modules[module], name)
        for module, names in _DATA_ERRORS.items()
        if module in sys.modules
        for name in names
    )
    return isinstance(error, kinds) or type(error) in (OSError, FileNotFoundError)


#: How DuckDB says that a connection may not open a file.
_REFUSED = re.compile(r'Cannot access \w+ "(.*)" - file system operations are disabled')


def with_way_out(error: BaseException) -> str:
    """The text of an error for a person. A library's error about the bytes of the lake ends with what to do, and so
    does DuckDB's error about a file that a query may not open."""
    text = str(error)
    if type(error).__name__ == "PermissionException" and (refused := _REFUSED.search(text)):
        from resources.warehouse import Warehouse

        return (
            f"{refused[1]} is refused: nemotron sql reads the tables of the lake only. To read a file of your own "
            "beside them, open the catalog with DuckDB's own program: "
            f"duckdb -readonly {shlex.quote(str(Warehouse().path))}"
        )
    by_duckdb = type(error).__module__ == "_duckdb" and (".parquet" in text or "DeltaKernel" in text)
    if by_duckdb or (is_about_data(error) and not isinstance(error, OSError)):
        return (
            f"{_table_in(text)}{_first_line(error)}. `nemotron maintain --verify` names damaged files of the lake and "
            "says what to do."
        )
    return text


def _table_in(text: str) -> str:
    """The table whose file an error's text names, as "web.documents: "; "" if it names none."""
    from resources.home import lake_root

    found = re.search(rf"{re.escape(lake_root())}/(\w+)/(\w+)/", unquote(text))
    return f"{found[1]}.{found[2]}: " if found else ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return shortened(lines[0].rstrip(".")) if lines else type(error).__name__
