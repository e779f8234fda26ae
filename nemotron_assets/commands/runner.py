"""Runs a selection of assets from the command line: those that are missing or stale, in several Dagster runs.

A Dagster run holds one partition, or assets without partitions. A selection is therefore run in waves: each wave is
one Dagster run with all assets that can run together, one snapshot after the other in the order of their names. Whether
an asset is stale is decided by Dagster (from the code version, and the data version of every input) before each wave.
The web UI shows these runs like all others.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from nemotron_assets.dagster_private import PARTITION_TAG, job_of, repository_of, staleness
from resources.home import dagster_home

PROJECT = Path(__file__).resolve().parents[2]

#: Assets that run every time: only they can tell whether the source of the crawl has something new.
ALWAYS_DUE = {dg.AssetKey(["snapshots", "catalog"])}

#: Run tag with the process that executes a run, by which the runs of killed processes are found.
PROCESS_TAG = "nemotron/process"


class SelectionError(ValueError):
    """A selection or a partition that does not exist; the message names similar ones."""


@dataclass(frozen=True)
class Unit:
    """One asset, or one partition of it."""

    key: dg.AssetKey
    partition: str | None = None

    def __str__(self) -> str:
        return self.key.to_user_string() + (f" [{self.partition}]" if self.partition else "")


@dataclass
class Outcome:
    """What happened to a unit.

    `status` is "done", "fresh" (it was up to date), "failed", or "skipped" (an asset it depends on failed). `rows` and
    `tokens` are those of its last materialisation, `seconds` is the time of this run, `note` the error or a failed
    check.
    """

    unit: Unit
    status: str
    rows: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    note: str = ""


def instance() -> dg.DagsterInstance:
    """The Dagster instance of the home folder. On first use, the folder gets a copy of the project's `dagster.yaml`."""
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    template, config = PROJECT / "dagster.yaml", home / "dagster.yaml"
    if template.is_file() and not config.exists():
        shutil.copyfile(template, config)
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


