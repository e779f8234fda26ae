"""Watches a step: rows so far and per second, the time that is left where the total is known, and its CPU seconds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nemotron_assets.table.parts import Batches, Part, Parts

#: Seconds between two lines of one step.
EVERY_S = 10


#: Name of the fact about a step: the CPU seconds of its process and of all processes that it started.
CPU_SECONDS = "cpu_seconds"


class CpuClock:
    """Counts the CPU seconds of this process and of all processes below it, from the moment when it is made."""

    def __init__(self) -> None:
        self._began = self._spent()

    def facts(self) -> dict[str, float]:
        """The seconds so far, as a fact of the step."""
        return {CPU_SECONDS: round(max(0.0, self._spent() - self._began), 2)}

    @staticmethod
    def _spent() -> float:
        import psutil

        own = psutil.Process()
        spent = sum(own.cpu_times()[:4])  # its own time, and that of the processes that it has waited for
        for child in own.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                spent += sum(child.cpu_times()[:4])
        return spent


def watched(result: Any, log: Callable[[str], None], clock: CpuClock) -> Any:
    """What an asset returned, with its rows counted and logged while the lake reads them, and with the CPU seconds that
    this takes among its facts. Whole frames stay as they are."""
    rows = _Rows(log)
    if isinstance(result, Batches):
        return replace(result, batches=rows.counted(result.batches), metadata=_with(result.metadata, clock))
    if isinstance(result, Parts):
        return replace(result, parts=map(rows.part, result.parts), metadata=_with(result.metadata, clock))
    return result


def _with(metadata: Callable[[], Mapping[str, Any]], clock: CpuClock) -> Callable[[], Mapping[str, Any]]:
    return lambda: {**metadata(), **clock.facts()}


def time_left(done: float, total: float, seconds: float) -> str:
    """The time that the rest takes at the speed so far: "about 4 min left"; "" before anything is done."""
    if not done or done >= total:
        return ""
    left = seconds * (total - done) / done
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if left >= 2 * size:
            return f"about {left / size:.0f} {unit} left"
    return f"about {left:.0f} s left"


class _Rows:
    def __init__(self, log: Callable[[str], None]) -> None:
        self._log, self._rows = log, 0
        self._started = self._logged = time.monotonic()

    def part(self, part: Part) -> Part:
        return replace(part, make=lambda: self.counted(part.make()))

    def counted(self, rows: Any) -> Any:
        """The same frames or batches, counted one by one; anything that is not a stream is returned as it is."""
        return self._counted(rows) if isinstance(rows, Iterator) else rows

    def _counted(self, frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            yield frame
            self._rows += len(frame)
            now = time.monotonic()
            if now - self._logged >= EVERY_S:
                self._logged = now
                self._log(f"{self._rows:,} rows, {self._rows / (now - self._started):,.0f} rows/s")
