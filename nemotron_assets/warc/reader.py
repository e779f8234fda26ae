"""Reads WARC files into pages. Every record gets exactly one fate, broken records are skipped, memory is bounded.

fastwarc parses the records. This module adds four things: the offset and length of every record, so that a ranged read
of those bytes gives the same record; the HTTP body after decoding, with a limit on its size; the tests that decide the
fate of a record; and recovery: after a damaged record it reads on at the next member of a compressed file
(`nemotron_assets/warc/members.py`) or at the next record header of an uncompressed one.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from fastwarc import ArchiveIterator, WarcRecord, WarcRecordType

from nemotron_assets.warc import charset
from nemotron_assets.warc.fates import BROKEN, FATES, KEPT, Counts
from nemotron_assets.warc.http_body import TooLarge, decode_body, parse_content_type, sniff_mime
from nemotron_assets.warc.limits import Budget, Limits, OverLimit
from nemotron_assets.warc.members import GZIP, MAX_CONTENT, Damaged, Members
from resources.received import LOOKED_AT, described

__all__ = ["BROKEN", "FATES", "KEPT", "Counts", "EmptyFile", "Limits", "NotWarc", "OnBroken", "OverLimit", "Page",
           "WarcFile", "host_of", "sha1_digest"]  # fmt: skip

_CHUNK = 1 << 20
#: Places that look like a record's beginning which are tried per damaged place that is allowed.
_TRIES = 1_000
_NONE = "it holds no WARC record"


class NotWarc(ValueError):
    """The file is not a WARC file, or its records have no byte ranges of their own."""


class EmptyFile(NotWarc):
    """The file has no bytes, also after decompression."""


@dataclass(slots=True)
class Page:
    """A record that is kept. `html` is its body as bytes, after transfer and content decoding. `offset` and `length`
    are its bytes in the file; `length` is 0 until the end of the record is known. If several records share one gzip
    member, `offset` and `length` are those of the member, and `inner_offset` is the record's place in the member's
    content; it is None for the first record of a member."""

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
    offset: int = 0
    length: int = 0
    inner_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands for a record with the fate "malformed"; `detail` says what is wrong with it."""

    detail: str


Found = Page | Malformed | str
"""A page, or what became of a record that is not kept."""


#: Called with (offset in the file, fate, what is wrong) for every broken record.
OnBroken = Callable[[int, str, str], None]


