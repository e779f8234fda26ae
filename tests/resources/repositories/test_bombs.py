"""Archives made to fill the memory, to be endless, or to deceive the limits."""

from __future__ import annotations

import binascii
import bz2
import gzip
import io
import itertools
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from resources.repositories import RepositoryError, archive_entries, budget, commit_of
from tests.resources.repositories.places import LIMITS, files, limits, tar, zipped

MB = 1 << 20
PLAIN = tar(files(**{"a/x.py": b"print(1)\n", "a/b/y.c": b"int y;\n"}), mode="w")


def read(data: bytes, of=LIMITS) -> tuple[dict[str, str | None], str]:
    """{path: fate}, and the cause of the error that stopped reading ("" if none)."""
    found: dict[str, str | None] = {}
    try:
        for entry in archive_entries(io.BytesIO(data), of):
            found[entry.path] = entry.fate
    except RepositoryError as error:
        return found, error.cause
    return found, ""


def peak(of: Callable[[], object]) -> float:
    """The most MB that Python's allocators held while `of` ran. Python's decompressors use the same allocators."""
    tracemalloc.start()
    try:
        of()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bz2", "lzma"])
def test_zip_members_that_decompress_all_at_once_are_not_read(method):
    """zipfile limits the output of deflate only: 4 MB of bzip2 can decompress to 80 GB at once."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("r/bomb.c", bytes(48 * MB))
        archive.writestr("r/ok.c", b"int x;\n", zipfile.ZIP_DEFLATED)
    data = bytearray(out.getvalue())
    record = data.index(b"PK\1\2")
    data[record + 24 : record + 28] = (5_000).to_bytes(4, "little")  # a size within the limit
    assert read(bytes(data))[0] == {"bomb.c": "unreadable", "ok.c": None}
    assert peak(lambda: read(bytes(data))) < 8


def test_a_dictionary_of_gigabytes_is_not_allocated():
    data = bytearray(lzma.compress(PLAIN, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4_096}]))
    assert data[14:16] == b"\x21\x01"  # the block's only filter and the length of its properties
    data[16] = 40  # 4 GB
    end = 12 + 4 * data[12]
    data[end : end + 4] = struct.pack("<I", binascii.crc32(data[12:end]))
    for reader in (lambda: read(bytes(data)), lambda: commit_of(io.BytesIO(data))):
        assert peak(reader) < 8
    assert read(bytes(data)) == ({}, "damaged")
    assert read(lzma.compress(PLAIN, preset=9))[1] == "", "the largest dictionary that xz itself uses is accepted"


def old_sparse(extensions: int) -> bytes:
    """A GNU sparse member of 100 bytes with this many blocks in its map, then an ordinary member."""
    info = tarfile.TarInfo("r/sparse.bin")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 100
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482], header[483:495] = 1, b"00000001750\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    place = b"00000000001\0" * 2 * 21
    blocks = [place + (b"\1" if n < extensions - 1 else b"\0") + bytes(7) for n in range(extensions)]
    return bytes(header) + b"".join(blocks) + b"x" * 100 + bytes(412) + tar(files(**{"r/ok.c": b"int x;\n"}), mode="w")


def new_sparse(count: int, places: int) -> bytes:
    """The same in pax format: the map is text in front of the content and claims to have `count` numbers."""
    body = b"%d\n" % count + b"1\n" * places
    body += bytes(-len(body) % 512) + b"x" * 100
    fields = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "r/sparse.bin",
              "GNU.sparse.realsize": "1000"}  # fmt: skip
    members = [("r/GNUSparseFile.0/sparse.bin", body, {"pax_headers": fields}), ("r/ok.c", b"int x;\n", {})]
    return tar(members, mode="w", format=tarfile.PAX_FORMAT)


@pytest.mark.parametrize("data", [old_sparse(3), new_sparse(20, 40)], ids=["gnu", "pax"])
def test_a_sparse_file_is_reported_and_the_next_member_is_read(data):
    assert read(data) == ({"sparse.bin": "special", "ok.c": None}, "")


@pytest.mark.parametrize("data", [old_sparse(20_000), new_sparse(10**9, 5_000_000)], ids=["gnu", "pax"])
def test_the_map_of_a_sparse_file_is_not_collected(data):
    of = limits(max_repository_mb=100)
    assert peak(lambda: read(data, of)) < 4
    assert "sparse.bin" in read(data, of)[0] or read(data, of)[1]


def test_a_negative_size_does_not_raise_the_budget():
    fields = {"size": "-99999999999"}
    members = [("r/a", b"x", {"pax_headers": fields}), ("r/b", b"x", {})]
    found, cause = read(tar(members, mode="w", format=tarfile.PAX_FORMAT))
    assert (found, cause) == ({}, "damaged")


def test_global_headers_are_limited():
    """tarfile copies each global header for every member that follows it."""
    members = b"".join(
        tarfile.TarInfo.create_pax_global_header({f"key{n}": "v" * 15_000})
        + tar([(f"r/{n}", b"1", {})], mode="w")[:1024]
        for n in range(400)
    )
    found, cause = read(members, limits(max_repository_mb=100))
    assert cause == "damaged" and len(found) < 400
    assert peak(lambda: read(members, limits(max_repository_mb=100))) < 4


def test_directory_entries_of_a_zip_are_counted_before_they_are_parsed():
    record = zipped([("r/a", b"1")])
    start, end = record.index(b"PK\1\2"), record.index(b"PK\5\6")
    records = record[start:end] * 30_000
    tail = bytearray(record[end:])
    tail[8:12] = b"\xff" * 4
    tail[12:16] = len(records).to_bytes(4, "little")
    data = record[:start] + records + bytes(tail)
    of = limits(max_files=5_000)
    assert read(data, of) == ({}, "too_many_files")
    assert peak(lambda: read(data, of)) < 8


class Counted(io.BytesIO):
    """A file that counts the bytes read from it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


