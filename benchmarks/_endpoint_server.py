"""A server of an OpenAI-compatible endpoint for benchmarks/endpoints.py, in a process of its own.

    python -m benchmarks._endpoint_server FOLDER SECONDS SLOTS KIND

An answer takes SECONDS, and SLOTS requests are answered at a time. KIND is "answers" or "fails": then every request
fails at once, in turn by status 500, by a connection that is hung up, and by a page that is not a completion. The
number of the port is written to FOLDER/port. FOLDER/paid gets a line for every completion that was sent in whole.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from pathlib import Path

from tests.resources.endpoint import Endpoint


def main(folder: Path, seconds: float, slots: int, kind: str) -> None:
    free, failures = threading.Semaphore(slots), itertools.cycle([(500, {}, b"out of order"), None, (200, {}, b"<p>")])

    def answer(body: dict) -> object:
        if kind == "fails":
            if (failure := next(failures)) is None:
                raise ConnectionError("hang up")
            return failure
        with free:
            time.sleep(seconds)
        return body["messages"][0]["content"]

    def sent(body: dict) -> None:
        if kind == "answers":
            os.write(paid, body["messages"][0]["content"].encode() + b"\n")

    paid = os.open(folder / "paid", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Endpoint(answer, models=["bench"], sent=sent).serve() as url:
        (folder / "port.new").write_text(url)
        (folder / "port.new").rename(folder / "port")
        threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
