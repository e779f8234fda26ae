"""Members of tar files, packed in any way."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.common import Budget, Member, RepositoryError
from resources.repositories.packing import Unpacked

if TYPE_CHECKING:
    from nemotron_assets.recipe.code import CodeSources

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
                    about = member.size, "special", "hard link" if member.islnk() else f"type {member.type!r}"
                else:
                    about = member.size, None, ""
                yield member.name, about, lambda member=member: _all_of(tar.extractfile(member), member.size)
    except RepositoryError:
        raise
    except Exception as error:  # every decompressor has errors of its own; a broken file must not stop the others
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error


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
    """Headers that stand before a member (long names, pax records) are read as a whole: they must be short. Paths of
    more than 16 kB do not exist, and Python 3.11's parser takes a time that grows with their square."""

    def _proc_member(self, tar):
        long = (
            tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )  # fmt: skip
        if self.type in long and not 0 <= self.size <= _MAX_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        if self.size < 0:
            raise tarfile.ReadError(f"a member of {self.size} bytes")
        return super()._proc_member(tar)
