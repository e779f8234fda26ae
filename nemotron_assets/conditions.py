"""Says when the daemon makes an asset without a person: the automation conditions of all assets.

The daemon's sensor `follow_new_data` (definitions.py) evaluates the conditions. They compare contents: an input that is
made again with the same data version requests nothing, so that a new snapshot costs the same however many snapshots the
lake has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemotron_assets.dagster_private import PARTITION_TAG, input_record, unfinished_statuses

if TYPE_CHECKING:
    from nemotron_assets.table.schema import Table


@functools.cache
def follow_inputs(after: Table | None = None) -> dg.AutomationCondition:
    """Requests partitions that are missing, and partitions of which an input has other content than before.

    With `after`, nothing is requested before that table has rows: an asset without inputs waits for the first snapshot.
    """
    condition = dg.AutomationCondition
    changed = condition.any_deps_match(condition.data_version_changed())
    wanted = _once_for(changed, InputsMayChange())
    return wanted & condition.asset_matches(after.asset_key, ~condition.missing()) if after else wanted


def made_once(*inputs: Table) -> dg.AutomationCondition:
    """Requests the asset when it is missing, when its code version changed, or when the content of one of `inputs`
    changed. A new snapshot alone does not request it."""
    condition, keys = dg.AutomationCondition, [table.asset_key for table in inputs]
    changed = condition.code_version_changed()
    if keys:
        others = condition.any_deps_match(condition.data_version_changed())
        changed |= others.allow(dg.AssetSelection.assets(*keys))
    return _once_for(changed, InputsMayChange(frozenset(keys)))


def _once_for(changed: dg.AutomationCondition, may_change: InputsMayChange) -> dg.AutomationCondition:
    """Requests a partition once whenever it becomes missing or `changed`, as soon as its inputs are there and settled.

    A partition whose run failed or was cancelled is left to a person, until it changes again.
    """
    condition = dg.AutomationCondition
    changed = changed.with_label("changed")
    # A run does not handle a change that comes after its request, or that it was too early to read.
    requested = (condition.newly_requested() & ~changed).with_label("requested")
    made = (condition.newly_updated() & ~MadeFromOlderInputs()).with_label("made from the newest inputs")
    wanted = (condition.missing().newly_true() | changed).since(requested | made)
    # An input without any partition has no missing partition either.
    there = condition.all_deps_match(~condition.missing() | condition.will_be_requested())
    waits = condition.any_deps_missing() | ~there | condition.any_deps_in_progress() | may_change
    return wanted & ~condition.in_progress() & ~waits.with_label("waits for its inputs")


class MadeFromOlderInputs(dg.AutomationCondition):
    """True for partitions that were made while one of their inputs changed, so that they lack the newest content."""

    @property
    def name(self) -> str:
        return "made_from_older_inputs"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        view = context.asset_graph_view
        return _true_for(
            context, lambda key, partition: bool(newer_inputs(view.instance, view.asset_graph, key, partition))
        )


class InputsMayChange(dg.AutomationCondition):
    """True for partitions with an ancestor that is being made, unless one run makes it and everything between. Also
    true for partitions that are being made themselves.

    So an asset at the end of several paths is made once, after the last of its inputs, and not once per path. `follows`
    are the inputs that the asset follows; None for all of its inputs.
    """

    def __init__(self, follows: frozenset[dg.AssetKey] | None = None) -> None:
        self.follows = follows

    @property
    def name(self) -> str:
        return "inputs_may_change"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        if context.candidate_subset.is_empty:
            return dg.AutomationResult(context, true_subset=context.get_empty_subset())
        view = context.asset_graph_view
        requested = {
            key: {unit.partition_key for unit in subset.expensively_compute_asset_partitions()}
            for key, subset in context.request_subsets_by_key.items()
            if isinstance(key, dg.AssetKey)
        }
        return _true_for(context, _Making(view, requested).may_change)


def _true_for(context: dg.AutomationContext, holds: Callable[[dg.AssetKey, str | None], bool]) -> dg.AutomationResult:
    """The result of a condition that is decided for each candidate: the key of an asset and its partition."""
    candidates = context.candidate_subset.expensively_compute_asset_partitions()
    found = {unit for unit in candidates if holds(unit.asset_key, unit.partition_key)}
    subset = context.asset_graph_view.get_asset_subset_from_asset_partitions(context.key, found)
    return dg.AutomationResult(context, true_subset=subset)


class _Making:
    """What runs are making now, and what this tick has requested. Where a partition is None, any partition is meant.

    An evaluation takes seconds, and runs end meanwhile. What was made since the evaluation began counts as being made:
    the other conditions see it completely only in the next evaluation.
    """

    def __init__(self, view: Any, requested: dict[dg.AssetKey, set[str | None]]) -> None:
        self.graph, self.requested, self.instance = view.asset_graph, requested, view.instance
        runs = self.instance.get_runs(dg.RunsFilter(statuses=unfinished_statuses()))
        self.running = [(run.asset_selection or set(), run.tags.get(PARTITION_TAG)) for run in runs]
        # In this order: a run that ended before the runs were read has told by now all that it made.
        made = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION, after_cursor=view.last_event_id)
        for record in self.instance.event_log_storage.get_event_records(made):
            self.running.append(({record.asset_key}, record.partition_key))
        self._settled: dict[tuple[dg.AssetKey, str | None], bool] = {}

    def may_change(self, key: dg.AssetKey, partition: str | None) -> bool:
        """Whether a run makes this partition, or an input of it is made by another run or will be made again."""
        if self._is_running(key, partition):
            return True
        divided_by = self.graph.get(key).partitions_def
        for parent, part in _inputs(self.graph, key, partition):
            together = self.graph.get(parent).partitions_def == divided_by and self._is_requested(parent, part)
            if not together and not self._is_settled(parent, part):
                return True
        return False

    def _is_settled(self, key: dg.AssetKey, partition: str | None) -> bool:
        """Whether this asset stays as it is: neither it nor an ancestor that it follows is being made or changed."""
        unit = key, partition
        if unit not in self._settled:
            follows_all = _followed(self.graph, key) == self.graph.get(key).parent_keys
            self._settled[unit] = (
                not self._is_requested(key, partition)
                and not self._is_running(key, partition)
                and all(self._is_settled(*parent) for parent in _inputs(self.graph, key, partition))
                and (follows_all or not newer_inputs(self.instance, self.graph, key, None))
            )
        return self._settled[unit]

    def _is_requested(self, key: dg.AssetKey, partition: str | None) -> bool:
        return partition in self.requested.get(key, ()) if partition else bool(self.requested.get(key))

    def _is_running(self, key: dg.AssetKey, partition: str | None) -> bool:
        return any(key in keys and (None in (partition, made) or made == partition) for keys, made in self.running)


def _followed(graph: Any, key: dg.AssetKey) -> Set[dg.AssetKey]:
    """The inputs whose changes request the asset. Assets that only a person or a schedule starts follow none."""
    asset = graph.get(key)
    waits = [part for part in _parts(asset.automation_condition) if isinstance(part, InputsMayChange)]
    if not waits:
        return frozenset()
    return asset.parent_keys if waits[0].follows is None else waits[0].follows


def _inputs(graph: Any, key: dg.AssetKey, partition: str | None) -> Iterator[tuple[dg.AssetKey, str | None]]:
    """The inputs that a partition follows, each with the partition that is read; None stands for all partitions."""
    divided_by = graph.get(key).partitions_def
    for parent in _followed(graph, key):
        yield parent, partition if divided_by and graph.get(parent).partitions_def == divided_by else None


def newer_inputs(instance: dg.DagsterInstance, graph: Any, key: dg.AssetKey, partition: str | None) -> set[dg.AssetKey]:
    """The followed inputs whose content has changed since the last materialisation of an asset, or of one of its
    partitions, read them.

    Dagster's own staleness does not look at an input with 100 partitions or more.
    """
    made = _materializations(instance, key, partition, limit=1)
    tags = (made[0].asset_materialization.tags or {}) if made else {}
    newer = set()
    for parent, read_partition in _inputs(graph, key, partition) if made else ():
        read = input_record(tags, parent, unknown=made[0].storage_id)
        newest: dict[str | None, dg.EventLogRecord] = {}
        for record in _materializations(instance, parent, read_partition, after_cursor=read):
            newest.setdefault(record.partition_key, record)
        for part, record in newest.items():
            before = _materializations(instance, parent, part, limit=1, before_cursor=read + 1)
            if not before or _data_version(before[0]) != _data_version(record):
                newer.add(parent)
    return newer


def _materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None, limit: int | None = None, **cursors: int
) -> Sequence[dg.EventLogRecord]:
    return instance.event_log_storage.get_event_records(
        dg.EventRecordsFilter(
            dg.DagsterEventType.ASSET_MATERIALIZATION, key, [partition] if partition else None, **cursors
        ),
        limit,
    )


def _data_version(record: dg.EventLogRecord) -> str | None:
    return (record.asset_materialization.tags or {}).get("dagster/data_version")


def _parts(condition: dg.AutomationCondition | None) -> Iterator[dg.AutomationCondition]:
    """A condition and all conditions that it is made of."""
    if condition is not None:
        yield condition
        for child in condition.children:
            yield from _parts(child)
