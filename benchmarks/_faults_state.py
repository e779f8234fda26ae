"""What a home holds when all its runs have ended: the content of every partition, and what Dagster says about it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

#: Columns that say when and by which run a row was made, or from which Delta versions; a kill may change them.
_CIRCUMSTANCES = {"input_versions", "source_versions", "read_versions", "at", "run_id", "tokens_per_second"}


def state(home: Path) -> dict[str, str]:
    """The state of a home by what it describes: {"web.documents [A-1]": hash of the rows, "… Dagster": …}.

    Of every partition of every table: the hash of the rows that are read back, all columns but the volatile ones; and
    the data version that Dagster has of it. The numbers of Delta versions are left out, because a run that was killed
    may have made a commit more.
    """
    import polars as pl

    from nemotron_assets.stages import all_tables
    from resources.contract import hash63
    from resources.lakehouse import Lakehouse

    lake = Lakehouse(root=str(home / "lake"), free_disk_mb=0)
    found: dict[str, str] = {}
    for name, table in all_tables().items():
        reader = lake.read(table)
        if not reader.exists:
            continue
        columns = [c.name for c in table.columns if not c.volatile and c.name not in _CIRCUMSTANCES]
        for partition in reader.snapshots() if table.partition_by else [None]:
            rows = pl.concat([pl.from_arrow(b) for b in reader.within(partition).batches(columns)] or [table.empty()])
            hashes = rows.select(columns).hash_rows(seed=42)
            title = f"{name} [{partition}]" if partition else name
            found[title] = f"{rows.height} rows {hash63(str(hashes.sum()), str(hashes.sort().to_list())):016x}"
            if wrong := _wrong_marks(reader.within(partition), partition):
                found[title] += f", and the marks of {', '.join(wrong)} describe other rows"
    # The data version of a model contains the time at which it was made.
    dated = {f"Dagster's {t.schema}/{t.name}" for t in all_tables().values() if t.schema == "models"}
    return found | {name: value for name, value in _dagster(home).items() if name not in dated}


def _wrong_marks(reader, partition: str | None) -> list[str]:
    """The parts whose stored hash is not the one of their rows."""
    from resources.contract import ContentHash

    table, wrong = reader.table, []
    parts = reader.parts() if table.part_by else {"": reader.lake.marker(reader._delta, "data", partition, "") or ""}
    for key, mark in parts.items():
        content = ContentHash(table)
        for _ in content.counting((reader.part(key) if table.part_by else reader).batches()):
            pass
        if mark and int(mark) != content.value:
            wrong.append(key or "the partition")
    return wrong


@contextlib.contextmanager
def instance_of(home: Path) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a home. Its settings ask the environment for their own folder."""
    import dagster as dg

    before, os.environ["DAGSTER_HOME"] = os.environ.get("DAGSTER_HOME"), str(home / "dagster")
    try:
        with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
            yield instance
    finally:
        del os.environ["DAGSTER_HOME"]
        if before is not None:
            os.environ["DAGSTER_HOME"] = before


def _dagster(home: Path) -> dict[str, str]:
    """What Dagster says: the last data version of every asset and partition, and whether something seems to run."""
    import dagster as dg

    from nemotron_assets.dagster_private import unfinished_statuses

    if not (home / "dagster" / "dagster.yaml").is_file():
        return {}
    found = {}
    with instance_of(home) as instance:
        found["partitions"] = ", ".join(sorted(instance.get_dynamic_partitions("snapshot")))
        for key in sorted(instance.all_asset_keys()):
            records = instance.fetch_materializations(key, limit=10_000).records
            for record in reversed(records):  # the newest comes first
                version = (record.asset_materialization.tags or {}).get("dagster/data_version")
                partition = f" [{record.partition_key}]" if record.partition_key else ""
                found[f"Dagster's {key.to_user_string()}{partition}"] = str(version)
        running = instance.get_run_records(dg.RunsFilter(statuses=unfinished_statuses()))
        if running:
            found["runs that seem to be going on"] = str(len(running))
        for pool in sorted(instance.event_log_storage.get_concurrency_keys()):
            if taken := instance.event_log_storage.get_concurrency_info(pool).active_slot_count:
                found[f"slots of pool {pool} that seem to be taken"] = str(taken)
    return found


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """One sentence per entry in which two states differ."""
    return [
        f"{name}: {found.get(name, 'missing')} instead of {expected.get(name, 'nothing')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
