"""WARC records made for tests, and the result of parsing them."""

from __future__ import annotations

import gzip
import io
import struct

from fastwarc.stream_io import ZstdWriter

from nemotron_assets.warc.reader import Limits, WarcFile

HTML = b"<!doctype html><html><body><p>A page with some text.</p></body></html>"


def record(
    url="http://a.example/",
    body=HTML,
    status="200 OK",
    headers=(("Content-Type", "text/html"),),
    kind="response",
    extra=(),
    date="2024-12-01T16:20:23Z",
    length=None,
) -> bytes:
    """One uncompressed WARC record."""
    http = b""
    if kind in ("response", "revisit"):
        http = f"HTTP/1.1 {status}\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers) + b"\r\n"
    block = http + body
    content_type = "application/http; msgtype=response" if http else "text/html"
    lines = [
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        f"WARC-Date: {date}",
        f"Content-Type: {content_type}",
        *(f"{k}: {v}" for k, v in extra),
        f"Content-Length: {len(block) if length is None else length}",
    ]
    return b"WARC/1.0\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def parse(data: bytes, limits: Limits | None = None):
    """(pages, counts, broken) of a file."""
    broken: list[tuple[int, str, str]] = []
    file = WarcFile(io.BytesIO(data), limits or Limits(), lambda *what: broken.append(what))
    return list(file.pages()), file.counts.records, broken


def member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


class _Kept(io.BytesIO):
    def close(self) -> None:  # a writer of fastwarc closes its stream before it writes the end of the data
        pass


def frame(data: bytes, dictionary: bytes | None = None) -> bytes:
    """One Zstandard frame."""
    out = _Kept()
    writer = ZstdWriter(out, dictionary=dictionary, compress_dictionary_frame=False)
    writer.write(data)
    writer.close()
    # With a dictionary, the writer begins with the dictionary's frame.
    return out.getvalue()[len(dictionary_frame(dictionary)) if dictionary else 0 :]


def dictionary_frame(dictionary: bytes) -> bytes:
    """The skippable frame with which a .warc.zst file names the dictionary of its other frames."""
    return b"\x5d\x2a\x4d\x18" + struct.pack("<I", len(dictionary)) + dictionary
