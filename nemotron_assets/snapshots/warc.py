"""WARC files into pages: every record gets exactly one fate, broken records are stepped over, memory is bounded.

fastwarc does the parsing. What is added here: the place of every record (offset and length, so that a ranged read of
those bytes gives the same record), the HTTP body after transfer and content decoding with a limit on its size, the
checks that decide a record's fate, and recovery: after a damaged record reading goes on at the next gzip member (or,
in an uncompressed file, at the next record header).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from fastwarc import ArchiveIterator, WarcRecord, WarcRecordType
from fastwarc.stream_io import BrotliReader, ChunkedReader

from nemotron_assets.snapshots import charset

#: Every fate a record may have, in the order in which they are tested; the first two are kept as pages.
FATES = {
    "page": "kept",
    "charset_corrected": "kept; its declared charset was contradicted by its bytes",
    "other_record": "not a response: warcinfo, request, metadata, conversion",
    "revisit": "a response whose body stands in an earlier record",
    "malformed": "no valid WARC or HTTP header, no URL or date, a shorter body than declared, or undecodable",
    "redirect": "HTTP status 3xx",
    "not_200": "any other HTTP status than 200",
    "too_large": "a body over the recipe's limit, before or after decoding",
    "empty": "no body, or only white space",
    "not_html": "a media type that the recipe does not take, declared or seen in the bytes",
    "truncated": "cut off by the crawler (WARC-Truncated), unless the recipe keeps those",
    "damaged": "bytes that are no readable record: one count per place where reading had to start again",
    "broken_file": "a file that could not be fetched or is no WARC file",
}
KEPT = ("page", "charset_corrected")
#: Fates that mean that something is wrong with the data, not with the page.
BROKEN = ("malformed", "damaged", "broken_file")

#: No real record is larger (bytes); one that says so is not read to its end.
MAX_RECORD = 1 << 30
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b\x08"
_SNIFFED = ("", "application/octet-stream", "unknown/unknown", "application/unknown", "*/*")
_HTML_START = re.compile(
    rb"(?:<!--.{0,512}?-->|<\?xml[^>]{0,256}>|\s){0,8}<(?:!doctype\s+html|html|head|body|title|meta|script|table|div|h1|p|a)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_BINARY_STARTS = (b"%PDF-", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", _GZIP, b"RIFF", b"\x00\x00\x01\x00")


class NotWarc(ValueError):
    """The file is no WARC file, or one whose records cannot be addressed."""


class TooLarge(ValueError):
    """A body that grows over the limit while it is decoded."""


@dataclass(frozen=True)
class Limits:
    """What is kept: bodies of at most `max_body` bytes of the given media types; and how pages are batched."""

    max_body: int = 8 << 20
    mimes: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    keep_truncated: bool = False
    batch_rows: int = 256
    batch_bytes: int = 32 << 20


@dataclass(slots=True)
class Page:
    """A kept record. `length` is known once the next record has been found."""

    url: str
    host: str
    fetched_at: datetime
    status: int
    mime: str
    charset: str
    charset_source: str
    html: bytes
    payload_digest: str
    fate: str
    offset: int
    length: int = 0


@dataclass
class Counts:
    """Records and body bytes per fate (compressed bytes where there is no body to measure)."""

    records: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, fate: str, size: int) -> None:
        self.records[fate] = self.records.get(fate, 0) + 1
        self.bytes[fate] = self.bytes.get(fate, 0) + size


#: Called with (offset in the file, fate, what was wrong) for every record that is broken.
OnBroken = Callable[[int, str, str], None]


@functools.lru_cache(maxsize=4096)
def parse_content_type(value: str) -> tuple[str, str | None]:
    """(media type in lower case, charset parameter or None) of a Content-Type header; ("", None) for nonsense."""
    mime, _, rest = value.partition(";")
    mime = mime.partition(",")[0].strip().lower()
    if not re.fullmatch(r"[\w!#$&^.+*-]{1,64}/[\w!#$&^.+*-]{1,100}", mime, re.ASCII):
        mime = ""
    match = re.search(r"""charset\s*=\s*["']?\s*([^\s"';,]{1,40})""", rest, re.IGNORECASE)
    return mime, match.group(1) if match else None


def decode_body(raw: bytes, transfer: str, content: str, limit: int) -> bytes:
    """The body after transfer and content decoding (chunked, gzip, deflate, br; several in a row).

    A body that is not encoded as its header says (crawlers often store it decoded) is taken as it is. Raises
    `TooLarge` when it grows over `limit` bytes and ValueError when an encoded body is damaged or unknown.
    """
    for coding in reversed([c.strip().lower() for c in f"{content},{transfer}".split(",")]):
        match coding:
            case "" | "identity" | "none" | "utf-8":
                continue
            case "chunked":
                if re.match(rb"[0-9a-fA-F]{1,8}[ \t]*(?:;[^\r\n]{0,256})?\r?\n", raw):
                    raw = _read_all(ChunkedReader(io.BytesIO(raw)), limit)
            case "gzip" | "x-gzip":
                if raw.startswith(b"\x1f\x8b"):
                    raw = _inflate(raw, 31, limit)
            case "deflate":
                # Both the zlib format that RFC 9110 means and the bare deflate that some servers send.
                if len(raw) > 2 and (raw[0] & 0x0F) == 8 and (raw[0] << 8 | raw[1]) % 31 == 0:
                    raw = _inflate(raw, 15, limit)
                elif raw and not raw.lstrip().startswith(b"<"):
                    raw = _inflate(raw, -15, limit)
            case "br":
                if raw and not raw.lstrip().startswith(b"<"):
                    raw = _read_all(BrotliReader(io.BytesIO(raw)), limit)
            case _:
                raise ValueError(f"unknown content coding {coding[:40]!r}")
    return raw


def sniff_mime(declared: str, body: bytes) -> str:
    """The media type, from the bytes where the declared one says nothing or is contradicted by a binary signature."""
    if body.startswith(_BINARY_STARTS):
        return declared if declared not in _SNIFFED and "html" not in declared else "application/octet-stream"
    if declared in _SNIFFED and _HTML_START.match(body[:2048]):
        return "text/html"
    return declared or "application/octet-stream"


class WarcFile:
    """One WARC file (gzip with one member per record, or uncompressed) as a stream of pages.

    `counts` is complete when `pages` has ended: the sum of its records is the number of records in the file, plus one
    for every damaged place.
    """

    def __init__(self, stream: BinaryIO, limits: Limits, on_broken: OnBroken | None = None) -> None:
        self.stream = stream
        self.size = stream.seek(0, 2)
        self.limits = limits
        self.on_broken = on_broken or (lambda offset, fate, detail: None)
        self.counts = Counts()
        self.compressed = self._peek(0, 3) == _GZIP
        self._check_addressable()

    def batches(self) -> Iterator[list[Page]]:
        """The kept pages in file order, in lists bounded in rows and in bytes of HTML."""
        batch: list[Page] = []
        size = 0
        for page in self.pages():
            if batch and (len(batch) >= self.limits.batch_rows or size + len(page.html) > self.limits.batch_bytes):
                yield batch
                batch, size = [], 0
            batch.append(page)
            size += len(page.html)
        if batch:
            yield batch

    def pages(self) -> Iterator[Page]:
        """The kept pages in file order; everything else is only counted."""
        base = 0
        while base < self.size:
            base = yield from self._run(base)

    def _run(self, base: int) -> Iterator[Page]:
        """Read from `base` until the end or the first damage; returns where reading goes on."""
        self.stream.seek(base)
        start, found, size = None, None, 0  # the record before this one: its offset, its page or fate, its bytes
        error: Exception | None = None
        try:
            for record in ArchiveIterator(self.stream, buffer_size=_CHUNK):
                here = record.stream_pos  # absolute, wherever reading began
                if start is not None:
                    yield from self._settle(start, here, found, size)
                start, found, size = here, None, record.content_length
                if size > MAX_RECORD:
                    found = "too_large"
                    raise ValueError(f"a record of {size} bytes")
                found, size = self._judge(record, here)
        except Exception as problem:  # fastwarc's errors have no common type; none of them may stop the file
            error = problem

        if start is None:
            start = base
        else:
            # The last record before the damage, or before the end of the file, may be sound itself.
            end = self._record_end(start)
            if end is not None:
                if found is None:
                    found, size = self._malformed(start, str(error), size)
                yield from self._settle(start, end, found, size)
                return self.size if self._only_padding(end) else end
        go_on = self._next_record(start + 1)
        if found == "malformed":
            self.counts.add(found, size)
        else:
            detail = error or "the file ends inside a record"
            self.counts.add("damaged", go_on - start)
            self.on_broken(start, "damaged", f"{go_on - start} bytes skipped: {detail}")
        return go_on

    def _settle(self, start: int, end: int, found: Page | str | None, size: int) -> Iterator[Page]:
        """Count a record whose end is now known, and hand on its page."""
        if isinstance(found, Page):
            found.length = end - start
            self.counts.add(found.fate, size)
            yield found
        elif found is not None:
            self.counts.add(found, size)

    def _judge(self, record: WarcRecord, offset: int) -> tuple[Page | str, int]:
        """A record's page or fate, and its bytes. The order of the tests is that of `FATES`."""
        declared = record.content_length
        kind = record.record_type
        if kind == WarcRecordType.revisit:
            return "revisit", declared
        if kind not in (WarcRecordType.response, WarcRecordType.resource):
            return "other_record", declared
        limits = self.limits
        try:
            headers = record.headers
            if kind == WarcRecordType.response:
                http = record.http_headers if record.is_http_parsed else None
                status = http.status_code if http is not None else None
                if status is None:
                    return self._malformed(offset, "no HTTP status line", declared)
                content_type = http.get("Content-Type") or ""
                content, transfer = http.get("Content-Encoding"), http.get("Transfer-Encoding")
            else:
                status, content_type, content, transfer = 200, headers.get("Content-Type") or "", None, None
            url = (headers.get("WARC-Target-URI") or "").strip("<> \t")
            fetched_at = record.record_date
            if not url or fetched_at is None:
                return self._malformed(offset, "no target URI" if not url else "no valid date", declared)
            if status != 200:
                return ("redirect" if 300 <= status < 400 else "not_200"), declared
            if declared > limits.max_body:
                return "too_large", declared
            body = record.reader.read()
            if len(body) < declared:
                return self._malformed(offset, f"{len(body)} of {declared} bytes of body", declared)
            decoded = bool(content or transfer)
            if decoded:
                body = decode_body(body, transfer or "", content or "", limits.max_body)
            if not body or body.isspace():
                return "empty", len(body)
            mime, label = parse_content_type(content_type)
            mime = sniff_mime(mime, body)
            if mime not in limits.mimes:
                return "not_html", len(body)
            if not limits.keep_truncated and headers.get("WARC-Truncated"):
                return "truncated", len(body)
            decision = charset.decide(body, label)
            digest = None if decoded else headers.get("WARC-Payload-Digest")
            page = Page(
                url=url,
                host=host_of(url),
                fetched_at=fetched_at,
                status=status,
                mime=mime,
                charset=decision.name,
                charset_source=decision.source,
                html=body,
                payload_digest=digest or sha1_digest(body),
                fate="charset_corrected" if decision.corrected else "page",
                offset=offset,
            )
            return page, len(body)
        except TooLarge:
            return "too_large", declared
        except (ValueError, zlib.error, EOFError) as problem:
            return self._malformed(offset, str(problem), declared)

    def _malformed(self, offset: int, detail: str, size: int) -> tuple[str, int]:
        self.on_broken(offset, "malformed", detail)
        return "malformed", size

    def _check_addressable(self) -> None:
        """Refuse what is no WARC file, and a gzip file whose records are not members of their own."""
        if not self.size:
            raise NotWarc("the file is empty")
        if self._next_record(0) >= self.size:
            raise NotWarc("there is no WARC record in it")
        if self.compressed and self._next_record(0) == 0:
            _, text = self._inflate_member(0, keep=1 << 16)
            header = text.partition(b"\r\n\r\n")[0]
            length = re.search(rb"(?mi)^content-length:\s*(\d{1,12})\s*$", header)
            following = len(header) + 4 + int(length.group(1)) + 4 if length else 0
            if length and text[following : following + 7] == b"WARC/1.":
                raise NotWarc(
                    "it was compressed as a whole, so that its records have no place of their own; "
                    "`fastwarc recompress` writes it with one gzip member per record"
                )

    def _record_end(self, start: int) -> int | None:
        """Where the record at `start` ends when it is sound by itself, else None."""
        if self.compressed:
            end, text = self._inflate_member(start, keep=1 << 16)
            header, mark, _ = text.partition(b"\r\n\r\n")
            length = re.search(rb"(?mi)^content-length:\s*(\d{1,12})\s*$", header)
            if end is None or not mark or not length or not text.startswith(b"WARC/"):
                return None
            return end if self._member_size == len(header) + 4 + int(length.group(1)) + 4 else None
        head = self._peek(start, 1 << 16)
        header, mark, _ = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?mi)^content-length:\s*(\d{1,12})\s*$", header)
        if not mark or not length or not head.startswith(b"WARC/"):
            return None
        end = start + len(header) + 4 + int(length.group(1)) + 4
        return end if end <= self.size and self._peek(end - 4, 4) == b"\r\n\r\n" else None

    def _inflate_member(self, start: int, keep: int) -> tuple[int | None, bytes]:
        """(end of the gzip member at `start` or None when it is broken, its first `keep` bytes); sets its full size."""
        inflater = zlib.decompressobj(31)
        text, self._member_size, position = b"", 0, start
        try:
            while not inflater.eof:
                chunk = inflater.unconsumed_tail or self._peek(position, _CHUNK)
                if not chunk:
                    return None, text
                if not inflater.unconsumed_tail:
                    position += len(chunk)
                out = inflater.decompress(chunk, _CHUNK)
                self._member_size += len(out)
                if len(text) < keep:
                    text += out[: keep - len(text)]
                if self._member_size > MAX_RECORD:
                    return None, text
        except zlib.error:
            return None, text
        return position - len(inflater.unused_data) - len(inflater.unconsumed_tail), text

    def _next_record(self, position: int) -> int:
        """The first place at or after `position` where a record begins; the size of the file if there is none."""
        mark = _GZIP if self.compressed else b"WARC/1."
        while position < self.size:
            window = self._peek(position, _CHUNK)
            at = window.find(mark)
            while at >= 0:
                here = position + at
                if self.compressed:
                    try:
                        if zlib.decompressobj(31).decompress(self._peek(here, 4096), 5) == b"WARC/":
                            return here
                    except zlib.error:
                        pass
                elif here == 0 or self._peek(here - 1, 1) == b"\n":
                    return here
                at = window.find(mark, at + 1)
            if position + len(window) >= self.size:
                break
            position += len(window) - len(mark) + 1
        return self.size

    def _only_padding(self, position: int) -> bool:
        """Whether nothing but padding follows."""
        while chunk := self._peek(position, _CHUNK):
            if chunk.strip(b"\0\r\n"):
                return False
            position += len(chunk)
        return True

    def _peek(self, position: int, size: int) -> bytes:
        self.stream.seek(position)
        return self.stream.read(size)


