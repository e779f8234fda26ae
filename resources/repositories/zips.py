"""Members of zip files."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.common import MB, Budget, Member, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources


#: Ways of packing whose output zipfile bounds; what others give at once can be gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _Bounded(io.RawIOBase):
    """A file of which no more is read at once than the directory of so many files: zipfile reads one in one go, and
    makes an object of every entry before it gives any away."""

    def __init__(self, stream: BinaryIO, max_files: int) -> None:
        self._stream, self._max_files = stream, max_files
        self._most = min(400 * max_files + 65_536, 128 * MB)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._most + 1) if size is not None and size >= 0 else self._most + 1)
        if len(data) > self._most:
            raise RepositoryError("too_many_files", f"a directory of more than {self._most:,} bytes")
        if len(data) > 46 * self._max_files and data.count(zipfile.stringCentralDir) > 2 * self._max_files:
            raise RepositoryError("too_many_files", f"more than {2 * self._max_files:,} entries")
        return _with_readable_names(data) if data.startswith(zipfile.stringCentralDir) else data


def _with_readable_names(directory: bytes) -> bytes:
    """A zip's directory in which names that claim to be UTF-8 and are not do not claim it: zipfile gives up the whole
    archive because of one."""
    data, at, size = bytearray(directory), 0, zipfile.sizeCentralDir
    while data.startswith(zipfile.stringCentralDir, at) and at + size <= len(data):
        fields = struct.unpack(zipfile.structCentralDir, data[at : at + size])
        flags, name, extra, comment = (fields[place] for place in (_FLAGS, _NAME, _EXTRA, _COMMENT))
        if flags & _UTF8:
            try:
                data[at + size : at + size + name].decode()
            except UnicodeDecodeError:
                struct.pack_into("<H", data, at + _FLAGS_AT, flags & ~_UTF8)
        at += size + name + extra + comment
    return bytes(data)


#: Fields of an entry of the directory, by their places in zipfile's tuple; the flag for names, where it stands.
_FLAGS, _NAME, _EXTRA, _COMMENT = 5, 12, 13, 14
_UTF8, _FLAGS_AT = 0x800, 8


def zip_members(stream: BinaryIO, limits: CodeSources, budget: Budget) -> Iterator[Member]:
    size = stream.seek(0, io.SEEK_END)
    left = min(int(limits.max_ratio * max(size, 10_240)), int(2 * limits.max_repository_mb * MB) + (16 << 20))

    def load(info: zipfile.ZipInfo) -> bytes:
        nonlocal left
        left -= info.file_size
        if left < 0:
            raise RepositoryError("bomb", f"it unpacks to more than {limits.max_ratio:g} times its size")
        try:
            with file.open(info) as member:
                data = member.read(info.file_size + 1)
        except RepositoryError:
            raise
        except Exception as error:  # a wrong checksum, a method that is not known, a password
            raise RepositoryError("damaged_member", f"{type(error).__name__}: {error}") from error
        if len(data) != info.file_size:
            raise RepositoryError("damaged_member", f"{len(data)} bytes, not {info.file_size}")
        return data

    try:
        with zipfile.ZipFile(_Bounded(stream, limits.max_files)) as file:
            for info in file.infolist():
                mode = info.external_attr >> 16 if info.create_system == 3 else 0
                if info.is_dir() or stat.S_ISDIR(mode):
                    continue
                if stat.S_ISLNK(mode):
                    about = None, "symlink", "link"
                elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    about = info.file_size, "special", f"mode {mode:o}"
                elif info.flag_bits & 1:
                    about = info.file_size, "unreadable", "encrypted"
                elif info.compress_type not in _METHODS:
                    about = info.file_size, "unreadable", f"packed with method {info.compress_type}"
                else:
                    about = info.file_size, None, ""
                yield info.orig_filename, about, lambda info=info: load(info)
    except RepositoryError:
        raise
    except Exception as error:  # zipfile raises nearly anything for a damaged directory
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error
