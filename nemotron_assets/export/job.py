"""One export: which configs and partitions it has, and writing its shards.

A journal in the folder that is being written lists the complete shards, so that an export that was killed can go on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.export.folder import write
from nemotron_assets.export.shards import ShardWriter, plain_schema
from nemotron_assets.export.written import Counts, ExportError, Shard
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.counting import counted
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.lakehouse import Lakehouse

#: Version of the format of export.json and of the journal.
FORMAT = 2
JOURNAL = "journal.jsonl"
_CONFIG_NAME = re.compile(r"\w[\w.+-]{0,99}")


class Job:
    """What an export reads, and which configs it has.

    `identity` decides what is written: exports with equal identities hold the same rows in the same layout.
    """

    def __init__(self, lake: Lakehouse, table: Table, recipe: Recipe, partitions: Sequence[str], licence: str) -> None:
        self.table, self.recipe, self.layout = table, recipe, table.published
        self.reader = lake.read(table)
        if not self.reader.exists:
            asset = table.asset_key.to_user_string()
            raise ExportError(f"{table.full_name} has not been written yet: `nemotron run +{asset}` makes it")
        self.partitions = self._partitions(partitions)
        self.configs = self._configs()
        self.identity = {
            "format": FORMAT,
            "table": table.full_name,
            "content": {name or "": self.reader.within(name).content() for name in self._each_partition()},
            "columns": {config: list(self.columns(config)) for config in self.configs},
            **({"structs": {k: list(v) for k, v in self.layout.structs.items()}} if self.layout.structs else {}),
            "release": recipe.release.model_dump(mode="json", exclude={"subsets", "memory_mb", "sample"}),
            "licence": content_hash(licence),
        }
        #: An interrupted export is continued only if this is unchanged. It includes the Delta version, because
        #: compaction changes the order of the rows.
        self.resumable = {**self.identity, "version": self.reader.version, "rows": recipe.storage.row_group_rows}

    def columns(self, config: str) -> tuple[str, ...]:
        """The published columns of a config."""
        return self.layout.columns_of(config)

    def _partitions(self, wanted: Sequence[str]) -> list[str] | None:
        """The wanted partitions, or all of them if none is named; None for a table without partitions."""
        column = self.table.partition_by
        if column is None:
            if wanted:
                raise ExportError(f"{self.table.full_name} has no partitions: leave --partition out")
            return None
        found = set(self.reader.scan().select(column).unique().collect(engine="streaming")[column])
        if unknown := sorted(set(wanted) - found):
            raise ExportError(
                f"{self.table.full_name} has no partition {', '.join(unknown)}; it has {', '.join(sorted(found))}"
            )
        return sorted(set(wanted) or found)

    def _each_partition(self) -> Sequence[str | None]:
        """The partitions to read, one after the other; [None] for a table without partitions."""
        return self.partitions if self.partitions is not None else [None]

    def _configs(self) -> list[str]:
        """The names of the configs: the declared ones first, then the other values of the column `configs_by`."""
        if not self.layout.configs_by:
            return list(self.layout.configs)
        column = self.layout.configs_by
        found = self.reader.scan().select(column).unique().collect(engine="streaming")[column].to_list()
        names = list(dict.fromkeys([*self.layout.configs, *sorted(found)]))
        for name in names:
            if not _CONFIG_NAME.fullmatch(name):
                raise ExportError(f"{self.table.full_name}: {column} {name!r} cannot be the name of a config")
        return names

    def write(self, work: Path, progress: Callable[[str], None]) -> list[Shard]:
        """Write all shards that are missing; returns all shards. Shards of an interrupted export are kept if its
        journal belongs to the same job."""
        done = self._journalled(work)
        if done is None:
            for entry in work.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            write(work / JOURNAL, json.dumps(self.resumable) + "\n")
            done = []
        if done:
            rows = sum(shard.counts.rows for shard in done)
            progress(f"going on after {counted(len(done), 'shard')}, {counted(rows, 'row')}")
        complete = {s.path() for s in done} | {s.path(_count(done, s.config)) for s in done}
        for file in sorted(work.glob("data/*/*")):
            if str(file.relative_to(work)) not in complete:
                file.unlink()
        shards = []
        for config in self.configs:
            done_before = [shard for shard in done if shard.config == config]
            shards += done_before
            for shard in self._write_config(work, config, done_before):
                with (work / JOURNAL).open("a") as journal:
                    line = {"config": config, "number": shard.number, "counts": shard.counts.as_json()}
                    journal.write(json.dumps(line) + "\n")
                    journal.flush()
                    os.fsync(journal.fileno())
                shards.append(shard)
                counts = shard.counts
                size = f"{counted(counts.rows, 'row')}, {counts.file_bytes / 1e6:,.1f} MB"
                progress(f"{config}: shard {shard.number}, {size}")
        return shards

    def _journalled(self, work: Path) -> list[Shard] | None:
        """The complete shards that an interrupted run of this export left; None if there was no such run."""
        try:
            first, *lines = (work / JOURNAL).read_text("utf-8").splitlines()
            if json.loads(first) != self.resumable:
                return None
        except (OSError, ValueError):
            return None
        shards = []
        for line in lines:
            try:
                entry = json.loads(line)
                shard = Shard(entry["config"], entry["number"], Counts.from_json(entry["counts"]))
            except (ValueError, KeyError, TypeError):
                break  # the last line, which a killed run wrote only in part
            shards.append(shard)
        for shard in shards:
            names = (shard.path(), shard.path(_count(shards, shard.config)))
            sizes = [(work / name).stat().st_size for name in names if (work / name).exists()]
            if sizes != [shard.counts.file_bytes]:
                return None
        return shards

    def _write_config(self, work: Path, config: str, done: list[Shard]) -> Iterator[Shard]:
        """Write the shards of a config that come after those in `done`."""
        schema = plain_schema(self.table, self.columns(config))
        structs = self.layout.structs
        skip = sum(shard.counts.rows for shard in done)
        writer = ShardWriter(work, config, len(done), schema, self.recipe, structs)
        for batch in self._batches(config):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            yield from writer.add(batch.slice(skip))
            skip = 0
        yield from writer.close(empty=self.layout.empty_configs and not done)

    def _batches(self, config: str) -> Iterator[pa.RecordBatch]:
        """The rows of a config, with the published columns and the columns that `Counts` needs.

        The order is the same for every run on the same Delta version.
        """
        extra = [c for c in ("language", "characters", "snapshot") if c in self.table.column_names]
        names = list(dict.fromkeys([*self.columns(config), *extra]))
        where = (self.layout.configs_by, config) if self.layout.configs_by else None
        for partition in self._each_partition():
            yield from self.reader.within(partition).batches(names, where=where)


def _count(shards: Sequence[Shard], config: str) -> int:
    return sum(shard.config == config for shard in shards)


def name_shards(work: Path, shards: Sequence[Shard]) -> list[str]:
    """Rename every shard to the final name, which has the number of shards; returns the final names.

    Shards that have their final name already are left alone, so this can be repeated after a kill.
    """
    names = []
    for shard in shards:
        name = shard.path(_count(shards, shard.config))
        if not (work / name).exists():
            os.replace(work / shard.path(), work / name)
        names.append(name)
    return names
