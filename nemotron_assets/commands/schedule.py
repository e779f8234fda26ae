"""Decides which units of the graph run next, and which of them share a Dagster run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

import dagster as dg

from resources.gpu import POOL

#: Weights of a step on the path to the end of the graph: steps on the device take longest, so they start first.
_ON_DEVICE, _ELSEWHERE = 10, 1

#: Units that share a run when units do not run side by side. What a run has made counts as done when the run ends.
_MOST_TOGETHER = 16


@dataclass(frozen=True)
class Unit:
    """One asset, or one partition of it."""

    key: dg.AssetKey
    partition: str | None = None

    def __str__(self) -> str:
        return self.key.to_user_string() + (f" [{self.partition}]" if self.partition else "")


#: Units by their asset, and then by their partition.
Units = dict[dg.AssetKey, dict[str | None, Unit]]


class Schedule:
    """The order of the units of an asset graph.

    A unit is unsettled until it is up to date, has failed, or was skipped. A unit runs when all units that it depends
    on are settled. Steps of a pool run one at a time. In every pool but that of the device, earlier snapshots come
    first: such steps also rewrite other snapshots, and so each snapshot meets the same ones whatever runs side by side.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self.order = {key: number for number, key in enumerate(graph.toposorted_asset_keys)}
        self._pools = {key: frozenset(graph.get(key).pools) for key in graph.executable_asset_keys}
        self._weight: dict[dg.AssetKey, int] = {}
        for key in reversed(graph.toposorted_asset_keys):
            below = max((self._weight[child] for child in graph.get(key).child_keys), default=0)
            self._weight[key] = below + (_ON_DEVICE if POOL in self._pools.get(key, ()) else _ELSEWHERE)

    def needs_device(self, unit: Unit) -> bool:
        """Whether a unit trains or runs a language model."""
        return POOL in self._pools[unit.key]

    def below(self, keys: Iterable[dg.AssetKey]) -> set[dg.AssetKey]:
        """The keys themselves and all that depend on them, directly or through others."""
        found, new = set(), set(keys)
        while new:
            found |= new
            new = {child for key in new for child in self._graph.get(key).child_keys} - found
        return found

    def above(self, unit: Unit, units: Units) -> Iterator[Unit]:
        """Those of `units` that a unit depends on directly."""
        for parent in self._graph.get(unit.key).parent_keys:
            others = units.get(parent, {})
            if unit.partition is None:
                yield from others.values()
            else:
                yield from (others[p] for p in (None, unit.partition) if p in others)

    def next_batch(
        self,
        due: Set[Unit],
        missing: Collection[Unit],
        running: Set[Unit],
        waiting: Set[Unit] = frozenset(),
        *,
        alone: bool = False,
    ) -> list[Unit]:
        """The units of the next Dagster run; empty if nothing can start before something that runs has ended.

        `due` are the units that have to run, of which `missing` were never made. `waiting` may become due when their
        inputs have been made. The batch is the most urgent of the units that are ready, and the chain
        of units that can start only after it: while exactly one unit waits for the batch alone, that unit joins. It
        must be missing: a stale unit may turn out to be up to date once its input has been made again.

        With `alone`, when no other run may start beside this one, all missing units of the partition join that can
        start after units of the batch, at most 16: starting a run takes half a second.
        """
        due = due - running
        unsettled = by_key(due | running | waiting)
        busy = {pool for unit in running for pool in self._pools[unit.key]}
        first = self._first_in_pools(unsettled)
        ready = [unit for unit in due if self._is_free(unit, busy, first) and not any(self.above(unit, unsettled))]
        if not ready:
            return []
        batch = [min(ready, key=self._urgency)]
        if alone:
            return self._with_all_that_can_follow(batch, due.intersection(missing), unsettled, busy, first)
        while not self.needs_device(batch[0]):
            waits = [unit for unit in self._next(batch, unsettled) if set(self.above(unit, unsettled)) <= set(batch)]
            if len(waits) != 1:
                break
            (unit,) = waits
            joins = unit in due and unit in missing and unit.partition == batch[0].partition
            if not joins or self.needs_device(unit) or not self._is_free(unit, busy, first):
                break
            batch.append(unit)
        return batch

    def _with_all_that_can_follow(
        self, batch: list[Unit], missing: Set[Unit], unsettled: Units, busy: Set[str], first: dict[str, str]
    ) -> list[Unit]:
        """The batch and, in the order of the graph, the missing units of its partition that depend only on what is
        settled or in the batch."""
        for unit in sorted(missing - set(batch), key=lambda unit: self.order[unit.key]):
            follows = unit.partition == batch[0].partition and set(self.above(unit, unsettled)) <= set(batch)
            if follows and self._is_free(unit, busy, first):
                batch.append(unit)
        return batch[:_MOST_TOGETHER]

    def _urgency(self, unit: Unit) -> tuple[bool, int, str, int]:
        """The unit with the smallest value starts first: a step on the device, so that the device never waits; then
        the unit with the longest way to the end of the graph, then the earliest snapshot."""
        return not self.needs_device(unit), -self._weight[unit.key], unit.partition or "", self.order[unit.key]

    def _first_in_pools(self, unsettled: Units) -> dict[str, str]:
        """The earliest snapshot that is unsettled in each pool in which snapshots keep their order."""
        first: dict[str, str] = {}
        for key, units in unsettled.items():
            if snapshots := [partition for partition in units if partition is not None]:
                for pool in self._pools[key] - {POOL}:
                    first[pool] = min(first.get(pool, min(snapshots)), *snapshots)
        return first

    def _is_free(self, unit: Unit, busy: Set[str], first: dict[str, str]) -> bool:
        """Whether the pools of a unit are free, and no earlier snapshot comes first in them."""
        pools = self._pools[unit.key]
        late = unit.partition is not None and any(first[pool] < unit.partition for pool in pools if pool in first)
        return not pools & busy and not late

    def _next(self, batch: list[Unit], unsettled: Units) -> set[Unit]:
        """The unsettled units that depend on a unit of the batch directly."""
        children = {child for unit in batch for child in self._graph.get(unit.key).child_keys}
        found = {other for key in children for other in unsettled.get(key, {}).values()} - set(batch)
        return {other for other in found if any(unit in batch for unit in self.above(other, unsettled))}


def by_key(units: Iterable[Unit]) -> Units:
    """Units by their asset, and then by their partition."""
    found: Units = defaultdict(dict)
    for unit in units:
        found[unit.key][unit.partition] = unit
    return found
