"""Runs a selection of assets from the command line: those that are missing or stale, several side by side.

A Dagster run holds one partition, or assets without partitions. So a selection is many Dagster runs, which worker
processes execute (workers.py). Whether an asset is stale is decided by Dagster, from the code version and the data
version of every input; which unit runs next is decided by schedule.py. The web UI shows these runs like all others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from nemotron_assets.commands.progress import Progress
from nemotron_assets.commands.schedule import Schedule, Unit, by_key
from nemotron_assets.commands.selection import SelectionError, select
from nemotron_assets.commands.stop import stoppable
from nemotron_assets.commands.worker import execute, load_repository
from nemotron_assets.commands.workers import Worker, Workers
from nemotron_assets.dagster_private import staleness, unchecked
from nemotron_assets.instance import instance
from nemotron_assets.run_processes import PROCESS_TAG, end_lost_runs
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table
from resources.contract import LakeError
from resources.lakehouse.reader import Reader
from resources.lakehouse.verify import why_unreadable

#: The event of a check's result. That of a check which is planned has a longer name.
_CHECKED = "ASSET_CHECK_EVALUATION"

#: Assets that run every time: only they can tell whether the source of the crawl has something new.
ALWAYS_DUE = {dg.AssetKey(["snapshots", "catalog"])}


@dataclass
class Outcome:
    """What happened to a unit.

    `status` is "done", "fresh" (it was up to date), "failed" (also if a blocking check failed), or "skipped" (an asset
    it depends on failed). `rows` and `tokens` are those of its last materialisation, `seconds` is the time of this run.
    `note` is the error, or the checks that failed; checks that only warn are in `warning`.
    """

    unit: Unit
    status: str
    rows: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    note: str = ""
    warning: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether nothing may be made from the unit."""
        return self.status in ("failed", "skipped")

    @property
    def is_wrong(self) -> bool:
        """Whether the unit failed, was skipped, or has a failed check."""
        return self.is_bad or bool(self.note)


