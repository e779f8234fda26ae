"""Logs how far a long step is: rows so far and per second, and the time that is left where the total is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from nemotron_assets.table.parts import Batches, Part, Parts

#: Seconds between two lines of one step.
EVERY_S = 10


def watched(result: Any, log: Callable[[str], None]) -> Any:
    """What an asset returned, with its rows counted and logged while the lake reads them. Whole frames stay as they
    are."""
    rows = _Rows(log)
    if isinstance(result, Batches):
        return replace(result, batches=rows.counted(result.batches))
    if isinstance(result, Parts):
        return replace(result, parts=map(rows.part, result.parts))
    return result


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
