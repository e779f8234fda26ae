"""A web server on the loopback interface that serves a folder and misbehaves where a test asks for it."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder and records its requests as (path, range, user agent, time),
    and their headers Authorization.

    `faults` are (path ending, behaviour): a request takes the first that matches its path. A behaviour is "drop" (half
    of the body), "slow", "trickle" (headers byte by byte), or (status, headers).
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.faults, self.requests, self.authorizations = root, [], [], []
        self.ranges, self.etag = True, '"1"'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        server, headers = self.server, self.headers
        server.requests.append((self.path, headers.get("Range"), headers.get("User-Agent"), time.monotonic()))
        server.authorizations.append(headers.get("Authorization"))
        fault = next((f for f in server.faults if self.path.endswith(f[0])), None)
        if fault:
            server.faults.remove(fault)
        kind = fault[1] if fault else None
        if kind == "trickle":
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.05)
            self.close_connection = True
            return
        place = server.root / unquote(self.path.partition("?")[0]).lstrip("/")
        if isinstance(kind, tuple):
            status, extra = kind
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not place.is_file():
            self.send_error(404)
            return
        data, start = place.read_bytes(), 0
        total = len(data)
        wanted = headers.get("Range")
        unchanged = headers.get("If-Range") in (None, server.etag)
        if wanted and server.ranges and unchanged:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first)
            data = data[start : int(last) + 1 if last else total]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if kind == "drop":
            data = data[: len(data) // 2]
            self.close_connection = True
        for at in range(0, len(data), 1 << 14):
            self.wfile.write(data[at : at + (1 << 14)])
            if kind == "slow":
                time.sleep(0.2)
        if kind == "drop":
            self.wfile.flush()
            self.connection.shutdown(2)


@contextlib.contextmanager
def serving(root: Path) -> Iterator[Server]:
    """A running server of a folder."""
    server = Server(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
