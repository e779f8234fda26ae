"""What every source of repositories shares: its errors, a repository, an entry of one, and what one may still use."""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

MB = 1 << 20
#: Names repositories may have; they become keys of parts.
REPO_NAME = re.compile(r"[A-Za-z0-9_.+~-]{1,100}(/[A-Za-z0-9_.+~-]{1,100}){1,6}", re.ASCII)
COMMIT_ID = re.compile(r"[0-9a-fA-F]{7,64}", re.ASCII)


class RepositoryError(RuntimeError):
    """A repository that cannot be read (to its end); `cause` is a short snake_case kind."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}"[:300])
        self.cause = cause


class SourceError(RuntimeError):
    """A source that is not there or not what the recipe says; the message says what to do."""


@dataclass(frozen=True)
class Repository:
    """A repository at one commit. `location` is what its source finds it by; it holds no credentials."""

    source: str
    kind: str
    repo: str
    commit_id: str
    location: str
    fingerprint: str
    version: str | None = None
    updated_at: datetime | None = None
    stars: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a repository that is no folder. `data` is there for files that may be read, else `fate` is."""

    path: str
    size: int | None
    data: bytes | None = None
    fate: str | None = None
    detail: str = ""


#: A member of an archive: its name, its size, why it cannot be a file and what it is, and what reads it.
Member = tuple[str, tuple[int | None, str | None, str], Callable[[], bytes]]


class Source(Protocol):
    """A place that has repositories."""

    def repositories(self) -> Iterator[Repository]:
        """All of them. Raises `SourceError` when the source itself is unusable."""

    def entries(self, repository: Repository) -> Iterator[Entry]:
        """The entries of one, those over a limit without their bytes. Raises `RepositoryError`."""


class Budget:
    """What one repository may still use. Every source spends from one of these."""

    def __init__(self, limits: CodeSources) -> None:
        self.max_file = int(limits.max_file_mb * MB)
        self.files, self.bytes = limits.max_files, int(limits.max_repository_mb * MB)
        self.deadline = time.monotonic() + limits.timeout_s
        self.timeout_s, self.max_files = limits.timeout_s, limits.max_files

    def entry(self, path: str, size: int | None) -> Entry | None:
        """Count an entry; what it becomes if it may not be read."""
        self.check_time()
        self.files -= 1
        if self.files < 0:
            raise RepositoryError("too_many_files", f"more than {self.max_files:,} entries")
        if size is not None and size > self.max_file:
            return Entry(path, size, fate="too_large", detail=f"more than {self.max_file:,} bytes")
        if size is not None:
            if size > self.bytes:
                return Entry(path, size, fate="over_limit", detail="the repository's files are over the limit")
            self.bytes -= size
        return None

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise RepositoryError("timeout", f"more than {self.timeout_s:g} s")


def files_below(place: Path, endings: Iterable[str]) -> list[Path]:
    """The files with such endings below a folder (or the one file named), by name; links are not followed."""
    endings = tuple(endings)
    if place.is_file():
        return [place]
    found = (file for file in place.rglob("*") if file.name.lower().endswith(endings))
    return sorted(file for file in found if file.is_file() and not file.is_symlink())


def located(folder: Path, place: Path) -> str:
    """Where a place is below a folder, as text; bytes of names that are no UTF-8 as \\x... ."""
    relative = place.relative_to(folder).as_posix() if place != folder else place.name
    return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def placed(folder: Path, location: str) -> Path:
    """The place that `located` has named."""
    place = folder / location
    if "\\x" in location and not os.path.lexists(place):
        return folder / re.sub(r"\\x([89a-f][0-9a-f])", lambda found: chr(0xDC00 + int(found[1], 16)), location)
    return place


def repo_name(source: str, relative: str, endings: Iterable[str]) -> str:
    """OWNER/NAME of a file below a source's folder; characters that names do not have become `-`."""
    ending = max((e for e in endings if relative.lower().endswith(e)), key=len, default="")
    name = relative[: len(relative) - len(ending)]
    name = re.sub(r"[^A-Za-z0-9_.+~/-]", "-", name)
    return name if "/" in name else f"{source}/{name}"


@contextlib.contextmanager
def open_file(file: Path, limits: CodeSources) -> Iterator[BinaryIO]:
    """A local archive of a size that the recipe allows."""
    try:
        stream = file.open("rb")
    except OSError as error:
        raise RepositoryError("missing", f"{file.name}: {error.strerror}") from error
    with stream:
        size = stream.seek(0, io.SEEK_END)
        if size > limits.max_archive_mb * MB:
            raise RepositoryError("too_large", f"{size:,} bytes, more than {limits.max_archive_mb} MB")
        yield stream


def text_of(value: object) -> str | None:
    """What a list says of a repository as text that a table can hold, at most 100 characters."""
    return str(value)[:100].encode("utf-8", "replace").decode() if value not in (None, "") else None


def count_of(value: object) -> int | None:
    """A number of things, or null for anything that is none."""
    try:
        number = int(value) if isinstance(value, int | str) and len(str(value)) < 20 else -1
    except ValueError:
        return None
    return number if 0 <= number < 1 << 63 else None


def time_of(value: object) -> datetime | None:
    """A time in UTC, or null for anything that is none."""
    try:
        value = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    return None
