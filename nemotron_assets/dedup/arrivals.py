"""Snapshots arrive in any order. This file says which snapshots take part, and updates partitions of other snapshots.

A snapshot takes part in a table from the moment its own partition of the table is made, or while it is being made. So
the partitions agree with each other at any time, and once all snapshots have arrived their rows are the same whatever
the order of arrival was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, WriteResult


@dataclass(frozen=True)
class Updated:
    """Another snapshot's partition that was brought up to date because a snapshot arrived or changed.

    `result` is what the write returned; where no row changed, nothing was written.
    """

    snapshot: str
    result: WriteResult
    rows_changed: bool


#: Tells Dagster about partitions of other snapshots; see `rewriting` in table/asset.py.
Announce = Callable[[list[Updated]], None]


def nobody(updated: list[Updated]) -> None:
    """An `Announce` for a lake without Dagster."""


def participating_snapshots(
    lake: Lakehouse, table: Table, snapshot: str, documents: Table, part: str = ""
) -> list[str]:
    """The snapshots with `documents` that take part in `table`, in the order of precedence, earliest first.

    These are `snapshot`, which is being made, and those whose partition of `table` is made. A partition counts as made
    once its part `part` is committed.
    """
    delta = lake.open(table)

    def is_made(other: str) -> bool:
        return lake.marker(delta, "data", other, part) is not None

    return [other for other in lake.read(documents).snapshots() if other == snapshot or is_made(other)]


def snapshot_names(updated: list[Updated]) -> str:
    """The snapshots of the partitions whose rows changed as text for an asset's metadata: "A, B", or "none"."""
    return ", ".join(other.snapshot for other in updated if other.rows_changed) or "none"


class CascadingParts:
    """The parts of a snapshot's partition; writing them also updates the partitions of other snapshots.

    Subclasses say which parts a snapshot has. The earlier partitions are written before the first part of the
    arriving one, and the later partitions after it is complete: a partition may depend on earlier ones, never on later
    ones. Writing skips parts that have not changed.

    All partitions that were looked at are announced, not only those that this run rewrote. A run that was killed may
    have rewritten a partition without announcing it. The same step then runs again, finds nothing to rewrite, and
    announces it.
    """

    table: Table

    def __init__(
        self,
        lake: Lakehouse,
        snapshot: str,
        *,
        run_id: str = "",
        code_version: str = "",
        announce: Announce = nobody,
    ) -> None:
        """`announce` is called once, after the last partition is written."""
        self.lake, self.snapshot = lake, snapshot
        self.run_id, self.code_version, self.announce = run_id, code_version, announce
        self.updated: list[Updated] = []

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        """The parts of one snapshot's partition."""
        raise NotImplementedError

    def earlier(self) -> list[str]:
        """The earlier snapshots whose partitions the arrival may change; by default there are none."""
        return []

    def later(self) -> list[str]:
        """The later snapshots whose partitions are made."""
        raise NotImplementedError

    def parts(self) -> Parts:
        """What the asset hands to the lake: its own parts, and the rewritten partitions as metadata."""
        return Parts(self._parts(), metadata=self.metadata, finish=self._finish)

    def metadata(self) -> dict[str, Any]:
        """Facts for the asset's metadata; called after the last part."""
        return {"rewritten_partitions": snapshot_names(self.updated)}

    def _parts(self) -> Iterator[Part]:
        self._update(self.earlier())
        yield from self.parts_of(self.snapshot)

    def _finish(self) -> None:
        """Called when the partition is complete, and holds no part any more that it had before and has not now."""
        self._update(self.later())
        self.announce(self.updated)

    def _update(self, snapshots: list[str]) -> None:
        """Write the parts of other snapshots that changed."""
        for snapshot in snapshots:
            before = self.lake.read(self.table, snapshot).content()
            result = self.lake.write(
                self.table,
                Parts(self.parts_of(snapshot)),
                snapshot,
                run_id=self.run_id,
                code_version=self.code_version,
            )
            changed = self.lake.read(self.table, snapshot).content() != before
            self.updated.append(Updated(snapshot, result, changed))
