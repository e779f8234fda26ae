"""Members of tar files, packed in any way."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.common import Budget, Member, RepositoryError
from resources.repositories.packing import Unpacked

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

#: Longest header that stands before a member of a tar file (a long name, say).
_MAX_TAR_HEADER = 1 << 14


def tar_members(stream: BinaryIO, limits: CodeSources, budget: Budget) -> Iterator[Member]:
    stream.seek(0)
    unpacked = Unpacked(stream, limits, budget)
    try:
        with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_TarInfo, errors="surrogateescape") as tar:
            count = 0
            for member in tar:
                tar.members = []  # or every one would be kept
                count += 1
                if count > 2 * limits.max_files:
                    raise RepositoryError("too_many_files", f"more than {2 * limits.max_files:,} members")
                if member.isdir():
                    continue
                if member.issym():
                    about = None, "symlink", f"to {member.linkname}"
                elif not member.isreg() or member.issparse():
                    about = member.size, "special", _kind(member)
                else:
                    about = member.size, None, ""
                yield member.name, about, lambda member=member: _all_of(tar.extractfile(member), member.size)
        unpacked.drain()
    except RepositoryError:
        raise
    except Exception as error:  # every decompressor has errors of its own; a broken file must not stop the others
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error


def _kind(member: tarfile.TarInfo) -> str:
    return "hard link" if member.islnk() else "sparse file" if member.issparse() else f"type {member.type!r}"


def _all_of(file: BinaryIO | None, size: int) -> bytes:
    try:
        data = b"" if file is None else file.read(size + 1)
    except RepositoryError:
        raise
    except Exception as error:  # whatever the decompressor raises
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error
    if len(data) != size:
        raise RepositoryError("damaged", f"a member of {size} bytes has {len(data)}")
    return data


class _TarInfo(tarfile.TarInfo):
    """A header that costs little, whatever is in it."""

    def _proc_member(self, tar):
        # Headers before a member (long names, pax records) are read as a whole: they must be short. Paths of more than
        # 16 kB do not exist, and Python 3.11's parser takes a time that grows with their square.
        long = (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if self.type in long and not 0 <= self.size <= _MAX_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        if self.type == tarfile.XGLTYPE:  # what they say is copied for every member that follows
            tar.global_bytes = getattr(tar, "global_bytes", 0) + self.size
            if tar.global_bytes > _MAX_TAR_HEADER:
                raise tarfile.ReadError(f"headers for all members of {tar.global_bytes} bytes")
        if self.size < 0:
            raise tarfile.ReadError(f"a member of {self.size} bytes")
        return super()._proc_member(tar)

    def _proc_sparse(self, tar):
        # The places of a sparse file are gone over, not collected: there may be any number, and it is not read.
        _, more, size = self._sparse_structs
        while more:
            block = tar.fileobj.read(tarfile.BLOCKSIZE)
            more = len(block) == tarfile.BLOCKSIZE and block[504]
        self.sparse, self.offset_data = [], tar.fileobj.tell()
        tar.offset = self.offset_data + self._block(self.size)
        self.size = size
        return self

    def _proc_gnusparse_10(self, next, pax_headers, tar):
        next.sparse = []  # the places stand in front of the content, and are gone over with it
