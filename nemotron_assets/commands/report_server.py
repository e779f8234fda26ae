"""Serves the newest report of this home beside the web UI, on the loopback interface: browsers open no local file from
a page of a server, so the link in the UI needs an address."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATH = "/report.html"
_NO_REPORT = "The report has not been made yet: `nemotron run` makes it at the end, and `nemotron report` at once.\n"


def serve_report(host: str, port: int, file: Path) -> ThreadingHTTPServer:
    """Serve a file, as it is at each request, in a thread that ends with the process. No other file is served.

    Raises `OSError` if the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != PATH:
                self._answer(404, f"The report is at {PATH}.\n".encode(), "text/plain")
            elif not file.is_file():
                self._answer(404, _NO_REPORT.encode(), "text/plain")
            else:
                self._answer(200, file.read_bytes(), "text/html")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing is written to the terminal."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
