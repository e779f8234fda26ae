"""HTTP sessions for reading from servers that may be slow or hostile."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading

_SESSIONS = threading.local()


def http_session():
    """This thread's HTTP session, which keeps connections open. The caller handles redirects and retries."""
    import requests
    from requests.adapters import HTTPAdapter

    if not hasattr(_SESSIONS, "session"):
        _SESSIONS.session = requests.Session()
        for scheme in ("http", "https"):
            adapter = HTTPAdapter()
            adapter.poolmanager.pool_classes_by_scheme = _pools()
            _SESSIONS.session.mount(f"{scheme}://", adapter)
    return _SESSIONS.session


@functools.cache
def _pools() -> dict[str, type]:
    """Connection pools, by scheme, whose timeout is for all headers of an answer together.

    The ordinary timeout is for one read: a server that sends its headers byte by byte would never exceed it.
    """
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def with_header_timeout(pool: type) -> type:
        def getresponse(self):
            timer = threading.Timer(self.timeout, _hang_up, (self.sock,)) if self.timeout else None
            if timer:
                timer.daemon = True
                timer.start()
            try:
                return pool.ConnectionCls.getresponse(self)
            finally:
                if timer:
                    timer.cancel()

        connection = type("TimedConnection", (pool.ConnectionCls,), {"getresponse": getresponse})
        return type("TimedPool", (pool,), {"ConnectionCls": connection})

    return {"http": with_header_timeout(HTTPConnectionPool), "https": with_header_timeout(HTTPSConnectionPool)}


def _hang_up(sock) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
