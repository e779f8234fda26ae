"""Reads WARC files into pages. Every record gets exactly one fate, broken records are skipped, memory is bounded.

fastwarc parses the records. This module adds four things: the offset and length of every record, so that a ranged read
of those bytes gives the same record; the HTTP body after decoding, with a limit on its size; the tests that decide the
fate of a record; and recovery: after a damaged record it reads on at the next gzip member or, in an uncompressed file,
at the next record header.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from fastwarc import ArchiveIterator, WarcRecord, WarcRecordType

from nemotron_assets.warc import charset
from nemotron_assets.warc.http_body import TooLarge, decode_body, parse_content_type, sniff_mime

#: {fate: what it means}, in the order in which the fates are tested. Records with the first two fates become pages.
FATES = {
    "page": "the record is kept as a page",
    "charset_corrected": "the record is kept as a page; its bytes contradict the declared character encoding",
    "other_record": "the record is not a response: warcinfo, request, metadata or conversion",
    "revisit": "the body of this response stands in an earlier record",
    "malformed": "the record lacks a valid header, URL or date, or its body is undecodable or shorter than declared",
    "redirect": "the HTTP status is 3xx",
    "not_200": "the HTTP status is neither 200 nor 3xx",
    "too_large": "the body exceeds the recipe's size limit, before or after decoding",
    "empty": "the body is empty or only white space",
    "not_html": "the recipe does not take the body's media type, as declared or as seen in its bytes",
    "truncated": "the crawler cut the body off (WARC-Truncated), and the recipe does not keep such pages",
    "damaged": "the bytes are not a readable record; counted once for each place where reading had to start again",
    "broken_file": "the file could not be fetched, or it is not a WARC file",
}
KEPT = ("page", "charset_corrected")
#: Fates that mean that the WARC data is broken.
BROKEN = ("malformed", "damaged", "broken_file")

#: Bytes. A record that declares more is not read: its header must be damaged.
MAX_RECORD = 1 << 30
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b\x08"


class NotWarc(ValueError):
    """The file is not a WARC file, or its records have no byte ranges of their own."""


@dataclass(frozen=True)
class Limits:
    """Which records become pages: bodies of at most `max_body` bytes and of the media types `mimes`, and cut-off bodies
    only with `keep_truncated`. A batch has at most `batch_rows` pages and `batch_bytes` bytes of bodies."""

    max_body: int = 8 << 20
    mimes: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    keep_truncated: bool = False
    batch_rows: int = 256
    batch_bytes: int = 32 << 20


@dataclass(slots=True)
class Page:
    """A record that is kept. `html` is its body as bytes, after transfer and content decoding. `offset` and `length`
    are its bytes in the file; `length` is 0 until the end of the record is known."""

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
    """{fate: records} and {fate: bytes}. The bytes are those of the bodies (the declared number where a body was not
    read); for damaged data, those in the file."""

    records: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, fate: str, size: int) -> None:
        """Count one record."""
        self.records[fate] = self.records.get(fate, 0) + 1
        self.bytes[fate] = self.bytes.get(fate, 0) + size


#: Called with (offset in the file, fate, what is wrong) for every broken record.
OnBroken = Callable[[int, str, str], None]


class WarcFile:
    """One WARC file as a stream of pages. The file is uncompressed, or gzip with one member per record. Raises
    `NotWarc` for any other file.

    `counts` is complete when `pages` has ended: it then counts every record of the file, and every damaged place once.
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
        """The kept pages in file order. All other records are only counted."""
        base = 0
        while base < self.size:
            base = yield from self._read_until_damage(base)

    def _read_until_damage(self, base: int) -> Iterator[Page]:
        """Read from offset `base` to the end or the first damage; returns the offset where reading must go on."""
        self.stream.seek(base)
        start, found, size = None, None, 0  # the previous record: its offset, its page or fate, its bytes
        error: Exception | None = None
        try:
            for record in ArchiveIterator(self.stream, buffer_size=_CHUNK):
                here = record.stream_pos  # an offset in the file, not from `base`
                if start is not None:
                    yield from self._finish(start, here, found, size)
                start, found, size = here, None, record.content_length
                if size > MAX_RECORD:
                    found = "too_large"
                    raise ValueError(f"the record declares {size} bytes; at most {MAX_RECORD} are read")
                found, size = self._classify(record, here)
        except Exception as problem:  # fastwarc's errors have no common type; after any of them reading must go on
            error = problem

        if start is None:
            start = base
        else:
            # The last record before the damage, or before the end of the file, may itself be complete.
            end = self._record_end(start)
            if end is not None:
                if found is None:
                    found, size = self._malformed(start, str(error), size)
                yield from self._finish(start, end, found, size)
                return self.size if self._only_padding(end) else end
        resume = self._next_record(start + 1)
        if found == "malformed":
            self.counts.add(found, size)
        else:
            detail = error or "the file ends inside a record"
            self.counts.add("damaged", resume - start)
            self.on_broken(start, "damaged", f"{resume - start} bytes skipped: {detail}")
        return resume

    def _finish(self, start: int, end: int, found: Page | str | None, size: int) -> Iterator[Page]:
        """Count a record whose end is now known, and yield its page if it has one."""
        if isinstance(found, Page):
            found.length = end - start
            self.counts.add(found.fate, size)
            yield found
        elif found is not None:
            self.counts.add(found, size)

    def _classify(self, record: WarcRecord, offset: int) -> tuple[Page | str, int]:
        """(page or fate, bytes of the body) of a record. The fates are tested in the order of `FATES`."""
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
                return self._malformed(offset, f"the body has {len(body)} of {declared} declared bytes", declared)
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
        """Raise `NotWarc` for a file that is not a WARC file, and for gzip without one member per record."""
        if not self.size:
            raise NotWarc("the file is empty")
        if self._next_record(0) >= self.size:
            raise NotWarc("it holds no WARC record")
        if self.compressed and self._next_record(0) == 0:
            _, text = self._inflate_member(0, keep=1 << 16)
            header = text.partition(b"\r\n\r\n")[0]
            length = re.search(rb"(?mi)^content-length:\s*(\d{1,12})\s*$", header)
            following = len(header) + 4 + int(length.group(1)) + 4 if length else 0
            if length and text[following : following + 7] == b"WARC/1.":
                raise NotWarc(
                    "it was compressed as a whole, so that its records have no byte ranges of their own; "
                    "compress each record as one gzip member, as `fastwarc recompress` does"
                )

    def _record_end(self, start: int) -> int | None:
        """The offset at which the record at `start` ends; None if the record is damaged."""
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
        """(end of the gzip member at `start`, or None if it is damaged; its first `keep` bytes after decompression).
        Sets `_member_size`, the member's bytes after decompression."""
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
        """The first offset from `position` on at which a record begins; the size of the file if no record follows."""
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
        """Whether only padding follows: zero bytes and line ends."""
        while chunk := self._peek(position, _CHUNK):
            if chunk.strip(b"\0\r\n"):
                return False
            position += len(chunk)
        return True

    def _peek(self, position: int, size: int) -> bytes:
        """The `size` bytes at an offset, or as many as the file has."""
        self.stream.seek(position)
        return self.stream.read(size)


_HOST = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\\\s]+)(?::\d*)?(?:[/?#]|\Z)"
)


def host_of(url: str) -> str:
    """The host name of a URL in lower case, without port or user; "" if it has no host."""
    match = _HOST.match(url)
    return match.group(1).strip("[].").lower() if match else ""


def sha1_digest(body: bytes) -> str:
    """The SHA-1 of a body as WARC files write it: "sha1:" and the digest in base32."""
    return "sha1:" + base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
