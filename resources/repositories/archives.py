"""Tar and zip files, read member by member: nothing is unpacked to the disk, and sizes are checked while reading."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from resources.crawl import file_fingerprint
from resources.repositories.common import (
    Budget,
    Entry,
    Repository,
    RepositoryError,
    files_below,
    located,
    open_file,
    placed,
    repo_name,
)
from resources.repositories.packing import unpacker
from resources.repositories.tars import tar_members
from resources.repositories.zips import zip_members

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

ARCHIVES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".zip",
)  # fmt: skip
#: Bytes in which a commit is looked for; those of a block of bzip2 must be in.
_SEARCHED = 1 << 20


class ArchiveFiles:
    """Tar and zip files in a folder (or one of them): OWNER/NAME.tar.gz below it is the repository OWNER/NAME, and
    NAME.zip is SOURCE/NAME. A folder that everything in the archive stands in is left away."""

    def __init__(self, name: str, place: Path, limits: CodeSources, files: list[Path] | None = None) -> None:
        """`files` are those of the folder that are meant, where it is not all of them."""
        self.name, self.place, self.limits, self.files = name, place, limits, files

    def repositories(self) -> Iterator[Repository]:
        for file in files_below(self.place, ARCHIVES) if self.files is None else self.files:
            relative = located(self.place, file)
            fingerprint = file_fingerprint(file)
            with file.open("rb") as stream:
                commit = commit_of(stream) or hashlib.sha1(fingerprint.encode()).hexdigest()
            yield Repository(
                self.name, "archive", repo_name(self.name, relative, ARCHIVES), commit, relative, fingerprint
            )

    def entries(self, repository: Repository) -> Iterator[Entry]:
        file = self.place if self.place.is_file() else placed(self.place, repository.location)
        with open_file(file, self.limits) as stream:
            yield from archive_entries(stream, self.limits)


def archive_entries(stream: BinaryIO, limits: CodeSources) -> Iterator[Entry]:
    """The entries of a tar or zip file, without the folder that all of them stand in.

    Raises `RepositoryError` where the archive is damaged or unpacks to more than the limits; what came before stands.
    """
    stream.seek(0)
    is_zip = stream.read(4) in (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
    read, budget = (zip_members if is_zip else tar_members), Budget(limits)
    top = _common_folder(name for name, _, _ in read(stream, limits, budget))
    for name, member, load in read(stream, limits, budget):
        path = name.removeprefix(f"{top}/") if top else name.removeprefix("./")
        size, fate, detail = member
        if fate:
            yield budget.entry(path, None) or Entry(path, size, None, fate, detail)
            continue
        refused = budget.entry(path, size)
        if refused:
            yield refused
            continue
        try:
            data = load()
        except RepositoryError as error:
            if error.cause != "damaged_member":
                raise
            yield Entry(path, size, None, "unreadable", str(error))
            continue
        yield Entry(path, len(data), data)


def _common_folder(names: Iterator[str]) -> str:
    """The folder that all names are in, or an empty string. Damage is met again when the members are read."""
    top = None
    with contextlib.suppress(RepositoryError):
        for name in names:
            first, slash, _ = name.partition("/")
            if not slash or first != (top or first) or first in ("", ".", ".."):
                return ""
            top = first
    return top or ""


def commit_of(stream: BinaryIO) -> str | None:
    """The commit that `git archive` notes in a tar's first header or a zip's comment, if there is one."""
    stream.seek(0)
    head = stream.read(6)
    stream.seek(0)
    text = b""
    try:
        if head.startswith(b"PK"):
            end = stream.seek(0, io.SEEK_END)
            stream.seek(max(0, end - 64))
            text = stream.read(64)[-40:]
        else:
            start = unpacker(io.BytesIO(stream.read(_SEARCHED)), head).read(1_536)
            match = re.search(rb"\d{1,3} comment=([0-9a-f]{40}(?:[0-9a-f]{24})?)\n", start)
            text = match[1] if match else b""
    except Exception:  # a damaged file: reading it will say so
        return None
    return text.decode() if re.fullmatch(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?", text) else None
