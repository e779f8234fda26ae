"""Makes the sources of a lake that never had some pages and a repository, from the embedded sample.

A page's id holds its place in its WARC file. So the record of a left-out page becomes a record of the same length that
is not a page, and all other records stay where they are.
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from resources.crawl import SAMPLE

_BLOCK = 65_535  # most bytes of a stored block of deflate
_HEADER = (
    "WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Record-ID: <urn:uuid:{number:032x}>\r\nWARC-Date: 2024-12-01T00:00:00Z\r\n"
    "Content-Type: text/plain\r\nContent-Length: {size:08d}\r\n\r\n"
)


def without(folder: Path, host: str, url: str, repository: str) -> int:
    """Copy the crawl and the code of the sample into a folder, without the pages of a host, a page, and a repository;
    returns the number of page records that were left out."""

    def is_out(address: str) -> bool:
        own = (urlsplit(address).hostname or "").removeprefix("www.")
        return own == host or urldefrag(address)[0] == url

    shutil.copytree(SAMPLE / "crawl-data", folder / "crawl-data")
    shutil.copytree(SAMPLE / "cc-index", folder / "cc-index")
    shutil.copy(SAMPLE / "collinfo.json", folder)
    left_out = sum(_blank(file, is_out) for file in sorted((folder / "crawl-data").rglob("*.warc.gz")))
    for file in sorted((folder / "cc-index").rglob("*.parquet")):
        _filter(file, file, lambda row: not is_out(row["url"]))
    (folder / "code").mkdir()
    for name in ("files.parquet", "repositories.parquet"):
        _filter(SAMPLE / "code" / name, folder / "code" / name, lambda row: row["repo"] != repository)
    return left_out


def _blank(file: Path, is_out: Callable[[str], bool]) -> int:
    """Replace the members of a WARC file whose page is left out; returns their number."""
    data, at, parts, count = file.read_bytes(), 0, [], 0
    while at < len(data):
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        head = inflater.decompress(data[at:]).partition(b"\r\n\r\n")[0].decode()
        end = len(data) - len(inflater.unused_data)
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        member = data[at:end]
        if fields["WARC-Type"] == "response" and is_out(fields["WARC-Target-URI"].strip("<>")):
            member, count = _filler(len(member), count), count + 1
        parts.append(member)
        at = end
    file.write_bytes(b"".join(parts))
    return count


def _filler(size: int, number: int) -> bytes:
    """A gzip member of this many bytes with a record that is not a page, which is not compressed."""
    blocks = -(-(size - 18) // (_BLOCK + 5))
    whole = size - 18 - 5 * blocks  # 18 bytes are the header and the end of a member, 5 those of a block
    blank = whole - len(_HEADER.format(number=number, size=0)) - 4
    record = _HEADER.format(number=number, size=blank).encode() + b" " * blank + b"\r\n\r\n"
    member = bytearray(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
    for start in range(0, whole, _BLOCK):
        piece = record[start : start + _BLOCK]
        is_last = start + _BLOCK >= whole
        member += bytes([is_last]) + len(piece).to_bytes(2, "little") + (0xFFFF ^ len(piece)).to_bytes(2, "little")
        member += piece
    member += zlib.crc32(record).to_bytes(4, "little") + len(record).to_bytes(4, "little")
    if len(member) != size or gzip.decompress(member) != record:
        raise AssertionError(f"a record of {size} bytes has no room for another one")
    return bytes(member)


def _filter(source: Path, target: Path, keep: Callable[[dict], bool]) -> None:
    """Write a Parquet file without some rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(source)
    pq.write_table(rows.filter(pa.array([keep(row) for row in rows.to_pylist()])), target)
