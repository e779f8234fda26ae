"""Decodes the body of an HTTP response: its content type, its transfer and content codings, its real media type."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable

from fastwarc.stream_io import BrotliReader, ChunkedReader

from resources import gunzip

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b\x08"
_SNIFFED = ("", "application/octet-stream", "unknown/unknown", "application/unknown", "*/*")
#: Codings that one body may have. Servers use two; each coding may let the body grow to the limit once more.
_MAX_CODINGS = 5
# Atomic groups: a comment that has ended is never made longer, which would try every grouping of many short comments.
_HTML_START = re.compile(
    rb"(?>(?><!--.{0,512}?-->)|<\?xml[^>]{0,256}>|\s){0,8}+<(?:!doctype\s+html|html|head|body|title|meta|script|table|div|h1|p|a)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_BINARY_STARTS = (b"%PDF-", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", _GZIP, b"RIFF", b"\x00\x00\x01\x00")


class TooLarge(ValueError):
    """The body of a response grows over the size limit while it is decoded."""


@functools.lru_cache(maxsize=4096)
def parse_content_type(value: str) -> tuple[str, str | None]:
    """(media type in lower case, charset parameter or None) of a Content-Type header.
    The media type is "" if the header has no valid one."""
    mime, _, rest = value.partition(";")
    mime = mime.partition(",")[0].strip().lower()
    if not re.fullmatch(r"[\w!#$&^.+*-]{1,64}/[\w!#$&^.+*-]{1,100}", mime, re.ASCII):
        mime = ""
    match = re.search(r"""charset\s*=\s*["']?\s*([^\s"';,]{1,40})""", rest, re.IGNORECASE)
    return mime, match.group(1) if match else None


def decode_body(raw: bytes, transfer: str, content: str, limit: int) -> bytes:
    """The body after transfer and content decoding. `transfer` and `content` are the values of the headers
    Transfer-Encoding and Content-Encoding: chunked, gzip, deflate, br, or several of them ("gzip, br").

    A body that is not encoded as its header says is returned as it is: crawlers often store the decoded body. Raises
    `TooLarge` if the body grows over `limit` bytes, and ValueError or zlib.error if its coding is damaged or unknown.
    """
    codings = [name for c in f"{content},{transfer}".split(",") if (name := c.strip().lower())]
    if len(codings) > _MAX_CODINGS:
        raise ValueError(f"the body has {len(codings)} codings; at most {_MAX_CODINGS} are undone")
    for coding in reversed(codings):
        match coding:
            case "identity" | "none" | "utf-8":
                continue
            case "chunked":
                if re.match(rb"[0-9a-fA-F]{1,8}[ \t]*(?:;[^\r\n]{0,256})?\r?\n", raw):
                    raw = _read_all(ChunkedReader(io.BytesIO(raw)), limit)
            case "gzip" | "x-gzip":
                if raw.startswith(b"\x1f\x8b"):
                    raw = _inflate(raw, gunzip.GZIP, limit)
            case "deflate":
                # RFC 9110 means the zlib format; some servers send bare deflate data.
                if len(raw) > 2 and (raw[0] & 0x0F) == 8 and (raw[0] << 8 | raw[1]) % 31 == 0:
                    raw = _inflate(raw, gunzip.ZLIB, limit)
                elif raw and not raw.lstrip().startswith(b"<"):
                    raw = _inflate(raw, gunzip.BARE, limit)
            case "br":
                if raw and not raw.lstrip().startswith(b"<"):
                    raw = _read_all(BrotliReader(io.BytesIO(raw)), limit)
            case _ if _HTML_START.match(raw[:2048]):
                continue  # the name of a coding that was not applied: "Content-Encoding: UTF8"
            case _:
                raise ValueError(f"unknown content coding {coding[:40]!r}; known are chunked, gzip, deflate and br")
    return raw


def sniff_mime(declared: str, body: bytes) -> str:
    """The media type of a body: the declared one, unless it says nothing (such as application/octet-stream) or the body
    starts like a binary file, as PDF and PNG do."""
    if body.startswith(_BINARY_STARTS):
        return declared if declared not in _SNIFFED and "html" not in declared else "application/octet-stream"
    if declared in _SNIFFED and _HTML_START.match(body[:2048]):
        return "text/html"
    return declared or "application/octet-stream"


def _read_all(reader, limit: int) -> bytes:
    """All bytes from a decoder. Raises `TooLarge` above `limit` bytes, and ValueError for damaged data."""
    try:
        return _joined(iter(lambda: reader.read(_CHUNK), b""), limit)
    except OSError as problem:
        raise ValueError(f"undecodable body: {problem}") from problem


def _inflate(raw: bytes, form: int, limit: int) -> bytes:
    """Decompress data of a form that `gunzip` names. Raises as `_read_all` does, and zlib.error for damaged data."""
    try:
        return _joined(gunzip.inflated(io.BytesIO(raw), form), limit)
    except EOFError as problem:
        raise ValueError(f"undecodable body: {problem}") from problem


def _joined(parts: Iterable[bytes], limit: int) -> bytes:
    kept, size = [], 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body has more than {limit} bytes after decoding")
        kept.append(part)
    return b"".join(kept)
