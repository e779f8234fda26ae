"""Says in words what a source sent in the place of the file that was wanted, such as a page that asks for a login."""

from __future__ import annotations

import html
import re

#: So much of a text is looked at, and so much of it is quoted.
LOOKED_AT, _QUOTED = 4_096, 80

#: How a gzip file begins.
GZIP = b"\x1f\x8b"

_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,1000}?-->\s*)?<(?:!doctype\s+html|html|head|body|title)\b", re.I | re.S
)
_TITLE = re.compile(rb"<title[^>]{0,200}>(.{0,300}?)</title", re.I | re.S)


def is_html(start: bytes) -> bool:
    """Whether a text that begins like this is an HTML page."""
    return bool(_HTML.match(start.removeprefix(b"\xef\xbb\xbf")))


def described(start: bytes) -> str:
    """What a file is that begins like this: "an HTML page with the title 'Sign in'"."""
    start = start[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    if not start.strip():
        return "empty"
    if is_html(start):
        title = _TITLE.search(start)
        return f"an HTML page with the title {_quoted(title[1])}" if title else "an HTML page"
    kind = "JSON" if start.lstrip()[:1] in (b"{", b"[") else "an XML text" if start.lstrip().startswith(b"<") else ""
    if start.startswith(GZIP):
        return "gzip data"
    if kind or not re.search(rb"[\0-\x08\x0e-\x1f]", start[:_QUOTED]):
        return f"{kind or 'a text'} that begins with {_quoted(start)}"
    return f"data that begin with the bytes {start[:8].hex(' ')}"


def _quoted(data: bytes) -> str:
    text = " ".join(html.unescape(data.decode("utf-8", "replace")).split())
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…")
