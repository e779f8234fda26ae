"""What a source of code is: repositories, the entries of one repository, and the errors of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


class RepositoryError(RuntimeError):
    """One repository cannot be read, or not to its end. `cause` is a short snake_case kind, such as `too_large`."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}"[:300])
        self.cause = cause


class SourceError(RuntimeError):
    """A source is missing, or is not what the recipe says. The message says what to do."""


@dataclass(frozen=True)
class Repository:
    """A repository at one commit.

    `location` is where its source finds it (a path below the source's folder, or a URL); it holds no credentials.
    `fingerprint` changes when the repository's content changes. `stars` is the number of people who marked it.
    """

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
    """An entry of a repository that is not a folder. `size` is in bytes, None if unknown.

    Either `data` holds its content, or `fate` says why the content was not read (such as `too_large` or `symlink`) and
    `detail` explains it.
    """

    path: str
    size: int | None
    data: bytes | None = None
    fate: str | None = None
    detail: str = ""


class Member(NamedTuple):
    """A member of a tar or zip file that is not a folder. `size` is in bytes, None if unknown.

    `fate` and `detail` say why its content must not be read (see `Entry`); `fate` is None for a file that `read` reads.
    """

    name: str
    size: int | None
    fate: str | None
    detail: str
    read: Callable[[], bytes]


class Source(Protocol):
    """A place that holds repositories."""

    def repositories(self) -> Iterator[Repository]:
        """All its repositories. Raises `SourceError` if the source as a whole cannot be used."""

    def entries(self, repository: Repository) -> Iterator[Entry]:
        """The entries of one repository, without the content of entries over a limit. Raises `RepositoryError`."""
