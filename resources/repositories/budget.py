"""The limits on one repository: its time, its number of entries, and their bytes."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.source import Entry, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

MB = 1 << 20


class Budget:
    """What reading one repository may still use. Every source makes one per repository and charges entries to it."""

    def __init__(self, limits: CodeSources) -> None:
        self._max_file, self._max_files = int(limits.max_file_mb * MB), limits.max_files
        self._files, self._bytes = limits.max_files, int(limits.max_repository_mb * MB)
        self._timeout_s, self._deadline = limits.timeout_s, time.monotonic() + limits.timeout_s

    def charge(self, path: str, size: int | None) -> Entry | None:
        """Count an entry and its bytes (None for an entry whose content is not read).

        Returns None if the content may be read, else the entry to report instead. Raises `RepositoryError` if the
        repository has too many entries or takes too long.
        """
        self.check_time()
        self._files -= 1
        if self._files < 0:
            raise RepositoryError("too_many_files", f"more than {self._max_files:,} entries")
        if size is not None and size > self._max_file:
            return Entry(path, size, fate="too_large", detail=f"more than {self._max_file:,} bytes")
        if size is not None:
            if size > self._bytes:
                return Entry(path, size, fate="over_limit", detail="the repository's files are over the limit")
            self._bytes -= size
        return None

    def check_time(self) -> None:
        """Raise `RepositoryError` if the repository has taken longer than the recipe allows."""
        if time.monotonic() > self._deadline:
            raise RepositoryError("timeout", f"more than {self._timeout_s:g} s")


def check_archive_size(size: int, limits: CodeSources) -> None:
    """Raise `RepositoryError` if an archive of `size` bytes is larger than the recipe allows."""
    if size > limits.max_archive_mb * MB:
        raise RepositoryError("too_large", f"{size:,} bytes, more than {limits.max_archive_mb} MB")


@contextlib.contextmanager
def open_archive(file: Path, limits: CodeSources) -> Iterator[BinaryIO]:
    """Open a local archive. Raises `RepositoryError` if it is missing or too large."""
    try:
        stream = file.open("rb")
    except OSError as error:
        raise RepositoryError("missing", f"{file.name}: {error.strerror}") from error
    with stream:
        check_archive_size(stream.seek(0, io.SEEK_END), limits)
        yield stream
