"""Reads the members of zip files."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.budget import MB, Budget
from resources.repositories.packing import max_unpacked_bytes
from resources.repositories.source import Member, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources


#: Compression methods whose output zipfile limits while it reads. Other methods can return gigabytes at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Fields of a directory entry, by their index in zipfile's tuple.
_FLAGS, _NAME, _EXTRA, _COMMENT = 5, 12, 13, 14
#: The flag of a UTF-8 name, and the offset of the flags in a directory entry.
_UTF8, _FLAGS_OFFSET = 0x800, 8


def zip_members(stream: BinaryIO, limits: CodeSources, budget: Budget) -> Iterator[Member]:
    """The members of a zip file, folders aside, in their order. Raises `RepositoryError` for a damaged file."""
    left = max_unpacked_bytes(stream.seek(0, io.SEEK_END), limits)

    def read(info: zipfile.ZipInfo) -> bytes:
        nonlocal left
        left -= info.file_size
        if left < 0:
            raise RepositoryError("bomb", f"it unpacks to more than {limits.max_ratio:g} times its size")
        try:
            with file.open(info) as member:
                data = member.read(info.file_size + 1)
        except RepositoryError:
            raise
        except Exception as error:  # a wrong checksum, an unknown method, a password
            raise RepositoryError("damaged_member", f"{type(error).__name__}: {error}") from error
        if len(data) != info.file_size:
            raise RepositoryError("damaged_member", f"{len(data)} bytes, not {info.file_size}")
        return data

    try:
        with zipfile.ZipFile(_BoundedDirectory(stream, limits.max_files)) as file:
            for info in file.infolist():
                mode = info.external_attr >> 16 if info.create_system == 3 else 0
                if info.is_dir() or stat.S_ISDIR(mode):
                    continue
                if stat.S_ISLNK(mode):
                    facts = None, "symlink", "link"
                elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    facts = info.file_size, "special", f"mode {mode:o}"
                elif info.flag_bits & 1:
                    facts = info.file_size, "unreadable", "encrypted"
                elif info.compress_type not in _METHODS:
                    facts = info.file_size, "unreadable", f"packed with method {info.compress_type}"
                else:
                    facts = info.file_size, None, ""
                yield Member(info.orig_filename, *facts, lambda info=info: read(info))
    except RepositoryError:
        raise
    except Exception as error:  # zipfile raises errors of many kinds for a damaged directory
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error


class _BoundedDirectory(io.RawIOBase):
    """A zip file whose directory is refused if it has too many entries.

    zipfile reads the whole directory at once and makes an object of every entry before it returns the first one.
    """

    def __init__(self, stream: BinaryIO, max_files: int) -> None:
        self._stream, self._max_files = stream, max_files
        self._max_bytes = min(400 * max_files + 65_536, 128 * MB)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        most = self._max_bytes + 1
        data = self._stream.read(min(size, most) if size is not None and size >= 0 else most)
        if len(data) > self._max_bytes:
            raise RepositoryError("too_many_files", f"a directory of more than {self._max_bytes:,} bytes")
        if len(data) > 46 * self._max_files and data.count(zipfile.stringCentralDir) > 2 * self._max_files:
            raise RepositoryError("too_many_files", f"more than {2 * self._max_files:,} entries")
        return _with_readable_names(data) if data.startswith(zipfile.stringCentralDir) else data


def _with_readable_names(directory: bytes) -> bytes:
    """A zip's directory without the UTF-8 flag on names that are not UTF-8.

    Because of one such name zipfile would refuse the whole archive.
    """
    data, at, size = bytearray(directory), 0, zipfile.sizeCentralDir
    while data.startswith(zipfile.stringCentralDir, at) and at + size <= len(data):
        fields = struct.unpack(zipfile.structCentralDir, data[at : at + size])
        flags, name, extra, comment = (fields[index] for index in (_FLAGS, _NAME, _EXTRA, _COMMENT))
        if flags & _UTF8:
            try:
                data[at + size : at + size + name].decode()
            except UnicodeDecodeError:
                struct.pack_into("<H", data, at + _FLAGS_OFFSET, flags & ~_UTF8)
        at += size + name + extra + comment
    return bytes(data)
