"""One request for bytes of a file on a web server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from nemotron_assets.recipe.addresses import Access
from resources.crawl.errors import CrawlError, Interrupted, Missing
from resources.crawl.transfer import ByteRange, Response
from resources.http_session import CONNECT_S, connection_problem, http_session, retry_after

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 20
#: Redirects that are followed. They must stay on the same server.
_MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_ACCESS = ". The server refuses access: check the address in the recipe, and the user, password or token it needs"
_HINTS = {401: _ACCESS, 403: _ACCESS, 404: ". The server does not have the file: check the address in the recipe"}
_TRY_LATER = (408, 425, 429)  # and every 5xx


def request_http(
    url: str, wanted: ByteRange, *, location: str, timeout_s: float, user_agent: str, access: Access
) -> Response:
    """Ask for bytes of a file with GET. The request has a range unless the whole file is wanted.

    `location` names the file in messages, `timeout_s` is the longest silence of the connection, `access` is what the
    server wants to know beside the address. Raises `Missing`, CrawlError or `Interrupted`.
    """
    if access.query:
        url = f"{url}?{access.query}"
    reply = _get(url, _headers(wanted, user_agent), access.login, location, timeout_s)
    _check_status(reply, wanted, location)
    start, total = _content_range(reply) if reply.status_code == 206 else (0, _content_length(reply))
    version = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
    return Response(start, total, version, _chunks(reply))


def _headers(wanted: ByteRange, user_agent: str) -> dict[str, str]:
    headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
    if wanted.begin or wanted.end is not None:
        headers["Range"] = f"bytes={wanted.begin}-{'' if wanted.end is None else wanted.end - 1}"
        if wanted.version and wanted.version.startswith('"'):
            headers["If-Range"] = wanted.version
    return headers


def _get(
    url: str, headers: dict[str, str], login: tuple[str, str] | None, location: str, timeout_s: float
) -> requests.Response:
    """The reply to a GET request, after at most `_MAX_REDIRECTS` redirects on the same server."""
    import requests

    timeouts = min(CONNECT_S, timeout_s), timeout_s
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            reply = http_session().get(
                url, headers=headers, auth=login, timeout=timeouts, stream=True, allow_redirects=False
            )
            if reply.status_code not in _REDIRECTS:
                return reply
            target = urljoin(url, reply.headers.get("Location", ""))
            reply.close()
            if not _same_server(url, target):
                raise Missing(f"{location} redirects to another server: such redirects are not followed")
            url = target
        raise Missing(f"{location} redirects more than {_MAX_REDIRECTS} times")
    # The errors of requests quote the address with its query, so they do not become causes of ours.
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        problem, reached = connection_problem(error)
        raise Interrupted(problem, reached=reached) from None
    except (requests.RequestException, ValueError) as error:  # a redirect to an invalid address raises ValueError
        raise CrawlError(f"{location}: {type(error).__name__}") from None


def _same_server(url: str, target: str) -> bool:
    """Whether a redirect stays on its server, and does not leave HTTPS."""
    here, there = urlsplit(url), urlsplit(target)
    return there.netloc == here.netloc and there.scheme in ("https", here.scheme)


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
    raise Missing(f"{location}: HTTP status {status}{_HINTS.get(status, '')}")


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
        raise Interrupted(f"the transfer broke off ({type(error).__name__})") from None
    finally:
        reply.close()
