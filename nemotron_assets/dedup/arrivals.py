"""Snapshots arrive in any order: which of them take part, and how those that another one changes are kept right.

A snapshot takes part in a table of this room once its own partition is made, or while it is being made. So at any
time the partitions agree with each other, and once all snapshots are in they are what they would be in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse, WriteResult


@dataclass(frozen=True)
class Rewritten:
    """A partition that another snapshot's arrival changed."""

    snapshot: str
    result: WriteResult


def taking_part(lake: Lakehouse, table: Table, snapshot: str, documents: Table, part: str = "") -> list[str]:
    """Snapshots with `documents` whose partition of `table` is made (its part `part`; "{}" there is the snapshot), and
    `snapshot`, in the order in which texts are kept."""
    delta = lake.open(table)

    def is_made(other: str) -> bool:
        return lake.marker(delta, "data", other, part.format(other)) is not None

    return [other for other in lake.read(documents).snapshots() if other == snapshot or is_made(other)]


def named(rewritten: list[Rewritten]) -> str:
    """The rewritten partitions, for metadata."""
    return ", ".join(change.snapshot for change in rewritten) or "none"


class Arriving:
    """A partition written in parts, whose arrival may add to or change the parts of other snapshots' partitions.

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
        return Parts(self._parts(), metadata=self.metadata)

    def metadata(self) -> dict[str, str]:
        return {"rewritten_partitions": named(self.rewritten)}

    def _parts(self) -> Iterator[Part]:
        self._rewrite(self.earlier())
        yield from self.parts_of(self.snapshot)
        # Here the partition is committed, but for parts that it no longer has.
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
