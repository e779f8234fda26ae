"""Snapshots arrive in any order. This file says which snapshots take part, and updates partitions of other snapshots.

A snapshot takes part in a table from the moment its own partition of the table is made, or while it is being made. So
the partitions agree with each other at any time, and once all snapshots have arrived their rows are the same whatever
the order of arrival was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, WriteResult


@dataclass(frozen=True)
class Rewritten:
    """A partition whose rows changed because another snapshot arrived."""

    snapshot: str
    result: WriteResult


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


def snapshot_names(rewritten: list[Rewritten]) -> str:
    """The snapshots of the rewritten partitions as text for an asset's metadata: "A, B", or "none"."""
    return ", ".join(change.snapshot for change in rewritten) or "none"


class CascadingParts:
    """The parts of a snapshot's partition; writing them also updates the partitions of other snapshots.

    Subclasses say which parts a snapshot has. The earlier partitions are written before the first part of the
    arriving one, and the later partitions after its last part: a partition may depend on earlier ones, never on later
    ones. Writing skips parts that have not changed, and partitions whose rows changed are announced.
    """

    table: Table

    def __init__(
        self,
        lake: Lakehouse,
        snapshot: str,
        *,
        run_id: str = "",
        code_version: str = "",
        announce: Callable[[list[Rewritten]], None] = lambda rewritten: None,
    ) -> None:
        """`announce` is called once, with all rewritten partitions, after the last one is written."""
        self.lake, self.snapshot = lake, snapshot
        self.run_id, self.code_version, self.announce = run_id, code_version, announce
        self.rewritten: list[Rewritten] = []

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
        return Parts(self._parts(), metadata=self.metadata)

    def metadata(self) -> dict[str, str]:
        """Facts for the asset's metadata; called after the last part."""
        return {"rewritten_partitions": snapshot_names(self.rewritten)}

    def _parts(self) -> Iterator[Part]:
        self._rewrite(self.earlier())
        yield from self.parts_of(self.snapshot)
        # The lake asks for more only after it has committed the last part, so the partition is complete here, except
        # that parts it no longer has are removed later.
        self._rewrite(self.later())
        self.announce(self.rewritten)

    def _rewrite(self, snapshots: list[str]) -> None:
        """Write the parts of other snapshots that changed, and remember the snapshots whose rows did."""
        for snapshot in snapshots:
            before = self.lake.read(self.table, snapshot).content()
            result = self.lake.write(
                self.table,
                Parts(self.parts_of(snapshot)),
                snapshot,
                run_id=self.run_id,
                code_version=self.code_version,
            )
            if self.lake.read(self.table, snapshot).content() != before:
                self.rewritten.append(Rewritten(snapshot, result))
