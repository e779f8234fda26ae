"""Reads WARC files into pages. Every record gets exactly one fate, broken records are skipped, memory is bounded.

fastwarc finds the records, and `nemotron_assets/warc/classify.py` decides the fate of each. This module adds two
things: the offset and length of every record, so that a ranged read of those bytes gives the same record; and recovery:
after a damaged record it reads on at the next member of a compressed file (`nemotron_assets/warc/members.py`) or at the
next record header of an uncompressed one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fastwarc import ArchiveIterator, WarcRecord

from nemotron_assets.warc.classify import Found, Malformed, Page, classify, host_of, sha1_digest
from nemotron_assets.warc.fates import BROKEN, FATES, KEPT, Counts
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
    With `is_piece`, the stream is not a file but whole members of one, and the first may hold several records. `budget`
    is what reading the file has used before.
    """

    def __init__(
        self,
        stream: BinaryIO,
        limits: Limits,
        on_broken: OnBroken | None = None,
        *,
        is_piece: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self.stream = stream
        self.size = stream.seek(0, 2)
        self.limits = limits
        self.on_broken = on_broken or (lambda offset, fate, detail: None)
        self.counts = Counts()
        self._budget, self._tried = budget or Budget(limits), 0
        try:
            self.members = Members(stream, self.size) if Members.are_in(self._peek(0, 4)) else None
        except Damaged as problem:
            raise NotWarc(str(problem)) from problem
        # Zstandard frames may need a dictionary, with which only `Members` begins in the middle of a file.
        self._by_member = self.members is not None and self.members.mark != GZIP
        self._check_addressable(is_piece)

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
            for record in ArchiveIterator(self.stream, buffer_size=_CHUNK, parse_http=False):
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
            for record in ArchiveIterator(member, stream_detect=False, parse_http=False):
                if held is not None:
                    if held[0] == 0:
                        length = (self.members.end(base) or self.next_record(base + 1)) - base
                    if held[0] or not counted:
                        yield from self._finish(*held, base, length)
                held = (record.stream_pos, *self._classify_bounded(record))
            end = member.drain()
        except BaseException as problem:
            error = _expected(problem)
        self._budget.spend(member.size)
        if counted and held is not None and held[0] == 0:
            return self.next_record(base + 1) if error is not None else end
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
            for record in ArchiveIterator(self.stream, buffer_size=_CHUNK, parse_http=False):
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
        resume = self.next_record(start + 1)
        if isinstance(found, Malformed):
            self._count(found, size, start)
        else:
            self.counts.add("damaged", resume - start)
            self.on_broken(start, "damaged", f"{resume - start} bytes skipped: {detail}")
        self._budget.damage()
        return resume

    def _classify_bounded(self, record: WarcRecord) -> tuple[Found, int]:
        """As `classify`; raises ValueError for a record that declares an absurd size."""
        if record.content_length > MAX_CONTENT:
            raise ValueError(f"the record declares {record.content_length} bytes; at most {MAX_CONTENT} are read")
        return classify(record, self.limits)

    def _check_addressable(self, is_piece: bool) -> None:
        """Raise `NotWarc` for a file that is not a WARC file, and for a compressed file whose members do not begin with
        records."""
        if not self.size:
            raise EmptyFile("the file is empty")
        first = self.next_record(0)
        if first >= self.size:
            if self.members and (end := self.members.end(0)) and self._only_padding(end):
                raise EmptyFile("the file is empty after decompression") if not self._has_content() else NotWarc(_NONE)
            raise NotWarc(_NONE if self.members else f"{_NONE}: it is {described(self._peek(0, LOOKED_AT))}")
        if not self.members or is_piece:
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

    def next_record(self, position: int) -> int:
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
