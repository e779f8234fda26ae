"""One request for bytes of an object in an S3 object store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from resources.crawl.errors import Interrupted, Missing
from resources.crawl.transfer import ByteRange, Response
from resources.http_session import CONNECT_S
from resources.store import s3_options

_CHUNK = 8 << 20


def request_s3(url: str, wanted: ByteRange, *, location: str, timeout_s: float) -> Response:
    """Open an object (`s3://bucket/path`) at the first wanted byte.

    Endpoint, region and credentials come from the environment, as they do for the lake. `location` names the object in
    messages. Raises `Missing` or `Interrupted`.
    """
    try:
        stream = _store(timeout_s).open_input_file(url.removeprefix("s3://"))
        total = stream.size()
    except FileNotFoundError:
        raise Missing(f"{location} does not exist") from None
    except PermissionError:
        raise Missing(f"{location} cannot be read with the credentials in the environment") from None
    except OSError as error:
        if "ACCESS_DENIED" in str(error) or "HTTP status 403" in str(error):
            raise Missing(f"{location}: access denied (set AWS_SKIP_SIGNATURE=true to read public buckets)") from None
        if "NETWORK_CONNECTION" in str(error):
            raise Interrupted("no connection to the object store", reached=False) from None
        raise Interrupted(f"the object cannot be opened ({type(error).__name__})") from None
    if wanted.begin >= total and total:
        raise Missing(f"{location} ends before byte {wanted.begin}")
    return Response(wanted.begin, total, None, _chunks(stream, wanted.begin, min(wanted.end or total, total)))


def _store(timeout_s: float) -> Any:
    """The object store that the environment variables of AWS describe, as a pyarrow file system."""
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(
        connect_timeout=min(CONNECT_S, timeout_s),
        request_timeout=timeout_s,
        anonymous=os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true"),
        **s3_options(),
    )


def _chunks(stream: Any, begin: int, end: int) -> Iterator[bytes]:
    with stream:
        stream.seek(begin)
        left = end - begin
        while left > 0:
            try:
                chunk = stream.read(min(_CHUNK, left))
            except OSError:
                raise Interrupted("reading the object failed") from None
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