ENDLESS = {
    "members of gzip without content": gzip.compress(b"") * 60_000,
    "a name in gzip's header": b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 2_000_000,
    "streams of bzip2 without content": bz2.compress(b"") * 90_000,
    "streams of xz without content": lzma.compress(b"") * 40_000,
}


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS)
def test_a_stream_that_decompresses_to_nothing_ends_at_the_time_limit(data, monkeypatch):
    """Limits of size do not notice such a stream, so the time is checked at every read. The search for a commit reads
    only the first MB."""
    stream = Counted(data)
    assert commit_of(stream) is None
    assert stream.taken < 1.1 * MB
    clock = itertools.count()
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    stream = Counted(data)
    with pytest.raises(RepositoryError, match="timeout"):
        list(archive_entries(stream, limits(timeout_s=12)))
    assert stream.taken < len(data)


def test_a_wrong_checksum_is_damage():
    """A tar ends before its file does; the checksum of gzip is at the end of the file."""
    data = bytearray(gzip.compress(PLAIN))
    data[-8] ^= 1
    assert read(bytes(data)) == ({"x.py": None, "b/y.c": None}, "damaged")


def test_gzip_members_form_one_archive_and_bytes_after_it_are_ignored():
    half = len(PLAIN) // 2
    whole = {"x.py": None, "b/y.c": None}
    assert read(gzip.compress(PLAIN[:half]) + gzip.compress(PLAIN[half:])) == (whole, "")
    assert read(gzip.compress(PLAIN) + bytes(1_000)) == (whole, "")
    assert read(gzip.compress(PLAIN) + b"garbage") == (whole, "damaged")
    assert read(PLAIN + b"garbage" * 500) == (whole, "")
    assert read(gzip.compress(PLAIN + tar(files(**{"a/z": b"1"}), mode="w"))) == (whole, ""), "a second archive"


def test_names_that_differ_in_case_or_unicode_form_are_different_files():
    members = [("r/README", b"1", {}), ("r/readme", b"2", {}), ("r/caf\u00e9", b"3", {}), ("r/cafe\u0301", b"4", {})]
    assert list(read(tar(members, mode="w"))[0]) == ["README", "readme", "caf\u00e9", "cafe\u0301"]
    assert list(read(zipped([(name, data) for name, data, _ in members]))[0]) == [
        "README",
        "readme",
        "caf\u00e9",
        "cafe\u0301",
    ]
