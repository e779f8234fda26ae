"""Runs a selection of the graph from the command line: only what is missing or stale, in waves, with progress.

Dagster runs hold either partitioned or unpartitioned assets, so a selection becomes a sequence of runs: everything
that can run together, snapshot by snapshot in order of time. Staleness is Dagster's own (code version and data version
of every input), asked anew before each wave; the runs are ordinary ones, which the web UI shows.
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

#: Assets that look at the outside world: run each time, because only they can tell whether something is new.
LOOKS_OUTSIDE = {dg.AssetKey(["snapshots", "catalog"])}

#: Run tag that says which process works on a run, so that the run of a killed one can be told from one at work.
PROCESS_TAG = "nemotron/process"


class SelectionError(ValueError):
    """A selection that names nothing; the message says what comes close."""


@dataclass(frozen=True)
class Unit:
    """One asset, or one partition of it."""

    key: dg.AssetKey
    partition: str | None = None

    def __str__(self) -> str:
        return self.key.to_user_string() + (f" [{self.partition}]" if self.partition else "")


@dataclass
class Outcome:
    """What happened to a unit: "done", "fresh" (nothing to do), "failed" or "skipped" (something above it failed)."""

    unit: Unit
    status: str
    rows: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    note: str = ""


def instance() -> dg.DagsterInstance:
    """The Dagster instance of this home, with the project's `dagster.yaml`; made on first use."""
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    ours = PROJECT / "dagster.yaml"
    if ours.is_file() and not config.exists():
        shutil.copyfile(ours, config)
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


