"""A process that generates with a slow fake engine, for the tests that kill it. Arguments: lake folder, call log, n."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from resources.generations import Answer, Ledger, Request, Sampling
from resources.lakehouse import Lakehouse


class FakeEngine:
    """Answers every request with its text reversed after `seconds`, and writes each call into a log."""

    name, sha256, template_sha256 = "fake", "0" * 64, "1" * 64

    def __init__(self, calls: Path, seconds: float = 0.0) -> None:
        self.calls, self.seconds = calls, seconds

    def run(self, requests):
        # Requests run in pairs, of which the second finishes first.
        pending = list(requests)
        for first in range(0, len(pending), 2):
            for key, request in reversed(pending[first : first + 2]):
                time.sleep(self.seconds)
                text = request.messages[-1][1]
                with self.calls.open("a") as log:
                    log.write(text + "\n")
                yield key, Answer(text[::-1], len(text), 3, "stop", self.seconds)


def ask(text: str, sample: int = 0) -> Request:
    return Request("test", (("user", text),), Sampling(0.5, 0.9, 8), sample=sample, parents=(f"row of {text}",))


if __name__ == "__main__":
    root, calls, number = sys.argv[1:]
    engine = FakeEngine(Path(calls), 0.05)
    for completion in Ledger(Lakehouse(root=root)).generate(engine, [ask(f"question {i}") for i in range(int(number))]):
        print(completion.text, flush=True)