class Runner:
    """Runs units of the graph, and keeps the outcome of each unit in `outcomes`.

    `progress` gets one line per wave, and one per unit that failed or was skipped. With `force`, units that are up to
    date are run as well.
    """

    def __init__(self, progress: Callable[[str], None], force: bool = False) -> None:
        self.instance = instance()
        self._repository = repository_of("nemotron_assets.definitions", "defs", str(PROJECT))
        self.repository = self._repository.get_definition()
        self.graph = self.repository.asset_graph
        self.progress, self.force = progress, force
        self._end_dead_runs()
        self.outcomes: dict[Unit, Outcome] = {}
        self._runs: Counter[Unit] = Counter()

    def _end_dead_runs(self) -> None:
        """Mark runs of killed `nemotron run` processes as failed, and free the pool slots that they still hold."""
        unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
        for run in self.instance.get_runs(unfinished):
            process = run.tags.get(PROCESS_TAG)
            if process and _has_ended(process):
                self.instance.report_run_failed(
                    run, "its process was killed; the next run goes on where this one stopped"
                )
                self.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

    # -- selection ----------------------------------------------------------------------------------------------

    def select(self, selection: str | None) -> list[dg.AssetKey]:
        """The asset keys of a selection in Dagster's syntax, in topological order.

        Without a selection: all assets but the upkeep of the lake. Raises `SelectionError`.
        """
        executable = self.graph.executable_asset_keys
        if not selection:
            chosen = {key for key in executable if key.path[0] != "lake"}
        else:
            # Dagster's syntax wants key:"web/documents"; here the bare name works in combinations too.
            names = re.compile(r'(?<![\w*/:"])(\w+/\w+)(?![\w*/"])')
            try:
                text = names.sub(r'key:"\1"', selection)
                chosen = dg.AssetSelection.from_string(text).resolve(self.graph) & executable
            except Exception as error:
                raise SelectionError(
                    f"cannot parse the selection {selection!r}; join names by `or` (web/documents or group:blend): "
                    f"{error}"
                ) from None
            # An unknown name is an error even if other names of the same selection exist.
            known = {key.to_user_string() for key in executable}
            unknown = [name for name in names.findall(selection) if name not in known]
            if unknown or not chosen:
                word = unknown[0] if unknown else selection
                raise SelectionError(f"no asset is selected by {word!r}. {self._suggest(word)}")
        return [key for key in self.graph.toposorted_asset_keys if key in chosen]

    def _suggest(self, selection: str) -> str:
        """A hint with names similar to the one that does not exist, and all groups and assets."""
        names = [key.to_user_string() for key in self.graph.executable_asset_keys]
        groups = sorted({self.graph.get(key).group_name for key in self.graph.executable_asset_keys})
        word = selection.removeprefix("group:").strip("+*\"' ")
        close = difflib.get_close_matches(word, [*names, *groups], n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        return f"{hint}Groups: {', '.join(f'group:{g}' for g in groups)}; assets: {', '.join(sorted(names))}."

    # -- running ------------------------------------------------------------------------------------------------

    def run(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None = None) -> bool:
        """Bring the assets up to date, in the given snapshots or in all; True when no unit failed or was skipped."""
        while True:
            units = self._units(keys, partitions)
            status = self._status(units)
            todo = {unit for unit in units if self._is_due(unit, status[unit])}
            wave = self._next_wave(todo, status)
            if not wave:
                break
            self._execute(wave)
        for unit in units:
            if unit in todo:
                self._record(Outcome(unit, "skipped", note="an asset it depends on failed"))
            elif unit not in self.outcomes:
                self.outcomes[unit] = self._fresh(unit)
        return all(outcome.status in ("done", "fresh") for outcome in self.outcomes.values())

    def refresh(self, units: Sequence[Unit]) -> bool:
        """Run units of one partition, even if they are up to date; True when all succeeded. Parts that are in the lake
        already are skipped."""
        self._execute(list(units))
        return all(self.outcomes[unit].status == "done" for unit in units)

    def _units(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None) -> list[Unit]:
        """All units of the assets. The list changes during a run, because `snapshots/catalog` may add snapshots."""
        known = sorted(self.instance.get_dynamic_partitions("snapshot"))
        unknown = sorted(set(partitions or ()) - set(known))
        if unknown and not any(key in ALWAYS_DUE and self._runs[Unit(key)] == 0 for key in keys):
            raise SelectionError(
                f"no snapshot {', '.join(unknown)}; there are: {', '.join(known) or 'no snapshots yet'}"
            )
        wanted = [p for p in known if partitions is None or p in partitions]
        units: list[Unit] = []
        for key in keys:
            units += [Unit(key, p) for p in self._partitions(key, wanted)]
        return units

    def _partitions(self, key: dg.AssetKey, snapshots: Sequence[str]) -> Sequence[str | None]:
        """The partitions of an asset: `snapshots` if it is partitioned by snapshot, else all its partitions; [None] for
        an asset without partitions."""
        partitions = self.graph.get(key).partitions_def
        if partitions is None:
            return [None]
        if isinstance(partitions, dg.DynamicPartitionsDefinition):
            return snapshots
        return partitions.get_partition_keys()

    def _status(self, units: Sequence[Unit]) -> dict[Unit, Any]:
        """Dagster's status of every unit: an enum with the values FRESH, STALE and MISSING."""
        resolver = staleness(self.instance, self.graph)
        return {unit: resolver.get_status(unit.key, unit.partition) for unit in units}

    def _is_due(self, unit: Unit, status: Any) -> bool:
        """Whether to run a unit now.

        A unit runs at most twice: the second time when a later wave made it stale again, as a late snapshot does with
        the duplicates of earlier ones.
        """
        if unit in self.outcomes and self.outcomes[unit].status != "done":
            return False
        if self.force or unit.key in ALWAYS_DUE:
            return self._runs[unit] == 0
        return status.value != "FRESH" and self._runs[unit] < 2

    def _next_wave(self, todo: set[Unit], status: dict[Unit, Any]) -> list[Unit]:
        """The units of the next wave, in topological order: all of one partition, or all without partitions.

        A unit joins the wave when every unit it depends on is up to date or in the wave. If it depends on a unit in the
        wave, it joins only if it is missing: a stale unit may become fresh once its input has been made again.
        """
        order = {key: index for index, key in enumerate(self.graph.toposorted_asset_keys)}
        if catalog := [unit for unit in todo if unit.key in ALWAYS_DUE]:
            return catalog  # alone, because it may add partitions
        failed = {unit for unit, outcome in self.outcomes.items() if outcome.status in ("failed", "skipped")}
        for partition in (None, *sorted({u.partition for u in todo if u.partition})):
            wave: set[Unit] = set()
            for unit in sorted((u for u in todo if u.partition == partition), key=lambda u: order[u.key]):
                above = {u for u in todo | failed if self._feeds(u, unit)}
                if above <= wave and (not above or self.force or status[unit].value == "MISSING"):
                    wave.add(unit)
            if wave:
                return sorted(wave, key=lambda u: order[u.key])
        return []

    def _feeds(self, upstream: Unit, unit: Unit) -> bool:
        """Whether a unit depends on another unit directly."""
        matches = unit.partition is None or upstream.partition in (None, unit.partition)
        return matches and upstream.key in self.graph.get(unit.key).parent_keys

    def _execute(self, wave: list[Unit]) -> None:
        """Run a wave as one Dagster run, and record the outcome of every unit from the events of the run."""
        partition = wave[0].partition
        tags = {PROCESS_TAG: _process()} | ({PARTITION_TAG: partition} if partition else {})
        if self.force:
            tags["nemotron/force"] = "true"
        self.progress(f"run     {', '.join(map(str, wave))}")
        result = dg.execute_job(
            job_of(self._repository),
            self.instance,
            run_config={"loggers": {"console": {}}},
            tags=tags,
            asset_selection=[unit.key for unit in wave],
        )
        self._runs.update(wave)
        events = [r.dagster_event for r in self.instance.all_logs(result.run_id) if r.dagster_event]
        step = {e.asset_key: e.step_key for e in events if e.event_type_value == "ASSET_MATERIALIZATION_PLANNED"}
        made = {e.asset_key: e for e in events if e.is_step_materialization and e.partition == partition}
        seconds = {e.step_key: e.event_specific_data.duration_ms / 1000 for e in events if e.is_step_success}
        errors = {e.step_key: e.step_failure_data.error for e in events if e.is_step_failure}
        checks = [e.asset_check_evaluation_data for e in events if e.event_type_value == "ASSET_CHECK_EVALUATION"]
        for unit in wave:
            failed = [f"check {c.check_name} failed" for c in checks if c.asset_key == unit.key and not c.passed]
            if unit.key in made:
                duration = seconds.get(step.get(unit.key))
                self._record(_outcome(unit, "done", made[unit.key].materialization, duration, "; ".join(failed)))
            elif error := errors.get(step.get(unit.key)):
                self._record(Outcome(unit, "failed", note=f"{_root_message(error)} (run {result.run_id})"))
            else:
                self._record(Outcome(unit, "skipped", note=f"run {result.run_id} ended before this asset"))

    def _fresh(self, unit: Unit) -> Outcome:
        """The outcome of a unit that was up to date, with the counts of its last materialisation."""
        partitions = [unit.partition] if unit.partition else None
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=unit.key, asset_partitions=partitions), limit=1
        ).records
        return _outcome(unit, "fresh", records[0].asset_materialization if records else None)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes[outcome.unit] = outcome
        # Successful assets have been logged already (nemotron_assets/logs.py).
        if outcome.status != "done" or outcome.note:
            self.progress(f"{outcome.status:8}{outcome.unit}: {outcome.note}")


def _process() -> str:
    """An identifier of this process that no other process has: host, process id and start time."""
    import psutil

    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time()}"


def _has_ended(process: str) -> bool:
    """Whether a process (as `_process` names it) of this host has ended; False for a process of another host."""
    import psutil

    host, pid, started = process.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        return str(psutil.Process(int(pid)).create_time()) != started
    except psutil.NoSuchProcess:
        return True


def _outcome(
    unit: Unit,
    status: str,
    materialization: dg.AssetMaterialization | None,
    seconds: float | None = None,
    note: str = "",
) -> Outcome:
    metadata = materialization.metadata if materialization else {}
    facts = {key: value.value for key, value in metadata.items()}
    rows = facts.get("dagster/partition_row_count", facts.get("dagster/row_count"))
    return Outcome(unit, status, rows, facts.get("tokens"), seconds, note)


def _root_message(error: Any) -> str:
    """The message of the innermost cause of an error, in one line."""
    while error.cause:
        error = error.cause
    return " ".join(error.message.split())