class Runner:
    """Runs units of the graph and keeps what became of each in `outcomes`."""

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
        """Mark runs of killed `nemotron run` processes as failed, and give back the pool slots they still hold."""
        going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
        for run in self.instance.get_runs(going):
            process = run.tags.get(PROCESS_TAG)
            if process and _is_dead(process):
                self.instance.report_run_failed(run, "its process was killed; the next run goes on where it stopped")
                self.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

    # -- selection ----------------------------------------------------------------------------------------------

    def select(self, selection: str | None) -> list[dg.AssetKey]:
        """The asset keys of a selection in Dagster's syntax, in topological order. Raises `SelectionError`."""
        every = self.graph.executable_asset_keys
        if not selection:
            # Upkeep is asked for by name; the graph itself is everything else.
            chosen = {key for key in every if key.path[0] != "lake"}
        else:
            # Bare asset names may be combined like everything else: `web/documents or group:blend`.
            names = re.compile(r'(?<![\w*/:"])(\w+/\w+)(?![\w*/"])')
            try:
                text = names.sub(r'key:"\1"', selection)
                chosen = dg.AssetSelection.from_string(text).resolve(self.graph) & every
            except Exception as error:
                raise SelectionError(
                    f"cannot read the selection {selection!r} (joined as in `web/documents or group:blend`): {error}"
                ) from None
            # A name that is not there must not pass because another one of the same selection is.
            known = {key.to_user_string() for key in every}
            unknown = [name for name in names.findall(selection) if name not in known]
            if unknown or not chosen:
                word = unknown[0] if unknown else selection
                raise SelectionError(f"nothing is selected by {word!r}. {self._suggest(word)}")
        return [key for key in self.graph.toposorted_asset_keys if key in chosen]

    def _suggest(self, selection: str) -> str:
        names = [key.to_user_string() for key in self.graph.executable_asset_keys]
        groups = sorted({self.graph.get(key).group_name for key in self.graph.executable_asset_keys})
        word = selection.removeprefix("group:").strip("+*\"' ")
        close = difflib.get_close_matches(word, [*names, *groups], n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        return f"{hint}Groups: {', '.join(f'group:{g}' for g in groups)}; assets: {', '.join(sorted(names))}."

    # -- running ------------------------------------------------------------------------------------------------

    def run(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None = None) -> bool:
        """Bring the assets up to date, only in `partitions` if given; True when nothing failed."""
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
                self._record(Outcome(unit, "skipped", note="something it depends on failed"))
            elif unit not in self.outcomes:
                self.outcomes[unit] = self._fresh(unit)
        return all(outcome.status in ("done", "fresh") for outcome in self.outcomes.values())

    def refresh(self, units: Sequence[Unit]) -> bool:
        """Run units of one partition now, stale or not; parts already in the lake are still skipped."""
        self._execute(list(units))
        return all(self.outcomes[unit].status == "done" for unit in units)

    def _units(self, keys: Sequence[dg.AssetKey], partitions: Sequence[str] | None) -> list[Unit]:
        """Every unit there is now; materialising the catalogue may have added partitions."""
        known = sorted(self.instance.get_dynamic_partitions("snapshot"))
        unknown = sorted(set(partitions or ()) - set(known))
        if unknown and not any(key in LOOKS_OUTSIDE and self._runs[Unit(key)] == 0 for key in keys):
            raise SelectionError(f"no snapshot {', '.join(unknown)}; there are: {', '.join(known) or 'none yet'}")
        wanted = [p for p in known if partitions is None or p in partitions]
        units: list[Unit] = []
        for key in keys:
            units += [Unit(key, p) for p in self._partitions(key, wanted)]
        return units

    def _partitions(self, key: dg.AssetKey, snapshots: Sequence[str]) -> Sequence[str | None]:
        """The partitions of an asset: the snapshots asked for, or all of what is not divided by snapshot."""
        partitions = self.graph.get(key).partitions_def
        if partitions is None:
            return [None]
        if isinstance(partitions, dg.DynamicPartitionsDefinition):
            return snapshots
        return partitions.get_partition_keys()

    def _status(self, units: Sequence[Unit]) -> dict[Unit, Any]:
        resolver = staleness(self.instance, self.graph)
        return {unit: resolver.get_status(unit.key, unit.partition) for unit in units}

    def _is_due(self, unit: Unit, status: Any) -> bool:
        """Whether to run a unit. One that was made stale again (a late snapshot) may run twice, never for ever."""
        if unit in self.outcomes and self.outcomes[unit].status != "done":
            return False
        if self.force or unit.key in LOOKS_OUTSIDE:
            return self._runs[unit] == 0
        return status.value != "FRESH" and self._runs[unit] < 2

    def _next_wave(self, todo: set[Unit], status: dict[Unit, Any]) -> list[Unit]:
        """Units of one partition (or of none) that can run together now.

        A unit joins when nothing it depends on is still to be done outside the wave. Behind a unit of the same wave
        it joins only if it is missing: a merely stale one may turn out fresh once its input was made again.
        """
        order = {key: index for index, key in enumerate(self.graph.toposorted_asset_keys)}
        if outside := [unit for unit in todo if unit.key in LOOKS_OUTSIDE]:
            return outside  # alone: only afterwards is it known which partitions there are
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
        same = unit.partition is None or upstream.partition in (None, unit.partition)
        return same and upstream.key in self.graph.get(unit.key).parent_keys

    def _execute(self, wave: list[Unit]) -> None:
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
            bad = [f"check {c.check_name} failed" for c in checks if c.asset_key == unit.key and not c.passed]
            if unit.key in made:
                took = seconds.get(step.get(unit.key))
                self._record(_outcome(unit, "done", made[unit.key].materialization, took, "; ".join(bad)))
            elif error := errors.get(step.get(unit.key)):
                self._record(Outcome(unit, "failed", note=f"{_root_message(error)} (run {result.run_id})"))
            else:
                self._record(Outcome(unit, "skipped", note=f"run {result.run_id} ended before it"))

    def _fresh(self, unit: Unit) -> Outcome:
        """What the last materialisation of an up-to-date unit said."""
        partitions = [unit.partition] if unit.partition else None
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=unit.key, asset_partitions=partitions), limit=1
        ).records
        return _outcome(unit, "fresh", records[0].asset_materialization if records else None)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes[outcome.unit] = outcome
        # What went well was said when it happened (nemotron_assets/logs.py).
        if outcome.status != "done" or outcome.note:
            self.progress(f"{outcome.status:8}{outcome.unit}: {outcome.note}")


def _process() -> str:
    """This process, as nothing else that ever runs: host, process id and start time."""
    import psutil

    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time()}"


def _is_dead(process: str) -> bool:
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
    """The innermost cause of a failed step in one line."""
    while error.cause:
        error = error.cause
    return " ".join(error.message.split())