class Runner:
    """Runs units of the graph, and keeps the outcome of each unit in `outcomes`.

    `progress` shows what happens. With `force`, units that are up to date are run as well.
    """

    def __init__(self, progress: Progress, force: bool = False) -> None:
        self.instance = instance()
        self._repository = load_repository()
        self.repository = self._repository.get_definition()
        self.graph = self.repository.asset_graph
        self.schedule = Schedule(self.graph)
        self.progress, self.force = progress, force
        end_lost_runs(self.instance)
        self.outcomes: dict[Unit, Outcome] = {}
        self._runs: Counter[Unit] = Counter()
        self._known: dict[Unit, str] = {}
        self._outdated: set[Unit] = set()
        self._recorded: set[str] = set()
        self._readers: dict[Table, Reader] = {}

    # -- selection ----------------------------------------------------------------------------------------------

    def select(self, selection: str | None) -> list[dg.AssetKey]:
        """The asset keys of a selection, in topological order (selection.py). Raises `SelectionError`."""
        return select(self.graph, selection)

    # -- running ------------------------------------------------------------------------------------------------

    def run(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None = None, jobs: int = 1) -> bool:
        """Bring the assets up to date, in the given snapshots or in all, `jobs` units at a time.

        True when no unit failed or was skipped.
        """
        workers = Workers(jobs)
        with stoppable(self.instance, workers.close, self.progress.close), self.progress:
            try:
                self._check_partitions(keys, partitions)
                for key in ALWAYS_DUE & set(keys):  # first and alone, because it may add partitions
                    self._run_here([Unit(key)])
                    self._end_if_failed(Unit(key), self._units(keys, partitions))
                    if not self.outcomes[Unit(key)].is_bad:
                        self._check_partitions([k for k in keys if k not in ALWAYS_DUE], partitions)
                while True:
                    due, waiting = self._plan(self._units(keys, partitions), workers.running)
                    self._start(workers, due, waiting)
                    self.progress.plan(due, workers.running, self.schedule, jobs)
                    if not workers.running:
                        break
                    # Until a run has ended there is nothing new to decide.
                    while not any(self._take(*reported) for reported in workers.facts(timeout=1.0)):
                        pass
                workers.finish()
            finally:
                workers.close()
        for unit in self._units(keys, partitions):
            if unit not in self.outcomes:
                self.outcomes[unit] = self._fresh(unit)
        return self.succeeded

    def _end_if_failed(self, first: Unit, units: Sequence[Unit]) -> None:
        """Skip all units if the first one failed: a person should learn within seconds, not after everything that does
        not depend on it, that the source of the crawl cannot be read."""
        others = [unit for unit in units if unit != first]
        if self.outcomes[first].is_bad and others:
            note = f"{first} failed"
            self.outcomes |= {unit: Outcome(unit, "skipped", note=note) for unit in others}
            self.progress.line(f"stop    {note}; to run assets that do not need the crawl, name them: group:code")

    @property
    def succeeded(self) -> bool:
        """Whether no unit failed or was skipped, and no check failed."""
        return not any(outcome.is_wrong for outcome in self.outcomes.values())

    def refresh(self, units: Sequence[Unit]) -> bool:
        """Run units of one partition in this process, even if they are up to date; True when all succeeded. Parts that
        are in the lake already are skipped."""
        with stoppable(self.instance, close_display=self.progress.close):
            self._run_here(list(units))
        return self.succeeded

    def _check_partitions(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None) -> None:
        known = sorted(self.instance.get_dynamic_partitions("snapshot"))
        unknown = sorted(set(partitions or ()) - set(known))
        if ALWAYS_DUE & set(keys):
            return
        by_snapshot = [key for key in keys if isinstance(self._divided_by(key), dg.DynamicPartitionsDefinition)]
        if by_snapshot and not known and not unknown:
            raise SelectionError(
                f"no snapshot is known, so {by_snapshot[0].to_user_string()} has nothing to run: select "
                "snapshots/catalog too, which lists the snapshots of the crawl, or store files of your own with "
                "`nemotron ingest`"
            )
        if unknown:
            raise SelectionError(
                f"no snapshot {', '.join(unknown)}; there are: {', '.join(known) or 'no snapshots yet'}"
            )

    def _units(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None) -> list[Unit]:
        """All units of the assets, in topological order of the assets."""
        known = sorted(self.instance.get_dynamic_partitions("snapshot"))
        wanted = [p for p in known if partitions is None or p in partitions]
        return [Unit(key, p) for key in keys for p in self._partitions(key, wanted)]

    def _partitions(self, key: dg.AssetKey, snapshots: Sequence[str]) -> Sequence[str | None]:
        """The partitions of an asset: `snapshots` if it is partitioned by snapshot, else all its partitions; [None] for
        an asset without partitions."""
        partitions = self._divided_by(key)
        if partitions is None:
            return [None]
        if isinstance(partitions, dg.DynamicPartitionsDefinition):
            return snapshots
        return partitions.get_partition_keys()

    def _divided_by(self, key: dg.AssetKey) -> dg.PartitionsDefinition | None:
        return self.graph.get(key).partitions_def

    def _plan(self, units: Sequence[Unit], running: set[Unit]) -> tuple[set[Unit], set[Unit]]:
        """The units that have to run, and those of which this is known only when their inputs have been made.

        Units below a unit that failed are skipped. A unit runs again when a unit that ran later has made it stale, as
        each snapshot may do with the duplicates of all others. The limit only stops units that make each other stale
        for ever.
        """
        most = 1 if self.force else 1 + max(1, len({unit.partition for unit in units} - {None}))
        due: set[Unit] = set()
        waiting: set[Unit] = set()
        unsettled, failed = by_key(running), by_key(u for u, outcome in self.outcomes.items() if outcome.is_bad)
        status_of = _Statuses(self.instance, self.graph, self._runs, of_most=not self._known)
        for unit in units:
            ended = unit in self.outcomes and self.outcomes[unit].status != "done"
            if unit in running or ended or unit.key in ALWAYS_DUE:
                continue
            if any(self.schedule.above(unit, failed)):
                self._record(Outcome(unit, "skipped", note="an asset it depends on failed"))
                failed[unit.key][unit.partition] = unit
                continue
            open_above = any(self.schedule.above(unit, unsettled))
            if unit not in self._known or (unit in self._outdated and not open_above):
                self._known[unit] = status_of(unit)
                self._outdated.discard(unit)
            status = "UNKNOWN" if unit in self._outdated else self._known[unit]
            if self._runs[unit] < most and (self.force or status in ("MISSING", "STALE")):
                due.add(unit)
                unsettled[unit.key][unit.partition] = unit
            elif open_above and self._runs[unit] < most:
                waiting.add(unit)
                unsettled[unit.key][unit.partition] = unit
        return due, waiting

    def _start(self, workers: Workers, due: set[Unit], waiting: set[Unit]) -> None:
        """Start batches while units are ready and workers have room."""
        missing = {unit for unit in due if self.force or self._known.get(unit) == "MISSING"}
        while workers.has_room():
            batch = self.schedule.next_batch(due, missing, workers.running, waiting, alone=workers.jobs == 1)
            if not batch:
                return
            self.progress.start(batch)
            workers.start(batch, on_device=self.schedule.needs_device(batch[0]), force=self.force)

    def _take(self, worker: Worker, fact: dict[str, Any]) -> bool:
        """Take in what a worker reports; True when its run has ended."""
        batch = worker.batch
        if fact["kind"] not in ("ended", "died"):
            self.progress.show(batch, fact)
            return False
        worker.batch = []
        if fact["kind"] == "ended":
            self._record_run(batch, fact["run"])
        elif batch:
            end_lost_runs(self.instance)
            self._record_run(batch, self._run_of(worker), f"its process {fact['text']}")
        return True

    def _run_of(self, worker: Worker) -> str:
        """The id of the run that a worker was executing when it died; "" if the worker had not begun its batch."""
        if not worker.process_name:  # it died before it was ready
            return ""
        runs = self.instance.get_runs(dg.RunsFilter(tags={PROCESS_TAG: worker.process_name}), limit=1)
        return next((run.run_id for run in runs if run.run_id not in self._recorded), "")

    def _run_here(self, batch: list[Unit]) -> None:
        """Run a batch as one Dagster run in this process."""
        keys = [unit.key for unit in batch]
        self.progress.start(batch)
        run_id = execute(self.instance, self._repository, keys, batch[0].partition, force=self.force)
        self._record_run(batch, run_id)

    def _record_run(self, batch: list[Unit], run_id: str, ending: str = "") -> None:
        """Record the outcome of every unit of a run from the events of the run. `ending` says how its process ended, if
        the process did not survive the run."""
        self._runs.update(batch)
        self._recorded.add(run_id)
        below = self.schedule.below(unit.key for unit in batch)
        made_now = {unit.key for unit in batch}
        # What was never made stays missing; everything else below may have become stale, or fresh.
        self._outdated |= {
            unit
            for unit, status in self._known.items()
            if unit.key in made_now or (unit.key in below and status != "MISSING")
        }
        partition = batch[0].partition
        events = [r.dagster_event for r in self.instance.all_logs(run_id) if r.dagster_event] if run_id else []
        step = {e.asset_key: e.step_key for e in events if e.event_type_value == "ASSET_MATERIALIZATION_PLANNED"}
        made = {e.asset_key: e for e in events if e.is_step_materialization and e.partition == partition}
        seconds = {e.step_key: e.event_specific_data.duration_ms / 1000 for e in events if e.is_step_success}
        errors = {e.step_key: e.step_failure_data.error for e in events if e.is_step_failure}
        for unit in batch:
            failures, warnings, blocked = self._checks(unit.key, events, errors)
            duration = seconds.get(step.get(unit.key))
            if error := errors.get(step.get(unit.key)):
                self._record(Outcome(unit, "failed", note=f"{_root_message(error)} (run {run_id})"))
            elif unit.key in made and not (ending and duration is None):
                outcome = _outcome(unit, "failed" if blocked else "done", made[unit.key].materialization, duration)
                outcome.note, outcome.warning = "; ".join(failures), "; ".join(warnings)
                self._record(outcome)
            else:
                status = "failed" if ending else "skipped"
                self._record(Outcome(unit, status, note=ending or f"run {run_id} ended before this asset"))

    def _checks(
        self, key: dg.AssetKey, events: Sequence[dg.DagsterEvent], errors: dict[str, Any]
    ) -> tuple[list[str], list[str], bool]:
        """The checks of an asset that failed or could not be finished in a run, those that warn, and whether a check
        that failed blocks what is made from the asset."""
        failures, warnings, blocked = [], [], False
        results = {e.event_specific_data.asset_check_key for e in events if e.event_type_value == _CHECKED}
        for event in events:
            kind, data = event.event_type_value, event.event_specific_data
            if not kind.startswith(_CHECKED) or data.asset_check_key.asset_key != key:
                continue
            name, serious = data.asset_check_key.name, True
            if kind != _CHECKED:  # the check was planned
                if event.step_key not in errors or data.asset_check_key in results:
                    continue  # the step of a blocking check also fails when the check has a result
                words = f"check {name} could not be finished: {_root_message(errors[event.step_key])}"
            elif data.passed:
                continue
            else:
                serious = data.severity == dg.AssetCheckSeverity.ERROR
                detail = data.description or ", ".join(_facts(data.metadata))
                words = f"check {name} failed" + (f" ({detail})" if detail else "")
            (failures if serious else warnings).append(words)
            blocked |= serious and self.graph.get(data.asset_check_key).blocking
        return failures, warnings, blocked

    def _fresh(self, unit: Unit) -> Outcome:
        """The outcome of a unit that was up to date, with the counts of its last materialisation."""
        partitions = [unit.partition] if unit.partition else None
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=unit.key, asset_partitions=partitions), limit=1
        ).records
        outcome = _outcome(unit, "fresh", records[0].asset_materialization if records else None)
        if problem := self._why_unreadable(unit):
            outcome.status, outcome.note = "failed", problem
        return outcome

    def _why_unreadable(self, unit: Unit) -> str:
        """Why a unit that is up to date cannot be read from the lake; "" if it can."""
        from nemotron_assets.definitions import lake

        table = all_tables().get(".".join(unit.key.path))
        if table is None:
            return ""
        try:
            if table not in self._readers:
                self._readers[table] = lake.read(table)
            return why_unreadable(self._readers[table].within(unit.partition if table.partition_by else None))
        except LakeError as error:
            return str(error)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes[outcome.unit] = outcome
        self.progress.end(outcome)


