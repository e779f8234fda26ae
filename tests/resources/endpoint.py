"""A local OpenAI-compatible endpoint with canned answers, for tests only."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """Answers chat completions with `answer(body)`: a text, or (status, headers, body) for any other answer.

    `bodies` and `headers` record the requests, `most` the largest number of requests at a time. `models` are the names
    of the models that it says it serves; None: it does not know the question. `sent(body)` is called after a whole
    answer was written to its connection.
    """

    def __init__(
        self,
        answer: Callable[[dict], object],
        models: Sequence[str] | None = None,
        sent: Callable[[dict], None] = lambda body: None,
    ) -> None:
        self.answer, self.bodies, self.headers, self.in_flight, self.most = answer, [], [], 0, 0
        self.models, self.sent = models, sent
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with endpoint._lock:
                    endpoint.bodies.append(body)
                    endpoint.headers.append(dict(self.headers))
                    endpoint.in_flight += 1
                    endpoint.most = max(endpoint.most, endpoint.in_flight)
                try:
                    given = endpoint.answer(body)
                finally:
                    with endpoint._lock:
                        endpoint.in_flight -= 1
                if self.reply(*(given if isinstance(given, tuple) else (200, {}, completion(str(given))))):
                    endpoint.sent(body)

            def do_GET(self):
                names = None if endpoint.models is None else [{"id": name} for name in endpoint.models]
                self.reply(*((404, {}, b"") if names is None else (200, {}, {"object": "list", "data": names})))

            def reply(self, status, headers, payload) -> bool:
                data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(data))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # in some tests the client stops waiting
                    self.wfile.write(data)
                    return True
                return False

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def completion(text: str, finish_reason: str = "stop", tokens: int = 20) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 11, "completion_tokens": tokens, "total_tokens": tokens + 11}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}
