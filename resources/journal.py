"""Files of the generation ledger: journals of finished answers, and claims on requests that are being asked.

A journal holds the answers of one process until they are folded into the lake. A claim says that this process is asking
for an answer, so that no other process pays for the same one. Both are locks of the kernel, which it releases when the
process ends, also by a kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import math
import os
import shutil
import struct
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from nemotron_assets.table.schema import Table
from nemotron_assets.table.storable import storable

log = logging.getLogger(__name__)

#: Ranges of the integer columns.
_INTEGERS = {"int32": 2**31, "int64": 2**63}


class LedgerError(RuntimeError):
    """A paid answer cannot be stored. The message says where and why."""


def to_json(value: Any) -> str:
    """The shortest JSON of a value, with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def mended(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose answer can be stored, whatever an engine said: a number of tokens that no column holds becomes 0,
    a duration that is not finite becomes 0, and lone surrogates of the text become U+FFFD. The answer was paid for."""
    changed = {"text": storable(row["text"])} if isinstance(row.get("text"), str) else {}
    for name in ("prompt_tokens", "output_tokens"):
        value = row.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        changed[name] = int(value) if is_number and 0 <= value < _INTEGERS["int32"] else 0
    seconds = row.get("seconds")
    changed["seconds"] = float(seconds) if isinstance(seconds, int | float) and _is_finite(seconds) else 0.0
    return row | changed


class Journal:
    """A file of finished answers, one JSON object per line. Each line is on the disk before `append` returns.

    The file is locked while its process lives. `rows` is the number of answers in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._file, self.rows = folder, None, 0

    @property
    def path(self) -> Path | None:
        """The file, if one is open."""
        return Path(self._file.name) if self._file is not None else None

    def append(self, row: dict[str, Any]) -> None:
        """Store a row. Raises `LedgerError` when it cannot be stored; the rows before it stay whole."""
        line = (to_json(row | {"at": row["at"].isoformat()}) + "\n").encode()
        try:
            file = self._open()
            end = os.fstat(file).st_size
            try:
                left = memoryview(line)
                while left:  # a write may take only a part, for example when the disk is almost full
                    left = left[os.write(file, left) :]
                os.fdatasync(file)
            except OSError:
                os.ftruncate(file, end)  # else the next line would be the rest of this one
                raise
        except OSError as error:
            self.close()
            raise LedgerError(
                f"the answer to {row['id']} cannot be stored in {self._folder}: {error.strerror}. All answers "
                "before it are stored. Free some space and run again."
            ) from error
        self.rows += 1

    def close(self) -> None:
        """Release the file. A later `append` begins another one."""
        if self._file is not None:
            self._file.close()
            self._file, self.rows = None, 0

    def _open(self) -> int:
        if self._file is None:
            path = self._folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl"
            with fold_lock(self._folder):  # so that no other process folds and removes it before it is locked
                self._file = path.open("ab", buffering=0)
                fcntl.flock(self._file, fcntl.LOCK_EX)
            _to_disk(self._folder)
        return self._file.fileno()


def _to_disk(path: Path, flags: int = os.O_RDONLY) -> None:
    """Wait until a file, or the list of files of a folder, is on the disk."""
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def fold_lock(folder: Path) -> Any:
    """A lock that one process holds while it folds, or begins a journal."""
    from filelock import FileLock

    return FileLock(folder / "fold.lock")


def adopt(former: Path, folder: Path) -> None:
    """Move the journals from another folder, unless a living process writes them."""
    if former == folder or not former.is_dir():
        return
    with fold_lock(former):
        for path in former.glob("*.jsonl"):
            with unused(path) as is_unused:
                if is_unused:
                    copy = folder / f"{path.name}.new"
                    shutil.copyfile(path, copy)
                    _to_disk(copy, os.O_RDWR)
                    copy.replace(folder / path.name)
                    _to_disk(folder)  # before the only other copy goes
                    path.unlink()


@contextlib.contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Whether no living process writes this journal. If so, the journal is locked while the context lasts."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def read_journal(path: Path, table: Table, refused: list[int] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a journal that can be rows of the table. A line that a crash cut off is skipped; its answer is
    generated again. The numbers of other lines that cannot be used are added to `refused`."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                # A line of an earlier version of the program lacks the columns that came later.
                later = {column.name: None for column in table.columns if column.nullable}
                row = later | mended(json.loads(line))
                row["at"] = datetime.fromisoformat(row["at"])
                check_row(row, table)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                log.warning("%s line %d is not a generation (%s); it will be generated again", path, number, error)
                if refused is not None and line.endswith(b"\n"):
                    refused.append(number)
            else:
                yield row


def check_row(row: dict[str, Any], table: Table) -> None:
    """Raise ValueError unless every column of the table has a value that it can hold."""
    if row.keys() != set(table.column_names):
        raise ValueError(f"columns {sorted(row)}")
    for column in table.columns:
        value = row[column.name]
        if not (_fits(value, column.dtype) or (value is None and column.nullable)):
            raise ValueError(f"column {column.name} cannot hold {str(value)[:50]!r}")


def _fits(value: Any, dtype: str) -> bool:
    if dtype == "string":
        return isinstance(value, str) and storable(value) == value
    if dtype in _INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool) and -_INTEGERS[dtype] <= value < _INTEGERS[dtype]
    if dtype in ("float32", "float64"):
        return isinstance(value, float)
    if dtype == "bool":
        return isinstance(value, bool)
    if dtype == "timestamp":
        return isinstance(value, datetime)
    return isinstance(value, list) and all(_fits(item, dtype[5:-1]) for item in value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


class Claims:
    """Which requests this process is asking for now.

    A claim is a lock on one byte of a file that has no content; the place of the byte follows from the request's key.
    Two keys of the same place would only wait for each other. The locks belong to this object's open file (see
    F_OFD_SETLK in fcntl(2)), so that threads of one process respect each other's claims too.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._file = folder / "claims.lock", None

    def take(self, keys: Iterable[str]) -> list[str]:
        """Claim these keys; returns those that nobody else has claimed."""
        if self._file is None:
            self._file = self._path.open("ab")
        return [key for key in keys if self._lock(fcntl.F_WRLCK, key)]

    def release(self, key: str) -> None:
        """Give a claim back: its answer is stored."""
        self._lock(fcntl.F_UNLCK, key)

    def close(self) -> None:
        """Give all claims back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lock(self, kind: int, key: str) -> bool:
        lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, int(key[:15], 16), 1, 0)
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, lock)
        except (BlockingIOError, PermissionError):
            return False
        return True
