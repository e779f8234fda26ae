"""One request for bytes of a file on a web server."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from resources.crawl.errors import CrawlError, Interrupted, Missing
from resources.crawl.transfer import ByteRange, Response
from resources.http_session import http_session

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 20
#: Redirects that are followed. They must stay on the same server.
_MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_LATER = (408, 425, 429)  # and every 5xx


def request_http(url: str, wanted: ByteRange, *, location: str, timeout_s: float, user_agent: str) -> Response:
    """Ask for bytes of a file with GET. The request has a range unless the whole file is wanted.

    `location` names the file in messages, `timeout_s` is the longest silence of the connection. Raises `Missing`,
    CrawlError or `Interrupted`.
    """
    reply = _get(url, _headers(wanted, user_agent), location, timeout_s)
    _check_status(reply, wanted, location)
    start, total = _content_range(reply) if reply.status_code == 206 else (0, _content_length(reply))
    version = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
    return Response(start, total, version, _chunks(reply))


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """The seconds that a Retry-After header asks to wait; None if there is no header or it is invalid.

    The header is a number of seconds ("7") or an HTTP date ("Fri, 31 Dec 1999 23:59:59 GMT").
    """
    if not value:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _headers(wanted: ByteRange, user_agent: str) -> dict[str, str]:
    headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
    if wanted.begin or wanted.end is not None:
        headers["Range"] = f"bytes={wanted.begin}-{'' if wanted.end is None else wanted.end - 1}"
        if wanted.version and wanted.version.startswith('"'):
            headers["If-Range"] = wanted.version
    return headers


def _get(url: str, headers: dict[str, str], location: str, timeout_s: float) -> requests.Response:
    """The reply to a GET request, after at most `_MAX_REDIRECTS` redirects on the same server."""
    import requests

    try:
        for _ in range(_MAX_REDIRECTS + 1):
            reply = http_session().get(url, headers=headers, timeout=timeout_s, stream=True, allow_redirects=False)
            if reply.status_code not in _REDIRECTS:
                return reply
            target = urljoin(url, reply.headers.get("Location", ""))
            reply.close()
            if urlsplit(target).netloc != urlsplit(url).netloc or urlsplit(target).scheme not in ("http", "https"):
                raise Missing(f"{location} redirects to another server: such redirects are not followed")
            url = target
        raise Missing(f"{location} redirects more than {_MAX_REDIRECTS} times")
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise Interrupted(f"no connection ({type(error).__name__})") from error
    except (requests.RequestException, ValueError) as error:  # a redirect to an invalid address raises ValueError
        raise CrawlError(f"{location}: {type(error).__name__}") from error


def _check_status(reply: requests.Response, wanted: ByteRange, location: str) -> None:
    """Close the reply and raise if its status is neither 200 nor 206."""
    status = reply.status_code
    if status in (200, 206):
        return
    reply.close()
    if status in _TRY_LATER or status >= 500:
        raise Interrupted(f"HTTP status {status}", retry_after(reply.headers.get("Retry-After")))
    if status == 416:
        if wanted.version:  # the file is now shorter than the bytes already received: it is another file
            raise Interrupted("HTTP status 416")
        raise Missing(f"{location} ends before byte {wanted.begin}")
    raise Missing(f"{location}: HTTP status {status}")


def _content_range(reply: requests.Response) -> tuple[int, int | None]:
    """The offset of the first byte and the size of the whole file, from a Content-Range header."""
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", reply.headers.get("Content-Range", ""))
    if not match:
        reply.close()
        raise Interrupted("the server sent a range without a valid Content-Range header")
    return int(match[1]), int(match[3]) if match[3] != "*" else None


def _content_length(reply: requests.Response) -> int | None:
    length = reply.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _chunks(reply: requests.Response) -> Iterator[bytes]:
    import urllib3

    try:
        while chunk := reply.raw.read1(_CHUNK, decode_content=False):
            yield chunk
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the transfer broke off ({type(error).__name__})") from error
    finally:
        reply.close()
