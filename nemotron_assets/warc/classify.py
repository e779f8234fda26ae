"""Decides the fate of a WARC record, and makes the page of a record that is kept: the body of its HTTP response after
decoding, with a limit on its size, and what is known about it."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from fastwarc import WarcRecord, WarcRecordType

from nemotron_assets.warc import charset
from nemotron_assets.warc.http_body import TooLarge, parse_content_type, sniff_mime, undo_unnamed
from nemotron_assets.warc.http_head import MAX_HEAD, Head, read_head
from nemotron_assets.warc.limits import Limits
from nemotron_assets.warc.page_terms import opt_outs, stored_headers
from nemotron_assets.warc.response import decoded_response


@dataclass(slots=True)
class Page:
    """A record that is kept. `html` is its body as bytes, after transfer and content decoding. `offset` and `length`
    are its bytes in the file; `length` is 0 until the end of the record is known. If several records share one gzip
    member, `offset` and `length` are those of the member, and `inner_offset` is the record's place in the member's
    content; it is None for the first record of a member. `http_headers` and `opt_outs` are what the page says about its
    use (`nemotron_assets/warc/page_terms.py`)."""

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
    http_headers: str | None = None
    opt_outs: tuple[str, ...] = ()
    offset: int = 0
    length: int = 0
    inner_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands for a record with the fate "malformed"; `detail` says what is wrong with it."""

    detail: str


Found = Page | Malformed | str
"""A page, or what became of a record that is not kept."""


def classify(record: WarcRecord, limits: Limits) -> tuple[Found, int]:
    """(page or fate, bytes of the body) of a record. The fates are tested in the order of `FATES`."""
    declared = record.content_length
    kind = record.record_type
    if kind == WarcRecordType.revisit:
        return "revisit", declared
    if kind not in (WarcRecordType.response, WarcRecordType.resource):
        return "other_record", declared
    try:
        headers, start, at = record.headers, b"", 0
        if kind == WarcRecordType.response:
            start = _read_up_to(record.reader, MAX_HEAD)
            found = read_head(start)
            if found is None:
                return Malformed("no HTTP status line"), declared
            head, at = found
            declared -= at
        else:
            head = Head(200, {"content-type": headers.get("Content-Type") or ""})
        url = (headers.get("WARC-Target-URI") or "").strip("<> \t")
        fetched_at = record.record_date
        if not url or fetched_at is None:
            return Malformed("no target URI" if not url else "no valid date"), declared
        if head.status != 200:
            return _fate_of(head.status), declared
        if declared > limits.max_body:
            return "too_large", declared
        body = start[at:] + record.reader.read()
        if len(body) < declared:
            return Malformed(f"the body has {len(body)} of {declared} declared bytes"), declared
        sent = body
        if kind == WarcRecordType.response:
            head, body = decoded_response(head, body, limits.max_body)
            if head.status != 200:
                return _fate_of(head.status), len(body)
        mime, label = parse_content_type(head.get("content-type"))
        if mime in limits.mimes:
            body = undo_unnamed(body, limits.max_body)
        if not body or body.isspace():
            return "empty", len(body)
        mime = sniff_mime(mime, body)
        if mime not in limits.mimes:
            return "not_html", len(body)
        if not limits.keep_truncated and headers.get("WARC-Truncated"):
            return "truncated", len(body)
        decision = charset.decide(body, label)
        coded = body is not sent or head.get("content-encoding") or head.get("transfer-encoding")
        digest = None if coded else headers.get("WARC-Payload-Digest")
        page = Page(
            url=url,
            host=host_of(url),
            fetched_at=fetched_at,
            status=head.status,
            mime=mime,
            charset=decision.name,
            charset_source=decision.source,
            html=body,
            payload_digest=digest or sha1_digest(body),
            fate="charset_corrected" if decision.corrected else "page",
            http_headers=stored_headers(head),
            opt_outs=opt_outs(head, body, decision.name),
        )
        return page, len(body)
    except TooLarge:
        return "too_large", declared
    except (ValueError, zlib.error, EOFError) as problem:
        return Malformed(str(problem)), declared


def _read_up_to(reader: BinaryIO, size: int) -> bytes:
    """The next `size` bytes of a record, or as many as it has."""
    parts = []
    while size and (part := reader.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _fate_of(status: int) -> str:
    """The fate of a response that is not a page, from its HTTP status."""
    return "redirect" if 300 <= status < 400 else "not_200"


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