_HOST = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\\\s]+)(?::\d*)?(?:[/?#]|\Z)"
)


def host_of(url: str) -> str:
    """The host name of a URL in lower case, without port or user; "" when it has none."""
    match = _HOST.match(url)
    return match.group(1).strip("[].").lower() if match else ""


def sha1_digest(body: bytes) -> str:
    """The body's SHA-1 as WARC files write it: "sha1:" and base32."""
    return "sha1:" + base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()


def _read_all(reader, limit: int) -> bytes:
    """Everything a decoder gives, at most `limit` bytes; OSError from damaged data becomes ValueError."""
    parts, size = [], 0
    try:
        while part := reader.read(_CHUNK):
            size += len(part)
            if size > limit:
                raise TooLarge(f"more than {limit} bytes after decoding")
            parts.append(part)
    except OSError as problem:
        raise ValueError(f"undecodable body: {problem}") from problem
    return b"".join(parts)


def _inflate(raw: bytes, window: int, limit: int) -> bytes:
    """zlib, gzip or bare deflate data (as `window` says), several gzip members too."""
    out, size = [], 0
    while raw:
        inflater = zlib.decompressobj(window)
        part = inflater.decompress(raw, limit - size + 1)
        size += len(part)
        if size > limit:
            raise TooLarge(f"more than {limit} bytes after decoding")
        out.append(part)
        if not inflater.eof:
            raise ValueError("undecodable body: compressed data ends early")
        raw = inflater.unused_data if window == 31 and inflater.unused_data.startswith(b"\x1f\x8b") else b""
    return b"".join(out)
