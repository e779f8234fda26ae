"""The licence library as a function from a text to findings: one process with ScanCode's index, started when needed.

Findings are remembered by the hash of the text, so that a header that a thousand files share is examined once.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nemotron_assets.table.ids import content_hash

PROGRAM = Path(__file__).with_name("_scancode.py")
START_S = 300.0
#: Changes when what is kept of the library's answer does, so that older answers are not taken for new ones.
ANSWERS = 3


def library_version() -> str:
    """What findings depend on beside the text."""
    return f"scancode-toolkit-mini {version('scancode-toolkit-mini')}, answers {ANSWERS}"


class LibraryDied(RuntimeError):
    """The process ended or did not answer in time; the text it had is the likely cause."""


@dataclass
class Scan:
    """What the library says about one text. `findings` are detections: expression and the matches it rests on;
    `beside` is what no match takes in of the lines (from 1) that a match touches; `problem` is empty, or says why there
    is no complete answer (then nothing may be allowed because of it)."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""
    beside: dict[int, str] = field(default_factory=dict)

    def rest(self, text: str) -> str:
        """The text without what the library has recognised, line by line."""
        lines = text.splitlines()
        for number, words in self.beside.items():
            lines[number - 1 : number] = [words]
        return "\n".join(lines)


class Library:
    """The process with the index. Use as `with Library(...) as library: library.scan(text)`.

    `folder` is where ScanCode may keep files; `seconds` the time one text may take, `memory_mb` the address space of
    the process; `known` and `learned` are a cache: hash of a text -> scan, and what to do with a new one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seconds: float,
        memory_mb: int,
        known: dict[str, Scan] | None = None,
        learned: Callable[[str, Scan], None] = lambda key, scan: None,
    ) -> None:
        self.folder, self.seconds, self.memory_mb = Path(folder), seconds, memory_mb
        self.known, self.learned = {} if known is None else known, learned
        self.examined = 0
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def scan(self, text: str) -> Scan:
        """What the library says about a text, from the cache or by asking. Never raises because of the text."""
        key = content_hash(text.encode("utf-8", "surrogatepass"))
        if key not in self.known:
            self.examined += 1
            scan = self._examine(text)
            self.known[key] = scan
            self.learned(key, scan)
        return self.known[key]

    def _examine(self, text: str) -> Scan:
        try:
            answer = self._ask({"text": text, "seconds": self.seconds})
        except LibraryDied as error:
            self.close()
            return Scan(problem=str(error))
        if "error" in answer:
            return Scan(problem=answer["error"])
        beside = {int(number): words for number, words in answer["beside"].items()}
        return Scan(answer["findings"], f"not finished within {self.seconds:g} s" if answer["late"] else "", beside)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self._start()
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LibraryDied("the licence library ended") from None
        # The library looks at its clock between steps only; a text that it never comes back from ends it.
        return self._answer(3 * request["seconds"] + 10)

    def _start(self) -> None:
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        here = str(self.folder)
        places = dict.fromkeys(("SCANCODE_CACHE", "SCANCODE_TEMP", "SCANCODE_PACKAGE_INDEX_CACHE"), here)
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM), str(self.memory_mb), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **places},
        )
        try:
            self._answer(START_S)
        except LibraryDied as error:
            self.close()
            raise RuntimeError(
                f"the licence library did not start ({error}): it needs {self.memory_mb} MB of address space "
                "(code.licences.memory_mb) and the package scancode-toolkit-mini with what requirements/ lists"
            ) from None

    def _answer(self, seconds: float) -> dict[str, Any]:
        end, received = time.monotonic() + seconds, b""
        stream = self._process.stdout.fileno()
        while not received.endswith(b"\n"):
            ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise LibraryDied(f"no answer within {seconds:.0f} s")
            piece = os.read(stream, 1 << 20)
            if not piece:
                raise LibraryDied("the licence library ended")
            received += piece
        return json.loads(received)
