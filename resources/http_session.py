"""HTTP sessions for reading from servers that may be slow or hostile."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading

_SESSIONS = threading.local()


def http_session():
    """One HTTP session per thread, so that connections are kept open. Redirects and retries are handled here."""
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
    """Pools whose connections give a server the timeout for all of its headers. The timeout alone is that of one read,
    and a server that sends a byte at a time would never exceed it."""
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def hurried(pool: type) -> type:
        def getresponse(self):
            watch = threading.Timer(self.timeout, _hang_up, (self.sock,)) if self.timeout else None
            if watch:
                watch.daemon = True
                watch.start()
            try:
                return pool.ConnectionCls.getresponse(self)
            finally:
                if watch:
                    watch.cancel()

        connection = type("Hurried", (pool.ConnectionCls,), {"getresponse": getresponse})
        return type("HurriedPool", (pool,), {"ConnectionCls": connection})

    return {"http": hurried(HTTPConnectionPool), "https": hurried(HTTPSConnectionPool)}


def _hang_up(sock) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
