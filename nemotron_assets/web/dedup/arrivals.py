"""Snapshots arrive in any order: which of them take part, and how partitions that another one changes are announced.

A snapshot takes part in a table of this room once its own partition is made, or while it is being made. So at any
time the partitions agree with each other, and once all snapshots are in they are what they would be in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.data_version import get_input_data_version_tag, get_input_event_pointer_tag

from nemotron_assets.table import Part, Parts, Table
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse, WriteResult


@dataclass(frozen=True)
class Rewritten:
    """A partition that another snapshot's arrival changed."""

    snapshot: str
    result: WriteResult


def taking_part(lake: Lakehouse, table: Table, snapshot: str, part: str = "") -> list[str]:
    """Snapshots with documents whose partition of `table` is made (its part `part`; "{}" there is the snapshot), and
    `snapshot`, in the order in which texts are kept."""
    delta = lake.open(table)

    def is_made(other: str) -> bool:
        return lake.marker(delta, "data", other, part.format(other)) is not None

    return [other for other in lake.read(DOCUMENTS).snapshots() if other == snapshot or is_made(other)]


def announce(table: Table, rewritten: list[Rewritten], context: dg.AssetExecutionContext) -> None:
    """Tell Dagster about rewritten partitions, so that what was made from them, and only that, becomes stale."""

    def latest(key: dg.AssetKey, snapshot: str) -> dg.EventLogRecord | None:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[snapshot])
        return next(iter(context.instance.fetch_materializations(wanted, limit=1).records), None)

    for change in rewritten:
        # The code is that of the run that made the partition first; its inputs are now those that are in the lake.
        known = latest(table.asset_key, change.snapshot)
        tags = dict(known.asset_materialization.tags or {}) if known else {}
        for key in context.assets_def.asset_deps[table.asset_key]:
            if record := latest(key, change.snapshot):
                made = (record.asset_materialization.tags or {}).get("dagster/data_version")
                tags[get_input_event_pointer_tag(key)] = str(record.storage_id)
                tags |= {get_input_data_version_tag(key): made} if made else {}
        context.log_event(
            dg.AssetMaterialization(
                table.asset_key,
                description=f"Rewritten because {context.partition_key} arrived or changed.",
                partition=change.snapshot,
                metadata={
                    "dagster/partition_row_count": change.result.rows,
                    "delta_version": change.result.version,
                    "rewritten_for": context.partition_key,
                },
                tags={**tags, "dagster/data_version": change.result.data_version},
            )
        )


def named(rewritten: list[Rewritten]) -> str:
    """The rewritten partitions, for metadata."""
    return ", ".join(change.snapshot for change in rewritten) or "none"


class Arriving:
    """A partition written in parts, whose arrival may add to or change the parts of later snapshots' partitions.

    Subclasses say which parts a snapshot has. After the last part of the partition in hand is committed, the later
    partitions are written with theirs, which skips what has not changed, and those with other rows are announced.
    """

    table: Table

    def __init__(self, lake: Lakehouse, context: dg.AssetExecutionContext, code_version: str) -> None:
        self.lake, self.context, self.code_version = lake, context, code_version
        self.snapshot = context.partition_key
        self.rewritten: list[Rewritten] = []

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        """The parts of one snapshot's partition."""
        raise NotImplementedError

    def later(self) -> list[str]:
        """The later snapshots whose partitions are made."""
        raise NotImplementedError

    def parts(self) -> Parts:
        return Parts(self._parts(), metadata=self.metadata)

    def metadata(self) -> dict[str, str]:
        return {"rewritten_partitions": named(self.rewritten)}

    def _parts(self) -> Iterator[Part]:
        yield from self.parts_of(self.snapshot)
        # Here the partition is committed, but for parts that it no longer has.
        for later in self.later():
            before = self.lake.read(self.table, later).content()
            result = self.lake.write(
                self.table, Parts(self.parts_of(later)), later, run_id=self.context.run_id,
                code_version=self.code_version,
            )  # fmt: skip
            if self.lake.read(self.table, later).content() != before:
                self.rewritten.append(Rewritten(later, result))
        announce(self.table, self.rewritten, self.context)
