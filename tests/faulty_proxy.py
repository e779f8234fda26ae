"""A proxy on the loopback interface in front of an S3 server, which lets a share of all requests fail, each in its way:

error    status 500 or 503, before the request reaches the server
lost     the server does what it is asked, and its answer is lost: status 500 comes instead
silence  no answer within `silence_s` seconds, then the connection ends
cut      the answer ends in the middle of its body, or of its headers if it has none

python -m tests.faulty_proxy PORT http://127.0.0.1:9000 0.05 SEED SILENCE_S
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import random
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

KINDS = ("error", "lost", "silence", "cut")
_ERROR = b'<?xml version="1.0"?><Error><Code>%s</Code><Message>made by a test</Message></Error>'
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


class FaultyProxy:
    """`share` (0 to 1) may be changed at any time. `made` counts the failures by kind, `requests` all requests."""

    def __init__(self, target: str, share: float, seed: int, silence_s: float) -> None:
        self.target, self.share, self.silence_s = urlsplit(target).netloc, share, silence_s
        self.made, self.requests, self.random = collections.Counter(), 0, random.Random(seed)
        self.lock = threading.Lock()

    def draw(self) -> str:
        """The way in which the next request fails; "" if it does not."""
        with self.lock:
            self.requests += 1
            kind = self.random.choice(KINDS) if self.random.random() < self.share else ""
            self.made[kind] += bool(kind)
            return kind

    @contextlib.contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        """The proxy's address."""
        handler = type("Handler", (_Handler,), {"proxy": self})
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: FaultyProxy

    def _pass_on(self) -> None:
        body = self._body()
        kind = self.proxy.draw()
        if kind == "silence":
            time.sleep(self.proxy.silence_s)
            self.close_connection = True
        elif kind == "error":
            status, code = random.choice([(500, b"InternalError"), (503, b"SlowDown")])
            self._send(status, {"Content-Type": "application/xml"}, _ERROR % code)
        else:
            status, headers, answer = self._ask(body)
            if kind == "lost":
                status, headers, answer = 500, {"Content-Type": "application/xml"}, _ERROR % b"InternalError"
            self._send(status, headers, answer, cut=kind == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(data)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if not hasattr(self, "upstream"):
            self.upstream = http.client.HTTPConnection(self.proxy.target, timeout=300)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP | {"expect"}}
        self.upstream.request(self.command, self.path, body, kept)
        reply = self.upstream.getresponse()
        headers = {name: value for name, value in reply.getheaders() if name.lower() not in _HOP}
        answer = reply.read()
        if self.command == "HEAD":
            headers["Content-Length"] = reply.getheader("Content-Length", "0")
        return reply.status, headers, answer

    def _send(self, status: int, headers: dict[str, str], answer: bytes, cut: bool = False) -> None:
        self.send_response(status)
        length = {} if "Content-Length" in headers else {"Content-Length": str(len(answer))}
        for name, value in (headers | length).items():
            self.send_header(name, value)
        if cut and not answer:
            self.close_connection = True
            self._headers_buffer = [b"".join(self._headers_buffer)[:20]]
            self.flush_headers()
            return
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self.command != "HEAD":
                self.wfile.write(answer[: len(answer) // 2] if cut else answer)
        self.close_connection = self.close_connection or cut

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):  # the client hung up
            super().handle()

    def log_message(self, *arguments: object) -> None:
        pass


if __name__ == "__main__":
    proxy = FaultyProxy(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    with proxy.serve(int(sys.argv[1])) as address:
        print(address, flush=True)
        while True:
            time.sleep(10)
            print(proxy.requests, dict(proxy.made), flush=True)
