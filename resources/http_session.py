"""HTTP sessions for reading from servers that may be slow or hostile, and what such servers say about waiting."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any

_SESSIONS = threading.local()

#: Servers and addresses that have answered a request of this process: they exist, and are worth waiting for.
ANSWERED: set[str] = set()

#: Longest wait for a connection, in seconds. A server that is up takes one far sooner, whatever it then has to do.
CONNECT_S = 5.0


def http_session(*, environment: bool = True) -> Any:
    """This thread's HTTP session, which keeps connections open. The caller handles redirects and retries.

    Without `environment`, proxies and ~/.netrc are not used: a request goes to its address and carries only the
    credentials that the caller gives.
    """
    import requests
    from requests.adapters import HTTPAdapter

    name = f"session_{environment}"
    if not hasattr(_SESSIONS, name):
        session = requests.Session()
        session.trust_env = environment
        for scheme in ("http", "https"):
            adapter = HTTPAdapter()
            adapter.poolmanager.pool_classes_by_scheme = _pools()
            session.mount(f"{scheme}://", adapter)
        setattr(_SESSIONS, name, session)
        # At its level DEBUG, urllib3 logs every address with its query, which may be a signature.
        logging.getLogger("urllib3").setLevel(logging.INFO)
    return getattr(_SESSIONS, name)


class TimeLimit:
    """A context that hangs up this thread's connections `seconds` after it began, however slowly a server answers.

    Another thread may hang up earlier. `passed` says whether the connections were hung up.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self.hang_up)
        self._timer.daemon = True

    def __enter__(self) -> TimeLimit:
        _SESSIONS.limit = self
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        _SESSIONS.limit = None

    def watch(self, sock: socket.socket) -> None:
        """Hang up this connection too when the time has passed."""
        self._sockets.append(sock)
        if self.passed:
            _hang_up(sock)

    def hang_up(self) -> None:
        """End the exchange now: whoever reads from its connections gets an error."""
        self.passed = True
        for sock in self._sockets:
            _hang_up(sock)


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """The seconds that a Retry-After header asks to wait; None if the header is missing or invalid.

    The header is a number of seconds ("7") or an HTTP date ("Fri, 31 Dec 1999 23:59:59 GMT"). Some servers send
    fractions of a second. "nan", "-5" and other values are invalid.
    """
    if not value:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def connection_problem(error: Exception) -> tuple[str, bool]:
    """What went wrong with a request that got no answer, in words, and whether the server was reached at all.

    The error's own message is left out: it holds the address with its query.
    """
    from urllib3 import exceptions as causes

    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(cause, causes.NameResolutionError):
        return "the name of the host is unknown", False
    if isinstance(cause, causes.NewConnectionError):
        system = re.search(r"\[Errno \d+\] ([A-Za-z ]+)", str(cause))
        return f"no connection ({system[1].lower() if system else type(cause).__name__})", False
    if isinstance(cause, causes.ConnectTimeoutError):
        return "the host did not take a connection in time", False
    if isinstance(cause, causes.ProxyError):
        return "no connection through the proxy that the environment names", False
    if isinstance(cause, causes.SSLError):
        reason = getattr(cause.args[0], "verify_message", "") or getattr(cause.args[0], "reason", "") or "TLS failed"
        return f"no secure connection ({str(reason).lower()})", False
    if isinstance(cause, causes.ReadTimeoutError) or "Timeout" in type(error).__name__:
        return "the server did not answer in time", True
    return f"the server gave no complete answer ({type(error).__name__})", True


@functools.cache
def _pools() -> dict[str, type]:
    """Connection pools, by scheme, whose timeout is for all headers of an answer together.

    The ordinary timeout is for one read: a server that sends its headers byte by byte would never exceed it.
    """
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def with_header_timeout(pool: type) -> type:
        def getresponse(self):
            if limit := getattr(_SESSIONS, "limit", None):
                limit.watch(self.sock)
                return pool.ConnectionCls.getresponse(self)
            if not self.timeout:
                return pool.ConnectionCls.getresponse(self)
            with TimeLimit(self.timeout) as headers:
                headers.watch(self.sock)
                answer = pool.ConnectionCls.getresponse(self)
            if headers.passed:  # headers that were cut off look as if they were complete
                raise TimeoutError
            return answer

        connection = type("TimedConnection", (pool.ConnectionCls,), {"getresponse": getresponse})
        return type("TimedPool", (pool,), {"ConnectionCls": connection})

    return {"http": with_header_timeout(HTTPConnectionPool), "https": with_header_timeout(HTTPSConnectionPool)}


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
