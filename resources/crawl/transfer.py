"""Brings bytes of a remote file into a local stream, over as many requests as the limits allow."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from resources.crawl.errors import Interrupted, Missing, Oversized, Unavailable, Unreachable, check_size
from resources.http_session import ANSWERED

#: Retries at a server that has not answered yet, if there is a connection: its first answers may be "try later".
_FIRST_RETRIES = 2
_LAST_REQUEST: dict[str, float] = {}
_LAST_REQUEST_LOCK = threading.Lock()


@dataclass(frozen=True)
class ByteRange:
    """What one request asks for: the bytes from `begin` up to but without `end` (None: up to the end of the file).

    `version` identifies the file whose first bytes were already received (an ETag or a date); None at the beginning.
    """

    begin: int
    end: int | None
    version: str | None


@dataclass
class Response:
    """The answer to one request.

    `start` is the offset of the first byte of `chunks`, `total` the size of the whole file and `version` its ETag or
    date; the last two are None if the server does not say.
    """

    start: int
    total: int | None
    version: str | None
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class TransferLimits:
    """When a transfer is given up: its size, its duration, and its attempts in a row without progress."""

    max_mb: int
    timeout_s: float
    retries: int
    backoff_s: float


class Transfer:
    """One file's bytes from `begin` to `end` (None: to the end of the file), written into `out`.

    A transfer that breaks off is resumed where it stopped if the file is still the same, else it starts again. A
    server that refuses the very first connection is given up at once. `location` names the file in error messages.
    """

    def __init__(
        self,
        server: str,
        location: str,
        request: Callable[[ByteRange], Response],
        out: BinaryIO,
        limits: TransferLimits,
        begin: int = 0,
        end: int | None = None,
    ) -> None:
        self._server, self._location, self._request = server, location, request
        self._out, self._limits = out, limits
        self._begin, self._end = begin, end
        self._received, self._version, self._restarted = 0, None, False

    def run(self) -> None:
        """Transfer everything. Raises `Missing`, `Oversized`, `Unavailable` or its special case `Unreachable`."""
        self._deadline = time.monotonic() + self._limits.timeout_s
        failures = 0
        while True:
            before, self._restarted = self._received, False
            try:
                self._attempt()
                return
            except Interrupted as interruption:
                # A new start counts as a failure, or a server that never resumes would be asked for ever.
                failed = self._restarted or self._received <= before
                failures = failures + 1 if failed else 0
                self._wait(interruption, failures)

    def _attempt(self) -> None:
        """Send one request and write what it brings. Returns when the transfer is complete."""
        place = self._begin + self._received
        try:
            answer = self._request(ByteRange(place, self._end, self._version))
        except (Missing, Oversized):
            ANSWERED.add(self._server)
            raise
        ANSWERED.add(self._server)
        if self._received and (answer.start != place or (self._version and answer.version != self._version)):
            self._start_again()
        skip = self._begin + self._received - answer.start
        if skip < 0:
            raise Interrupted("the server answered with another range than the requested one")
        self._version = answer.version
        if answer.total is not None and (self._end is None or self._end > answer.total):
            check_size(self._location, answer.total - self._begin, self._limits.max_mb)
        known_ends = [end for end in (self._end, answer.total) if end is not None]
        wanted = min(known_ends) - self._begin if known_ends else None
        if wanted is not None and self._received >= wanted:
            return
        for chunk in answer.chunks:
            if time.monotonic() > self._deadline:
                raise Unavailable(f"{self._location} took longer than {self._limits.timeout_s:g} s")
            if skip:
                chunk, skip = chunk[skip:], max(0, skip - len(chunk))
            if wanted is not None:
                chunk = chunk[: wanted - self._received]
            self._out.write(chunk)
            self._received += len(chunk)
            check_size(self._location, self._received, self._limits.max_mb)
            if self._received == wanted:
                return
        if wanted is not None:
            raise Interrupted(f"the transfer ended at byte {self._begin + self._received} of {self._begin + wanted}")

    def _start_again(self) -> None:
        """Discard what was received: the file changed, or the server cannot resume."""
        self._received, self._restarted = 0, True
        self._out.seek(0)
        self._out.truncate()

    def _wait(self, interruption: Interrupted, failures: int) -> None:
        """Sleep before the next request, twice as long after each failure. Raises `Unavailable` at a limit."""
        is_first = self._server not in ANSWERED
        if is_first and failures > min(self._limits.retries, _FIRST_RETRIES if interruption.reached else 0):
            raise Unreachable(
                f"{self._location}: {interruption}. Check the address in the recipe, whether the server is up, and the "
                "network on the way to it (proxy, firewall, VPN)."
            ) from interruption
        if failures > self._limits.retries:
            raise Unavailable(
                f"{self._location}: {interruption} ({failures} attempts without progress)"
            ) from interruption
        backoff = self._limits.backoff_s * 2 ** min(failures, 10) * random.uniform(0.75, 1.25)
        seconds = max(interruption.wait or 0, backoff)
        if time.monotonic() + seconds > self._deadline:
            raise Unavailable(
                f"{self._location}: {interruption}; the next attempt would be later than {self._limits.timeout_s:g} s "
                "after the first"
            ) from interruption
        time.sleep(seconds)


def wait_for_turn(host: str, delay_s: float) -> None:
    """Sleep until `delay_s` seconds have passed since this process's last request to a host."""
    if not delay_s:
        return
    with _LAST_REQUEST_LOCK:
        now = time.monotonic()
        turn = max(now, _LAST_REQUEST.get(host, 0) + delay_s)
        _LAST_REQUEST[host] = turn
    time.sleep(turn - now)
