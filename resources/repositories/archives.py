"""Reads tar and zip files member by member. Nothing is unpacked to the disk, and sizes are checked while reading."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from resources.crawl import file_fingerprint
from resources.received import LOOKED_AT, described, is_html
from resources.repositories.budget import Budget, open_archive
from resources.repositories.names import decode_location, encode_location, files_below, repo_name
from resources.repositories.packing import decompressed
from resources.repositories.source import Entry, Member, Repository, RepositoryError
from resources.repositories.tars import tar_members
from resources.repositories.zips import zip_members

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

#: Endings of archives. Packages are tar files (.crate) or zip files (.whl, .egg, .jar, .nupkg).
ARCHIVES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".zip", ".crate", ".whl",
    ".egg", ".jar", ".nupkg",
)  # fmt: skip
#: Endings of archives of kinds that are not read.
UNREAD = (
    ".7z",
    ".rar",
    ".gem",
    ".deb",
    ".rpm",
    ".apk",
    ".phar",
    ".cab",
    ".cpio",
    ".lz",
    ".lzma",
    ".lz4",
    ".br",
    ".iso",
)
#: Bytes at the start of an archive in which its commit is searched. They must hold a whole block of bzip2.
_SEARCHED = 1 << 20


class ArchiveFiles:
    """The tar and zip files in a folder, or one such file.

    OWNER/NAME.tar.gz below the folder is the repository OWNER/NAME, and NAME.zip is SOURCE/NAME. If all members of an
    archive are in one folder, their paths are given without it.
    """

    def __init__(self, name: str, place: Path, limits: CodeSources, files: list[Path] | None = None) -> None:
        """`files`: the archives to read, if not all archives in the folder."""
        self.name, self.place, self.limits, self.files = name, place, limits, files

    def repositories(self) -> Iterator[Repository]:
        for file in files_below(self.place, ARCHIVES) if self.files is None else self.files:
            location = encode_location(self.place, file)
            fingerprint = file_fingerprint(file)
            with file.open("rb") as stream:
                commit = commit_of(stream) or hashlib.sha1(fingerprint.encode()).hexdigest()
            yield Repository(
                self.name, "archive", repo_name(self.name, location, ARCHIVES), commit, location, fingerprint
            )

    def unread(self) -> list[str]:
        """The archives in the folder that are of a kind that is not read."""
        files = files_below(self.place, UNREAD) if self.place.is_dir() else []
        return [encode_location(self.place, file) for file in files]

    def entries(self, repository: Repository) -> Iterator[Entry]:
        file = self.place if self.place.is_file() else decode_location(self.place, repository.location)
        with open_archive(file, self.limits) as stream:
            yield from archive_entries(stream, self.limits)


def archive_entries(stream: BinaryIO, limits: CodeSources) -> Iterator[Entry]:
    """The entries of a tar or zip file, their paths without the folder that all of them are in.

    Raises `RepositoryError` where the archive is damaged or exceeds a limit. Entries before that point stay valid.
    """
    stream.seek(0)
    start = stream.read(LOOKED_AT)
    if is_html(start):  # a server may answer with a page, which asks for a login
        raise RepositoryError("damaged", f"it is not an archive: it is {described(start)}")
    is_zip = start[:4] in (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
    read, budget = (zip_members if is_zip else tar_members), Budget(limits)
    names = list(_names(read(stream, limits, budget)))
    top, left = _common_folder(names), Counter(name.removeprefix("./") for name in names)
    for member in read(stream, limits, budget):
        path = member.name.removeprefix(f"{top}/") if top else member.name.removeprefix("./")
        left[member.name.removeprefix("./")] -= 1
        if left[member.name.removeprefix("./")] > 0:  # whoever unpacks the archive keeps the last one
            yield Entry(path, member.size, None, "duplicate_path", "a later member of the archive has this path")
        elif member.fate:
            yield budget.charge(path, None) or Entry(path, member.size, None, member.fate, member.detail)
        else:
            yield budget.charge(path, member.size) or _file_entry(path, member)


def _file_entry(path: str, member: Member) -> Entry:
    """The entry of a member that is a file. Raises `RepositoryError` unless the damage is the member's alone."""
    try:
        data = member.read()
    except RepositoryError as error:
        if error.cause != "damaged_member":
            raise
        return Entry(path, member.size, None, "unreadable", str(error))
    return Entry(path, len(data), data)


def _names(members: Iterator[Member]) -> Iterator[str]:
    """The names of members. Damage is ignored here and met when members are read."""
    with contextlib.suppress(RepositoryError):
        for member in members:
            yield member.name


def _common_folder(names: list[str]) -> str:
    """The folder that all names are in, or an empty string."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    return "" if top in (".", "..") else top


def commit_of(stream: BinaryIO) -> str | None:
    """The commit that `git archive` writes into a tar's first header or a zip's comment; None without one."""
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
            start = decompressed(io.BytesIO(stream.read(_SEARCHED)), head).read(1_536)
            match = re.search(rb"\d{1,3} comment=([0-9a-f]{40}(?:[0-9a-f]{24})?)\n", start)
            text = match[1] if match else b""
    except Exception:  # the file is damaged; reading its members reports it
        return None
    return text.decode() if re.fullmatch(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?", text) else None
