"""An endpoint on the loopback interface that answers every request with whatever bytes a test writes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator

from tests.resources.endpoint import completion


class HostileEndpoint:
    """Reads requests and lets `answer(send, request)` answer each; `send(bytes)` writes to the connection and returns
    False when the other side has hung up.

    `requests` are the requests as text, `connections` counts connections, `sent` counts bytes.
    """

    def __init__(self, answer: Callable[[Callable[[bytes], bool], str], None]) -> None:
        self.answer, self.requests, self.connections, self.sent = answer, [], 0, 0
        self.closing = threading.Event()

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.05)
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            finally:
                self.closing.set()
                thread.join()

    def _accept(self, listener: socket.socket) -> None:
        while not self.closing.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        def send(data: bytes) -> bool:
            try:
                connection.sendall(data)
            except OSError:
                return False
            self.sent += len(data)
            return not self.closing.is_set()

        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            while head := self._head(lines):
                length = re.search(r"content-length: *(\d+)", head, re.I)[1]
                self.requests.append(head + lines.read(int(length)).decode())
                self.answer(send, self.requests[-1])

    @staticmethod
    def _head(lines) -> str:
        head = b""
        while (line := lines.readline()) not in (b"", b"\r\n"):
            head += line
        return head.decode()


def http(body: object, status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP answer; `body` is sent as JSON unless it is bytes. `retry_after="1"` is the header Retry-After."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def answering(*bodies: object) -> HostileEndpoint:
    """An endpoint that gives these answers one after the other, and then a good one for ever."""
    left = list(bodies)

    def answer(send, request):
        send(body if isinstance(body := left.pop(0) if left else http(completion("good")), bytes) else http(body))

    return HostileEndpoint(answer)
