"""Ask the licence library (ScanCode) about a text. Its index lives in one process of its own, started when needed.

Answers are cached by the hash of the text: a header that a thousand files share is scanned once.
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
#: Version of the answers' format. A new version makes stored answers of older versions unused.
ANSWERS = 3


def library_version() -> str:
    """The version of the library and of the answers' format: an answer depends on it and on the text alone."""
    return f"scancode-toolkit-mini {version('scancode-toolkit-mini')}, answers {ANSWERS}"


class LibraryDied(RuntimeError):
    """The library's process ended or did not answer in time, probably because of the text that it was scanning."""


@dataclass
class Scan:
    """The library's answer about one text.

    `findings` are detections: an expression and the matches it was made from (see `_scancode.findings`). `beside` has,
    for each line (from 1) on which a match has words, the other words of that line. `problem` says why the answer is
    incomplete, and is empty if it is complete; an incomplete answer allows nothing.
    """

    findings: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""
    beside: dict[int, str] = field(default_factory=dict)

    def rest(self, text: str) -> str:
        """The text without the words that the library has recognised, line by line."""
        lines = text.splitlines()
        for number, words in self.beside.items():
            lines[number - 1 : number] = [words]
        return "\n".join(lines)


#: A function that asks the library about a text.
Scanner = Callable[[str], Scan]


def text_key(text: str) -> str:
    """The hash of a text under which its answer is cached (xxh3-128 hex)."""
    return content_hash(text.encode("utf-8", "surrogatepass"))


class Library:
    """The process with ScanCode's index. Use it as `with Library(...) as library: library.scan(text)`.

    `folder` is where ScanCode may keep files, `seconds` the time limit for one text, `memory_mb` the limit of the
    process's address space in MiB. `known` is the cache {hash of a text: answer}; `learned` is called with each new
    answer.
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
        """Kill the process if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def scan(self, text: str) -> Scan:
        """The answer about a text, from the cache or from the process. No text raises an error: a text that ends the
        process gets an answer with a `problem`."""
        key = text_key(text)
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
        # The library checks its deadline only between steps. A text that keeps it busy for too long ends the process.
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
                f"the licence library did not start ({error}). It may use {self.memory_mb} MiB of address space: raise "
                "code.licences.memory_mb in the recipe if that is too little. It also needs the package "
                "scancode-toolkit-mini and the other packages in requirements/: run make to install them"
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