class _Statuses:
    """ "MISSING", "STALE" or "FRESH" of a unit, as Dagster sees it now. A unit of which a check failed or was not
    finished is stale too, until it has run once. `of_most` says that most units are asked for."""

    def __init__(self, instance: dg.DagsterInstance, graph: Any, runs: Counter[Unit], *, of_most: bool) -> None:
        self._instance, self._graph, self._runs, self._of_most = instance, graph, runs, of_most
        self._resolver: Any = None
        self._unchecked: dict[str | None, set[dg.AssetKey]] = {}

    def __call__(self, unit: Unit) -> str:
        self._resolver = self._resolver or staleness(self._instance, self._graph, of_most=self._of_most)
        status = self._resolver.get_status(unit.key, unit.partition).value
        if status != "FRESH" or self._runs[unit]:
            return status
        if unit.partition not in self._unchecked:
            self._unchecked[unit.partition] = unchecked(self._instance, self._graph, unit.partition)
        return "STALE" if unit.key in self._unchecked[unit.partition] else "FRESH"


def _outcome(
    unit: Unit, status: str, materialization: dg.AssetMaterialization | None, seconds: float | None = None
) -> Outcome:
    metadata = materialization.metadata if materialization else {}
    facts = {key: value.value for key, value in metadata.items()}
    rows = facts.get("dagster/partition_row_count", facts.get("dagster/row_count"))
    return Outcome(unit, status, rows, facts.get("tokens"), seconds)


def _root_message(error: Any) -> str:
    """The message of the innermost cause of an error, in one line, without the module and name of its class."""
    while error.cause:
        error = error.cause
    return re.sub(r"^\w+(\.\w+)+: ", "", " ".join(error.message.split()))


def _facts(metadata: Mapping[str, Any]) -> list[str]:
    """The numbers and short texts that a check reports, as "name = value"; plots and tables are left out."""
    short = {n: v.value for n, v in metadata.items() if isinstance(v.value, int | float)}
    short |= {n: v.value for n, v in metadata.items() if isinstance(v, dg.TextMetadataValue) and len(v.value) <= 200}
    return [f"{name} = {value}" for name, value in short.items()]
