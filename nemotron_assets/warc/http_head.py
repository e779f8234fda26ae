"""Parses the header of an HTTP response as browsers do, whatever the server wrote: line ends of LF alone, `ICY` or
`http` in the place of `HTTP`, blank lines before it, interim responses (100 Continue) and a second header after it.

fastwarc's own parser reads only what ends in CRLF: of a header with LF alone it takes the page for the header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Bytes that the header of a response may have.
MAX_HEAD = 1 << 16
#: Headers of one response. A proxy and interim responses put their own before that of the server.
_MAX_HEADS = 8

_STATUS = re.compile(
    rb"\s{0,8}(?:HTTP(?:/\d{1,2}(?:\.\d{1,2})?)?|ICY)[ \t]{1,8}(\d{3})(?!\d)[^\r\n]{0,1024}", re.IGNORECASE
)
_END = re.compile(rb"\r{0,2}\n\r{0,2}\n|\r\r(?!\n)")
_LINE_END = re.compile(r"\r\n|\n|\r")
_FIELD = re.compile(rb"(?:\r?\n|\r)[\w!#$%&'*+.^`|~-]{1,100}[ \t]{0,8}:")


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a response: `status`, and {name of a field in lower case: its values, joined by ", "}."""

    status: int
    fields: dict[str, str]

    def get(self, name: str) -> str:
        """The value of a field, or "" if the response does not have it."""
        return self.fields.get(name, "")


def read_head(block: bytes) -> tuple[Head, int] | None:
    """(the header with which the bytes begin, where its body begins); None if they do not begin with one.

    Interim responses (status 1xx) before the header are skipped. If the bytes end inside the header, the body is empty.
    """
    at = 0
    for _ in range(_MAX_HEADS):
        found = _one_head(block, at)
        if found is None:
            return None
        head, at = found
        if not 100 <= head.status < 200 or head.status == 101:
            return found
    return None


def second_head(body: bytes, first: Head) -> tuple[Head, int] | None:
    """As `read_head` for a body that begins with another header, as after a proxy's "200 Connection established"; its
    fields add to those of the first. None for any other body: a second header must be followed by a field.

    A page of plain text may begin with an example of a header, and keeps it.
    """
    if body[:1] not in b"Hh\r\nIi" or first.get("content-type").lower().startswith("text/plain"):
        return None
    line = _STATUS.match(body)
    if line is None or not _FIELD.match(body, line.end()) or not _END.search(body, line.end(), MAX_HEAD):
        return None
    found = read_head(body)
    return found and (Head(found[0].status, first.fields | found[0].fields), found[1])


def _one_head(block: bytes, at: int) -> tuple[Head, int] | None:
    line = _STATUS.match(block, at)
    if line is None:
        return None
    end = _END.search(block, line.end(), at + MAX_HEAD)
    if end is None and len(block) - at >= MAX_HEAD:
        return None
    lines = _LINE_END.split(block[line.end() : end.start() if end else len(block)].decode("latin-1"))
    fields: dict[str, str] = {}
    name = ""
    for text in lines:
        if text[:1] in (" ", "\t") and name:  # a folded line goes on with the value of the line before
            fields[name] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return Head(int(line[1]), fields), end.end() if end else len(block)