def in_batches(pages: Iterator[Page], limits: Limits) -> Iterator[list[Page]]:
    """Pages in lists bounded in rows and in bytes of bodies. If `pages` ends with an error, the pages before it come
    first: they are counted already."""
    batch: list[Page] = []
    size = 0
    try:
        for page in pages:
            if batch and (len(batch) >= limits.batch_rows or size + len(page.html) > limits.batch_bytes):
                full, batch, size = batch, [], 0
                yield full
            batch.append(page)
            size += len(page.html)
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class WarcFile:
    """One WARC file as a stream of pages: not compressed, or in gzip members or Zstandard frames that begin with a
    record. Raises `NotWarc` for any other file, and for a file that is one member with several records.

    `counts` is complete when `pages` has ended: it then counts every record of the file, and every damaged place once.
    With `one_member`, the stream is not a file but one member of a file, which may hold several records.
    """

    def __init__(
        self, stream: BinaryIO, limits: Limits, on_broken: OnBroken | None = None, *, one_member: bool = False
    ) -> None:
        self.stream = stream
        self.size = stream.seek(0, 2)
        self.limits = limits
        self.on_broken = on_broken or (lambda offset, fate, detail: None)
        self.counts = Counts()
        self._budget, self._tried = Budget(limits), 0
        try:
            self.members = Members(stream, self.size) if Members.are_in(self._peek(0, 4)) else None
        except Damaged as problem:
            raise NotWarc(str(problem)) from problem
        # Zstandard frames may need a dictionary, with which only `Members` begins in the middle of a file.
        self._by_member = self.members is not None and self.members.mark != GZIP
        self._check_addressable(one_member)

    def batches(self) -> Iterator[list[Page]]:
        """The kept pages in file order, in lists bounded in rows and in bytes of HTML. Raises `OverLimit`; the pages
        before that place have been yielded."""
        return in_batches(self.pages(), self.limits)

    def pages(self) -> Iterator[Page]:
        """The kept pages in file order. All other records are only counted. Raises `OverLimit`."""
        base = 0
        while base < self.size:
            if not self.members:
                base = yield from self._read_until_damage(base)
            elif self._by_member:
                base = yield from self._read_member(base)
            else:
                base = yield from self._read_members(base)

    def _read_members(self, base: int) -> Iterator[Page]:
        """Read gzip members of one record each from `base` on as one stream, which is fast, up to a sign of damage or
        of a member with several records; returns the offset where reading must go on."""
        self.stream.seek(base)
        done, start, held, content = None, None, None, 0  # the last two members; of the last: its fate and bytes
        try:
            for record in ArchiveIterator(self.stream, buffer_size=_CHUNK):
                here = record.stream_pos
                if start is not None:
                    # fastwarc gives a record that shares its member the offset of another member, or one between two.
                    if here <= start or self._glance(here) != self.members.mark:
                        self._by_member = True
                        break
                    self._budget.spend(content)
                    yield from self._finish(0, *held, start, here - start)
                done, start, content = start, here, record.content_length
                held = self._classify_bounded(record)
        except BaseException as problem:
            _expected(problem)
        # The last record is not counted yet, and the member of the one before may hold more records.
        return (yield from self._read_member(base if done is None else done, counted=done is not None))

    def _read_member(self, base: int, *, counted: bool = False) -> Iterator[Page]:
        """Read the records of the member at `base`, of which the first may be `counted` already; returns the offset
        where reading must go on."""
        member = self.members.at(base)
        if member is None:
            return self.size if self._only_padding(base) else self._skip(base, "no compressed member begins here")
        held, error = None, None  # the record before: its place in the member, its page or fate, its bytes
        try:
            for record in ArchiveIterator(member, stream_detect=False):
                if held is not None:
                    if held[0] == 0:
                        length = (self.members.end(base) or self._next_record(base + 1)) - base
                    if held[0] or not counted:
                        yield from self._finish(*held, base, length)
                held = (record.stream_pos, *self._classify_bounded(record))
            end = member.drain()
        except BaseException as problem:
            error = _expected(problem)
        self._budget.spend(member.size)
        if counted and held is not None and held[0] == 0:
            return self._next_record(base + 1) if error is not None else end
        if error is not None:
            return self._skip(base, error, *(held or ())[1:])
        if held is not None:
            yield from self._finish(*held, base, end - base)
        elif member.size:
            return self._skip(base, "the member holds no record")
        return end

    def _read_until_damage(self, base: int) -> Iterator[Page]:
        """Read a file that is not compressed, from offset `base` to the end or the first damage; returns the offset
        where reading must go on."""
        self.stream.seek(base)
        start, found, size = None, None, 0  # the previous record: its offset, its page or fate, its bytes
        error: Exception | None = None
        try:
            for record in ArchiveIterator(self.stream, buffer_size=_CHUNK):
                here = record.stream_pos  # an offset in the file, not from `base`
                if start is not None:
                    self._budget.spend(here - start)
                    yield from self._finish(0, found, size, start, here - start)
                start, found, size = here, None, record.content_length
                found, size = self._classify_bounded(record)
        except BaseException as problem:
            error = _expected(problem)

        if start is None:
            start = base
        else:
            # The last record before the damage, or before the end of the file, may itself be complete.
            end = self._record_end(start)
            if end is not None:
                if found is None:
                    found = Malformed(str(error))
                self._budget.spend(end - start)
                yield from self._finish(0, found, size, start, end - start)
                return self.size if self._only_padding(end) else end
        return self._skip(start, error or "the file ends inside a record", found, size)

    def _finish(self, inner: int, found: Found, size: int, offset: int, length: int) -> Iterator[Page]:
        """Count a record whose end is now known, and yield its page if it has one."""
        if isinstance(found, Page):
            found.offset, found.length, found.inner_offset = offset, length, inner or None
            self.counts.add(found.fate, size)
            yield found
        else:
            self._count(found, size, offset)

    def _count(self, found: Malformed | str, size: int, offset: int) -> None:
        """Count a record that is not kept."""
        if isinstance(found, Malformed):
            self.on_broken(offset, "malformed", found.detail)
            self.counts.add("malformed", size)
        else:
            self.counts.add(found, size)

    def _skip(self, start: int, detail: object, found: Found | None = None, size: int = 0) -> int:
        """Count the damage at `start`; returns the offset of the next record. `found` and `size` are the fate and the
        bytes of the damaged record, if its beginning could be read."""
        resume = self._next_record(start + 1)
        if isinstance(found, Malformed):
            self._count(found, size, start)
        else:
            self.counts.add("damaged", resume - start)
            self.on_broken(start, "damaged", f"{resume - start} bytes skipped: {detail}")
        self._budget.damage()
        return resume

    def _classify_bounded(self, record: WarcRecord) -> tuple[Found, int]:
        """As `_classify`; raises ValueError for a record that declares an absurd size."""
        if record.content_length > MAX_CONTENT:
            raise ValueError(f"the record declares {record.content_length} bytes; at most {MAX_CONTENT} are read")
        return self._classify(record)

    def _classify(self, record: WarcRecord) -> tuple[Found, int]:
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
                    return Malformed("no HTTP status line"), declared
                content_type = http.get("Content-Type") or ""
                content, transfer = http.get("Content-Encoding"), http.get("Transfer-Encoding")
            else:
                status, content_type, content, transfer = 200, headers.get("Content-Type") or "", None, None
            url = (headers.get("WARC-Target-URI") or "").strip("<> \t")
            fetched_at = record.record_date
            if not url or fetched_at is None:
                return Malformed("no target URI" if not url else "no valid date"), declared
            if status != 200:
                return ("redirect" if 300 <= status < 400 else "not_200"), declared
            if declared > limits.max_body:
                return "too_large", declared
            body = record.reader.read()
            if len(body) < declared:
                return Malformed(f"the body has {len(body)} of {declared} declared bytes"), declared
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
            )
            return page, len(body)
        except TooLarge:
            return "too_large", declared
        except (ValueError, zlib.error, EOFError) as problem:
            return Malformed(str(problem)), declared

    def _check_addressable(self, one_member: bool) -> None:
        """Raise `NotWarc` for a file that is not a WARC file, and for a compressed file whose members do not begin with
        records."""
        if not self.size:
            raise EmptyFile("the file is empty")
        first = self._next_record(0)
        if first >= self.size:
            if self.members and (end := self.members.end(0)) and self._only_padding(end):
                raise EmptyFile("the file is empty after decompression") if not self._has_content() else NotWarc(_NONE)
            raise NotWarc(_NONE if self.members else f"{_NONE}: it is {described(self._peek(0, LOOKED_AT))}")
        if not self.members or one_member:
            return
        member, records = self.members.at(first), 0
        try:
            for _ in ArchiveIterator(member, stream_detect=False, parse_http=False):
                records += 1
                if records > 1:
                    break
        except BaseException as problem:
            _expected(problem)
            return  # the first record is damaged
        if records < 2:
            return
        end = self.members.end(first)
        if end is None or self._only_padding(end):
            raise NotWarc(
                "it was compressed as a whole, so that its records have no byte ranges of their own; "
                "compress each record as one gzip member, as `fastwarc recompress` does"
            )
        if self.members.at(end) is not None and not self.members.begins_record(end):
            raise NotWarc("its gzip members begin anywhere in a record; compress each record as one gzip member")

    def _has_content(self) -> bool:
        """Whether the first member of the file has any content."""
        try:
            return bool(self.members.at(0).read(1))
        except Damaged:
            return True

    def _record_end(self, start: int) -> int | None:
        """The offset at which the record at `start` of an uncompressed file ends; None if the record is damaged."""
        head = self._peek(start, 1 << 16)
        header, mark, _ = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?mi)^content-length:\s*(\d{1,12})\s*$", header)
        if not mark or not length or not head.startswith(b"WARC/"):
            return None
        end = start + len(header) + 4 + int(length.group(1)) + 4
        return end if end <= self.size and self._peek(end - 4, 4) == b"\r\n\r\n" else None

    def _next_record(self, position: int) -> int:
        """The first offset from `position` on at which a record begins; the size of the file if no record follows."""
        mark = self.members.mark if self.members else b"WARC/1."
        while position < self.size:
            window = self._peek(position, _CHUNK)
            at = window.find(mark)
            while at >= 0:
                here = position + at
                self._tried += 1
                if self._tried > _TRIES * self.limits.max_damaged:
                    raise OverLimit(
                        f"more than {_TRIES * self.limits.max_damaged:,} places only look like the beginning of a "
                        "record (recipe: snapshots.pages.max_file_damaged)"
                    )
                if self.members:
                    if self.members.begins_record(here):
                        return here
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

    def _glance(self, position: int) -> bytes:
        """The bytes at an offset at which a member's mark may stand. A reader of the stream does not notice."""
        before = self.stream.tell()
        found = self._peek(position, len(self.members.mark))
        self.stream.seek(before)
        return found

    def _peek(self, position: int, size: int) -> bytes:
        """The `size` bytes at an offset, or as many as the file has."""
        self.stream.seek(position)
        return self.stream.read(size)


def _expected(problem: BaseException) -> BaseException:
    """Return an error that damaged data cause in fastwarc, after which reading must go on; raise any other again.

    fastwarc's errors have no common type, and its panics are not an `Exception`.
    """
    if not isinstance(problem, Exception) and type(problem).__name__ != "PanicException":
        raise problem
    if isinstance(problem, OverLimit):
        raise problem
    return problem


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
