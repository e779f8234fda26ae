"""Decodes the body of an HTTP response: its content type, its transfer and content codings, its real media type."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable

from fastwarc.stream_io import BrotliReader, ZstdReader

from resources import gunzip

_CHUNK = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_SNIFFED = ("", "application/octet-stream", "unknown/unknown", "application/unknown", "*/*")
#: Codings that one body may have. Servers use two; each coding may let the body grow to the limit once more.
_MAX_CODINGS = 5
_CODINGS = ("gzip", "deflate", "br", "zstd")
# Atomic groups: a comment that has ended is never made longer, which would try every grouping of many short comments.
_HTML_START = re.compile(
    rb"(?>(?><!--.{0,512}?-->)|<\?xml[^>]{0,256}>|\s){0,8}+<(?:!doctype\s+html|html|head|body|title|meta|script|table|div|h1|p|a)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
#: The line with the size of a chunk. Its extensions may hold anything but a line end.
_CHUNK_SIZE = re.compile(rb"[ \t]{0,16}([0-9a-fA-F]{1,8})[ \t]{0,16}(?:;[^\r\n]{0,4096})?\r?\n")
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\f\r\x1b")
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
    Transfer-Encoding and Content-Encoding: chunked, gzip, deflate, br, zstd, or several of them ("gzip, br").

    A body that is not encoded as its header says is returned as it is, because crawlers often store the decoded body;
    a coding that its first bytes show (gzip, zstd, zlib) is undone in the place of a wrong or missing name. Raises
    `TooLarge` if the body grows over `limit` bytes, and ValueError or zlib.error if its coding is damaged or unknown.
    """
    codings = [name for c in f"{content},{transfer}".split(",") if (name := c.strip(" \t\"';").lower())]
    if len(codings) > _MAX_CODINGS:
        raise ValueError(f"the body has {len(codings)} codings; at most {_MAX_CODINGS} are undone")
    for coding in reversed(codings):
        raw = _undone(raw, coding.removeprefix("x-"), limit)
    return raw


def undo_unnamed(raw: bytes, limit: int) -> bytes:
    """A page that is compressed (gzip or zstd) without a word about it in its header, or once more than the header
    says, without these codings. Raises as `decode_body` does."""
    for _ in range(_MAX_CODINGS):
        if (coding := _evident(raw)) not in ("gzip", "zstd"):
            break
        raw = _undone(raw, coding, limit)
    return raw


def _undone(raw: bytes, coding: str, limit: int) -> bytes:
    """The body without a coding that its header names."""
    if coding == "chunked":
        return _dechunked(raw, limit)
    if coding in ("identity", "none", "utf-8") or not raw:
        return raw
    evident = _evident(raw)
    if evident == "text" and coding != "br":
        return raw  # a coding that was not applied, or the name of something else: "Content-Encoding: text/html"
    if coding not in _CODINGS and not evident:
        raise ValueError(f"unknown content coding {coding[:40]!r}; known are chunked, {', '.join(_CODINGS)}")
    if coding == "deflate" and not evident:
        return _inflate(raw, gunzip.BARE, limit)  # RFC 9110 means the zlib format; some servers send bare deflate data
    if coding == "br" and not raw.lstrip().startswith(b"<"):
        try:
            return _read_all(BrotliReader(io.BytesIO(raw)), limit)
        except TooLarge:
            raise
        except ValueError:
            if not evident:
                raise
    match evident:
        case "gzip":
            return _inflate(raw, gunzip.GZIP, limit)
        case "zlib":
            return _inflate(raw, gunzip.ZLIB, limit)
        case "zstd":
            return _read_all(ZstdReader(io.BytesIO(raw)), limit)
        case "text":
            return raw
    raise ValueError(f"undecodable body: it is not in the coding {coding!r} that its header names")


def _evident(raw: bytes) -> str:
    """What the first bytes of a body show: gzip, zstd, zlib, text or "" for anything else."""
    if raw.startswith(_GZIP[:2]):
        return "gzip"
    if raw.startswith(_ZSTD):
        return "zstd"
    start = raw[:2048]
    if not raw.startswith(_BINARY_STARTS) and _is_text(start):
        return "text"
    if len(raw) > 2 and raw[0] & 0x0F == 8 and raw[0] >> 4 < 8 and (raw[0] << 8 | raw[1]) % 31 == 0:
        return "zlib"
    return ""


def _is_text(start: bytes) -> bool:
    """Whether bytes are the beginning of a text. Compressed data has control characters in every tenth place, and is
    never valid UTF-8 for long."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return True
    controls = len(start) - len(start.translate(None, _CONTROLS))
    if controls * 50 > len(start):
        return False
    if start.lstrip().startswith(b"<") or (not controls and len(start) >= 256):
        return True
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(start) - 3 and error.reason == "unexpected end of data"
    return True


def _dechunked(raw: bytes, limit: int) -> bytes:
    """The content of the chunks of a body; the body itself if it does not begin with the size of a chunk.

    Line ends may be LF alone, sizes may have blanks and extensions ("7;name=value"), and the last chunk may be missing.
    Raises ValueError if the body ends inside a chunk or a chunk has no size.
    """
    parts, at, size = [], 0, 0
    while at < len(raw):
        line = _CHUNK_SIZE.match(raw, at)
        if line is None:
            if not parts:
                return raw
            raise ValueError(f"undecodable body: chunk {len(parts) + 1} does not begin with its size")
        length = int(line[1], 16)
        if length == 0:
            break
        begin, at = line.end(), line.end() + length
        if at > len(raw):
            if not parts and not line[0].endswith(b"\r\n"):
                return raw  # a text whose first line is a number
            raise ValueError(f"undecodable body: chunk {len(parts) + 1} has {len(raw) - begin} of {length} bytes")
        size += length
        if size > limit:
            raise TooLarge(f"the body has more than {limit} bytes after decoding")
        parts.append(raw[begin:at])
        at += 2 if raw[at : at + 2] == b"\r\n" else raw[at : at + 1] == b"\n"
    return b"".join(parts)


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
