"""What `nemotron run` shows while it works: plain lines in a log, or one live line per running unit on a terminal."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

import click

from nemotron_assets.commands.console import console, printable
from nemotron_assets.commands.schedule import Schedule, Unit
from nemotron_assets.logs import line_of

if TYPE_CHECKING:
    from nemotron_assets.commands.runner import Outcome

#: A log says at most this often, in seconds, how much is left.
_LEFT_EVERY_S = 60.0


class Progress:
    """Plain lines: units that start, what they say, tables that were made, and units that failed with the reason."""

    def __init__(self) -> None:
        self._estimate = _Estimate()
        self._said = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def plan(self, due: Collection[Unit], running: Collection[Unit], schedule: Schedule, jobs: int) -> None:
        """Take in what is left to do."""
        self._estimate.plan(due, running, schedule, jobs)
        if time.monotonic() - self._said > _LEFT_EVERY_S:
            self._said = time.monotonic()
            self.line(f"        {self._estimate}")

    def start(self, batch: Sequence[Unit]) -> None:
        """A run of these units starts."""

    def show(self, batch: Sequence[Unit], fact: dict[str, Any]) -> None:
        """A fact that the run of a batch reported (see logs.py), or a line that a library printed."""
        if fact["kind"] == "printed":
            self.line(fact["text"])
        else:
            self.line(line_of(_with_partition(batch, fact)))

    def end(self, outcome: Outcome) -> None:
        """A unit has ended."""
        self._estimate.end(outcome)
        unit = outcome.unit
        # A table that was made has its line already.
        if outcome.status in ("failed", "skipped") or outcome.note:
            self.line(f"{'failed' if outcome.note else outcome.status:8}{unit}: {outcome.note}")
        if outcome.warning:
            self.line(f"warning {unit}: {outcome.warning}")

    def line(self, text: str) -> None:
        """Print a line that stays."""
        click.echo(text)

    def close(self) -> None:
        """Stop showing anything."""


class LiveProgress(Progress):
    """One live line per running unit, with what it said last, and a line with how much is left."""

    def __init__(self) -> None:
        super().__init__()
        from rich import progress as rich

        self._units = rich.Progress(
            rich.SpinnerColumn(),
            # Names of snapshots and messages may look like rich's markup.
            rich.TextColumn("{task.description}", markup=False),
            rich.TimeElapsedColumn(),
            rich.TextColumn("{task.fields[said]}", style="dim", markup=False, table_column=_one_line()),
        )
        self._all = rich.Progress(rich.BarColumn(), rich.TextColumn("{task.description}", markup=False))
        self._left = self._all.add_task("", total=None)
        self._tasks: dict[Unit, Any] = {}
        self._live: Any = None

    def __enter__(self) -> LiveProgress:
        from rich.console import Group
        from rich.live import Live

        self._live = Live(Group(self._units, self._all), console=console(), refresh_per_second=4, transient=True)
        self._live.start()
        return self

    def plan(self, due: Collection[Unit], running: Collection[Unit], schedule: Schedule, jobs: int) -> None:
        self._estimate.plan(due, running, schedule, jobs)
        done, total = self._estimate.counts()
        self._all.update(self._left, completed=done, total=total or None, description=str(self._estimate))

    def show(self, batch: Sequence[Unit], fact: dict[str, Any]) -> None:
        fact = _with_partition(batch, fact)
        unit = next((unit for unit in batch if unit.key.to_user_string() == fact.get("asset")), None)
        if fact["kind"] == "start" and unit is not None:
            self._tasks[unit] = self._units.add_task(str(unit), total=None, said="")
        elif fact["kind"] == "says" and unit in self._tasks and fact.get("level", 0) < logging.WARNING:
            self._units.update(self._tasks[unit], said=printable(fact["text"]))
        elif fact["kind"] != "printed":
            self.line(line_of(fact))

    def end(self, outcome: Outcome) -> None:
        if (task := self._tasks.pop(outcome.unit, None)) is not None:
            self._units.remove_task(task)
        super().end(outcome)

    def line(self, text: str) -> None:
        if self._live is None:
            super().line(text)
        else:
            from rich.text import Text

            self._live.console.print(Text(text), highlight=False)  # Text leaves out control characters

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def progress() -> Progress:
    """Live lines on a terminal, else plain lines."""
    return LiveProgress() if console().is_terminal else Progress()


class _Estimate:
    """How many units are left, and about how long they take: as long as units of the same asset took in this run, or
    else as long as other steps on the device, or elsewhere."""

    def __init__(self) -> None:
        self._seconds: dict[Any, list[float]] = defaultdict(list)
        self._ended: set[Unit] = set()
        self._left: set[Unit] = set()
        self._schedule: Schedule | None = None
        self._jobs = 1

    def plan(self, due: Collection[Unit], running: Collection[Unit], schedule: Schedule, jobs: int) -> None:
        self._left, self._schedule, self._jobs = {*due, *running}, schedule, jobs

    def end(self, outcome: Outcome) -> None:
        self._ended.add(outcome.unit)
        if outcome.seconds is not None and self._schedule is not None:
            self._seconds[outcome.unit.key].append(outcome.seconds)
            self._seconds[self._schedule.needs_device(outcome.unit)].append(outcome.seconds)

    def counts(self) -> tuple[int, int]:
        """The number of units that have ended, and of all units."""
        return len(self._ended), len(self._ended | self._left)

    def __str__(self) -> str:
        done, total = self.counts()
        seconds = [self._of(unit) for unit in self._left]
        if not self._left or None in seconds:
            return f"{done} of {total} done"
        on_device = sum(self._of(unit) for unit in self._left if self._schedule.needs_device(unit))
        left = max(sum(seconds) / self._jobs, on_device)
        return f"{done} of {total} done, about {f'{left / 60:.0f} min' if left > 90 else f'{left:.0f} s'} left"

    def _of(self, unit: Unit) -> float | None:
        known = self._seconds.get(unit.key) or self._seconds.get(self._schedule.needs_device(unit))
        return mean(known) if known else None


def _with_partition(batch: Sequence[Unit], fact: dict[str, Any]) -> dict[str, Any]:
    partition = batch[0].partition if batch else None
    return fact if fact.get("partition") else {**fact, "partition": partition}


def _one_line() -> Any:
    from rich.table import Column

    return Column(no_wrap=True, overflow="ellipsis", ratio=1)
