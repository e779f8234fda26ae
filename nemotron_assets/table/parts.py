"""What an asset hands to the lake: rows as a stream, or part by part, together with the rows that it had to reject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron_assets.table.schema import Table


@dataclass(frozen=True)
class Reject:
    """One row that a stage could not process. `cause` is a short snake_case kind, `detail` says more."""

    row_id: str
    cause: str
    detail: str = ""


class Rejects:
    """The rejected rows of a part while it is made. The lake takes them when it commits the part, into
    `quarantine.rows`."""

    def __init__(self) -> None:
        self.rows: list[Reject] = []

    def add(self, reject: Reject) -> None:
        self.rows.append(reject)

    def take(self) -> list[Reject]:
        """The rejects since the last call."""
        rows, self.rows = self.rows, []
        return rows


@dataclass(frozen=True)
class Part:
    """One unit of work inside a partition, written as one commit.

    `fingerprint` names everything the part depends on; `make` is called only when the lake does not hold the part
    with this fingerprint, and may be called again after a write conflict.
    """

    key: str
    fingerprint: str
    make: Callable[[], Any]


@dataclass(frozen=True)
class Parts:
    """A partition as a stream of parts. The lake removes every other part of the partition at the end, except those
    that `kept` names: they stay as they are and cost nothing.

    `beside` names tables that are written in the same pass, so that Dagster shows them as materialised too.
    `metadata` is called after the last part, for facts about the whole table. `rejects` collects the rows that a part
    could not process, while that part is made.
    """

    parts: Iterable[Part]
    beside: tuple[Table, ...] = ()
    metadata: Callable[[], Mapping[str, Any]] = dict
    rejects: Rejects = field(default_factory=Rejects)
    kept: Iterable[str] = ()


@dataclass(frozen=True)
class Batches:
    """A stream of frames or record batches, with the rows that were rejected while it was made.

    Dagster would take a bare generator for a stream of events. `rejects` may still grow while the batches are read.
    """

    batches: Iterable[Any]
    rejects: Rejects = field(default_factory=Rejects)
