"""WARC records made for tests, and the result of parsing them."""

from __future__ import annotations

import gzip
import io

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
