"""Reads the members of tar files, compressed or not."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.budget import Budget
from resources.repositories.packing import Unpacked
from resources.repositories.source import Member, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

#: Most bytes of a header that precedes a member, such as one with a long name.
_MAX_TAR_HEADER = 1 << 14


def tar_members(stream: BinaryIO, limits: CodeSources, budget: Budget) -> Iterator[Member]:
    """The members of a tar file, folders aside, in their order. Raises `RepositoryError` for a damaged file."""
    stream.seek(0)
    unpacked = Unpacked(stream, limits, budget)
    try:
        with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_TarInfo, errors="surrogateescape") as tar:
            count = 0
            for member in tar:
                tar.members = []  # tarfile would keep every member
                count += 1
                if count > 2 * limits.max_files:
                    raise RepositoryError("too_many_files", f"more than {2 * limits.max_files:,} members")
                if member.isdir():
                    continue
                if member.issym():
                    facts = None, "symlink", f"to {member.linkname}"
                elif not member.isreg() or member.issparse():
                    facts = member.size, "special", _kind(member)
                else:
                    facts = member.size, None, ""
                yield Member(member.name, *facts, lambda member=member: _read(tar.extractfile(member), member.size))
        unpacked.drain()
    except RepositoryError:
        raise
    except Exception as error:  # each decompressor raises its own errors, and one broken file must not end the run
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error


def _kind(member: tarfile.TarInfo) -> str:
    return "hard link" if member.islnk() else "sparse file" if member.issparse() else f"type {member.type!r}"


def _read(file: BinaryIO | None, size: int) -> bytes:
    """The whole content of a member, which must have this size."""
    try:
        data = b"" if file is None else file.read(size + 1)
    except RepositoryError:
        raise
    except Exception as error:  # each decompressor raises its own errors
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error
    if len(data) != size:
        raise RepositoryError("damaged", f"a member of {size} bytes has {len(data)}")
    return data


class _TarInfo(tarfile.TarInfo):
    """A tar header whose parsing takes bounded time and memory, whatever the header says."""

    def _proc_member(self, tar):
        # tarfile reads headers before a member (long names, pax records) as a whole, so they must be short: a path is
        # never longer than 16 kB, and the time of Python 3.11's pax parser grows with the square of their length.
        long = (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if self.type in long and not 0 <= self.size <= _MAX_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        if self.type == tarfile.XGLTYPE:  # tarfile copies global headers for every member that follows
            tar.global_bytes = getattr(tar, "global_bytes", 0) + self.size
            if tar.global_bytes > _MAX_TAR_HEADER:
                raise tarfile.ReadError(f"headers for all members of {tar.global_bytes} bytes")
        if self.size < 0:
            raise tarfile.ReadError(f"a member of {self.size} bytes")
        return super()._proc_member(tar)

    def _proc_sparse(self, tar):
        # Skip the map of a sparse file instead of collecting it: it may be of any length, and nobody reads the file.
        _, more, size = self._sparse_structs
        while more:
            block = tar.fileobj.read(tarfile.BLOCKSIZE)
            more = len(block) == tarfile.BLOCKSIZE and block[504]
        self.sparse, self.offset_data = [], tar.fileobj.tell()
        tar.offset = self.offset_data + self._block(self.size)
        self.size = size
        return self

    def _proc_gnusparse_10(self, next, pax_headers, tar):
        next.sparse = []  # this map is part of the content, and is skipped with it
