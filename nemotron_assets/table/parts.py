"""What an asset returns to the lake: the rows of a table as one stream or in parts, with the rows it had to reject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron_assets.table.schema import Table


@dataclass(frozen=True)
class Reject:
    """A row that a stage could not process.

    `cause` is a short name of the failure in snake_case ("broken_item"); `detail` describes it in a sentence.
    """

    row_id: str
    cause: str
    detail: str = ""


class Rejects:
    """Collects the rejected rows of a part while the part is made. The lake takes them when it commits the part, and
    stores them in `quarantine.rows`."""

    def __init__(self) -> None:
        self.rows: list[Reject] = []

    def add(self, reject: Reject) -> None:
        self.rows.append(reject)

    def take(self) -> list[Reject]:
        """Return the rejects that were added since the last call, and forget them."""
        rows, self.rows = self.rows, []
        return rows


@dataclass(frozen=True)
class Part:
    """One piece of a partition, written as one commit: the pages of one WARC file, for example.

    `key` is the value of the table's part column in all rows of the part. `fingerprint` changes when anything that the
    part depends on changes. `make` returns the rows; the lake calls it only when it does not hold the part with this
    fingerprint. After a write conflict the whole step runs again, so `make` must be safe to call twice.
    """

    key: str
    fingerprint: str
    make: Callable[[], Any]


@dataclass(frozen=True)
class Parts:
    """A partition as a stream of parts.

    When `complete` is true, the parts are the whole partition: after the last part the lake deletes every stored part
    that was not named. When it is false, the parts that are not named stay as they are.

    `beside` names the tables that the same pass writes, so that Dagster shows them as materialised too. `metadata` is
    called after the last part and returns facts about the whole table. `rejects` collects the rejected rows of the part
    that is being made. `finish` is called once the partition is complete: every part is committed, and the stored parts
    that were not named are deleted.
    """

    parts: Iterable[Part]
    beside: tuple[Table, ...] = ()
    metadata: Callable[[], Mapping[str, Any]] = dict
    rejects: Rejects = field(default_factory=Rejects)
    complete: bool = True
    finish: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Batches:
    """A stream of frames or record batches, with the rows that were rejected while the stream was made.

    An asset returns `Batches` instead of a generator, because Dagster would take a generator for a stream of events.
    `rejects` may grow while the batches are read. `metadata` is called after the last batch and returns facts about the
    step.
    """

    batches: Iterable[Any]
    rejects: Rejects = field(default_factory=Rejects)
    metadata: Callable[[], Mapping[str, Any]] = dict
