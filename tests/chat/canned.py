"""A server of OpenAI's protocol that streams canned deltas."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Canned:
    """Streams canned deltas, and keeps the requests."""

    def __init__(self, usage: bool = True) -> None:
        self.bodies: list[dict] = []
        self.answers: list[list[dict] | int] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                canned.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                answer = canned.answers.pop(0)
                if isinstance(answer, int):
                    self.send_error(answer, "no")
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for number, delta in enumerate(answer):
                    end = delta.pop("end", "stop") if number == len(answer) - 1 else None
                    thought = delta.pop("thought", None)
                    chunk = {
                        "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
                        "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
                    }  # fmt: skip
                    if usage:
                        used = 3 * (number + 1)
                        chunk["usage"] = {"prompt_tokens": 1, "completion_tokens": used, "total_tokens": used + 1}
                        if thought is not None:
                            chunk["usage"]["completion_tokens_details"] = {"reasoning_tokens": thought}
                    self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
