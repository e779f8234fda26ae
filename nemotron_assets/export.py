"""Writes a published table as a Hugging Face dataset that `datasets.load_dataset(DIR, CONFIG)` reads.

    README.md                                     dataset card: configs, counts, languages, licence, provenance
    LICENSE.md                                    the licence's text, if the recipe has one
    export.json                                   the same facts for programs, and every file with its size
    data/<config>/train-00000-of-0000N.parquet    the published columns, nothing else; no folder for a config
                                                  without rows, which `datasets` could not load

Which columns and configs is the table's own declaration (`Published`). Everything is written into `DIR.partial` beside
the target, shard by shard, each noted in a journal when it is complete; a run that is killed goes on after the last
complete shard. When all is there the folder gets its name in one step: a reader never sees half a dataset.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.recipe import Recipe
from nemotron_assets.table import Published, Table, all_tables, content_hash

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.lakehouse import Lakehouse

FORMAT = 2  # of export.json and the journal
CHARACTERS_PER_TOKEN = 4  # the usual estimate for English
_CONFIG_NAME = re.compile(r"\w[\w.+-]{0,99}")
_FACTS, _JOURNAL = "export.json", "journal.jsonl"


class ExportError(RuntimeError):
    """A table that cannot be exported as asked; the message says what to do."""


@dataclass
class Counts:
    """What was written: of a shard, a config, or everything. `bytes` are those of the columns in memory."""

    rows: int = 0
    characters: int = 0
    bytes: int = 0
    file_bytes: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    snapshots: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> int:
        """Estimated from the characters."""
        return self.characters // CHARACTERS_PER_TOKEN

    def add(self, other: Counts) -> None:
        for name in ("rows", "characters", "bytes", "file_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.languages.update(other.languages)
        self.snapshots.update(other.snapshots)

    @classmethod
    def total(cls, parts: Sequence[Counts]) -> Counts:
        total = cls()
        for part in parts:
            total.add(part)
        return total

    def as_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("rows", "characters", "bytes", "file_bytes")}
        return {**numbers, "languages": dict(self.languages), "snapshots": dict(self.snapshots)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Counts:
        return cls(**{**data, "languages": Counter(data["languages"]), "snapshots": Counter(data["snapshots"])})


@dataclass(frozen=True)
class Shard:
    """One Parquet file: `number` counts within its config."""

    config: str
    number: int
    counts: Counts

    def path(self, of: int | None = None) -> str:
        """Below the export's folder; without `of`, while the number of shards is not known yet."""
        end = "" if of is None else f"-of-{of:05d}"
        return f"data/{self.config}/train-{self.number:05d}{end}.parquet"


@dataclass(frozen=True)
class Exported:
    """What an export holds. `written` is False when it was there already."""

    directory: Path
    configs: dict[str, Counts]
    written: bool
    moved_aside: Path | None = None


def exportable() -> dict[str, Table]:
    """The tables that declare how they are published, by full name."""
    return {name: table for name, table in all_tables().items() if table.published}


def find(name: str) -> Table:
    """A published table by name, as web.nemotron_cc_v2 or web/nemotron_cc_v2."""
    from nemotron_assets.overview import find as find_table

    table = find_table(name)
    if not table.published:
        raise ExportError(f"{table.full_name} is not published as a dataset; these are: {', '.join(exportable())}")
    return table


def export(
    lake: Lakehouse,
    table: Table,
    directory: Path,
    recipe: Recipe,
    *,
    partitions: Sequence[str] = (),
    force: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Write `table`, or some partitions of it, as it stands now, into `directory`.

    An export of ours is replaced when the table has changed. Raises `ExportError` for a directory with other files in
    it unless `force`; then that directory is moved aside, never deleted.
    """
    directory = Path(os.path.abspath(directory))
    from nemotron_assets.card import facts, licence_text, render

    licence = licence_text(recipe.release)
    job = _Job(lake, table, recipe, partitions, licence)
    there = _look(directory)
    if there is not None and not force:
        if there == "foreign":
            raise ExportError(
                f"{directory} holds files that no export wrote: name another folder, or --force to move it aside"
            )
        if there == job.identity:
            old = json.loads((directory / _FACTS).read_text("utf-8"))
            configs = {name: Counts.from_json(counts) for name, counts in old["configs"].items()}
            return Exported(directory, configs, written=False)
    work = directory.with_name(f"{directory.name}.partial")
    with _locked(work):
        shards = job.write(work, progress)
        if not shards:
            raise ExportError(f"{table.full_name} has no rows to export")
        configs = {name: Counts.total([s.counts for s in shards if s.config == name]) for name in job.configs}
        described = facts(job.reader, job.partitions, recipe)
        _write(work / "README.md", render(table, configs, described, recipe.release, bool(licence)))
        if licence:
            _write(work / "LICENSE.md", licence)
        files = _name_shards(work, shards)
        files += ["README.md", *(["LICENSE.md"] if licence else [])]
        _write(work / _FACTS, _as_json(job, configs, described, {f: (work / f).stat().st_size for f in files}))
        (work / _JOURNAL).unlink(missing_ok=True)
        moved = _put_in_place(work, directory)
    return Exported(directory, configs, written=True, moved_aside=moved)


class _Job:
    """One export: what it reads, and which configs it has. `identity` names everything that is in the files."""

    def __init__(self, lake: Lakehouse, table: Table, recipe: Recipe, partitions: Sequence[str], licence: str) -> None:
        self.table, self.recipe, self.layout = table, recipe, _layout(table)
        self.reader = lake.read(table)
        if not self.reader.exists:
            asset = table.asset_key.to_user_string()
            raise ExportError(f"{table.full_name} has not been written yet: `nemotron run +{asset}` makes it")
        self.partitions = self._partitions(partitions)
        self.configs = self._configs()
        every = self.partitions if self.partitions is not None else [None]
        self.identity = {
            "format": FORMAT,
            "table": table.full_name,
            "content": {partition or "": self.reader.within(partition).content() for partition in every},
            "columns": {config: list(self.columns(config)) for config in self.configs},
            **({"structs": {k: list(v) for k, v in self.layout.structs.items()}} if self.layout.structs else {}),
            "release": recipe.release.model_dump(mode="json", exclude={"subsets", "memory_mb"}),
            "licence": content_hash(licence),
        }
        #: What shards of an interrupted export can be continued: compaction puts the rows into another order.
        self.resumable = {**self.identity, "version": self.reader.version, "rows": recipe.storage.row_group_rows}

    def columns(self, config: str) -> tuple[str, ...]:
        return (*self.layout.columns, *self.layout.more.get(config, ()))

    def _partitions(self, wanted: Sequence[str]) -> list[str] | None:
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

    def _configs(self) -> list[str]:
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
        """All shards: those the journal names, if it is this job's, and the rest."""
        done = self._journalled(work)
        if done is None:
            for entry in work.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            _write(work / _JOURNAL, json.dumps(self.resumable) + "\n")
            done = []
        if done:
            progress(f"going on after {len(done)} shards, {sum(s.counts.rows for s in done):,} rows")
        known = {s.path() for s in done} | {s.path(_count(done, s.config)) for s in done}
        for file in sorted(work.glob("data/*/*")):
            if str(file.relative_to(work)) not in known:
                file.unlink()  # not complete
        shards = []
        for config in self.configs:
            mine = [shard for shard in done if shard.config == config]
            shards += mine
            for shard in self._write_config(work, config, mine):
                with (work / _JOURNAL).open("a") as journal:
                    line = {"config": config, "number": shard.number, "counts": shard.counts.as_json()}
                    journal.write(json.dumps(line) + "\n")
                    journal.flush()
                    os.fsync(journal.fileno())
                shards.append(shard)
                c = shard.counts
                progress(f"{config}: shard {shard.number}, {c.rows:,} rows, {c.file_bytes / 1e6:,.1f} MB")
        return shards

    def _journalled(self, work: Path) -> list[Shard] | None:
        """The complete shards of an earlier run of the same export; None if there was no such run."""
        try:
            first, *lines = (work / _JOURNAL).read_text("utf-8").splitlines()
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
                break  # the torn last line of a killed run
            shards.append(shard)
        for shard in shards:
            names = (shard.path(), shard.path(_count(shards, shard.config)))
            sizes = [(work / name).stat().st_size for name in names if (work / name).exists()]
            if sizes != [shard.counts.file_bytes]:
                return None
        return shards

    def _write_config(self, work: Path, config: str, done: list[Shard]) -> Iterator[Shard]:
        schema = _plain_schema(self.table, self.columns(config))
        structs = self.layout.structs
        skip = sum(shard.counts.rows for shard in done)
        writer = _ShardWriter(work, config, len(done), schema, self.recipe, structs)
        for batch in self._batches(config):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            yield from writer.add(batch.slice(skip))
            skip = 0
        yield from writer.close()

    def _batches(self, config: str) -> Iterator[pa.RecordBatch]:
        """The rows of a config with the published columns and those that are counted, in an order that stays."""
        extra = [c for c in ("language", "characters", "snapshot") if c in self.table.column_names]
        names = list(dict.fromkeys([*self.columns(config), *extra]))
        where = (self.layout.configs_by, config) if self.layout.configs_by else None
        for partition in self.partitions if self.partitions is not None else [None]:
            yield from self.reader.within(partition).batches(names, where=where)


class _ShardWriter:
    """Cuts a stream of batches into Parquet files of at most the recipe's `shard_mb`.

    A row group is closed by rows or bytes in memory. A file is closed before a group that might not fit: what is
    compressed is smaller, so only a single row larger than a file makes one that is too large.
    """

    def __init__(
        self, work: Path, config: str, number: int, schema: pa.Schema, recipe: Recipe,
        structs: Mapping[str, Sequence[str]],
    ) -> None:  # fmt: skip
        self.work, self.config, self.number, self.structs = work, config, number, structs
        self.columns, self.schema = schema, _nested_schema(schema, structs)
        release, storage = recipe.release, recipe.storage
        self.shard_bytes, self.level = release.shard_mb << 20, release.compression_level
        self.group_bytes = min(release.row_group_mb << 20, self.shard_bytes // 4)
        self.group_rows, self.free_mb = storage.row_group_rows, storage.free_disk_mb
        self.waiting: list[pa.RecordBatch] = []
        self.waiting_rows = self.waiting_bytes = 0
        self.counts = Counts()
        self.stream = self.writer = None

    def add(self, batch: pa.RecordBatch) -> Iterator[Shard]:
        step = min(self.group_rows, max(1, self.group_bytes * batch.num_rows // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            rows, size = self.waiting_rows + piece.num_rows, self.waiting_bytes + piece.nbytes
            if self.waiting and (rows > self.group_rows or size > self.group_bytes):
                yield from self._flush()
            self.waiting.append(piece)
            self.waiting_rows += piece.num_rows
            self.waiting_bytes += piece.nbytes

    def close(self) -> Iterator[Shard]:
        """The last shard."""
        if self.waiting:
            yield from self._flush()
        if self.writer is not None:
            yield self._finish()

    def _flush(self) -> Iterator[Shard]:
        import pyarrow as pa

        group = pa.Table.from_batches(self.waiting)
        size, self.waiting, self.waiting_rows, self.waiting_bytes = self.waiting_bytes, [], 0, 0
        if self.writer is not None and self.stream.tell() + size > self.shard_bytes:
            yield self._finish()
        if self.writer is None:
            self._open()
        published = _nested(group.select(self.columns.names).cast(self.columns), self.schema, self.structs)
        with _full_disk(self.work):
            self.writer.write_table(published, row_group_size=group.num_rows)
        self.counts.add(_counted(group, published.nbytes))

    @property
    def _path(self) -> Path:
        return self.work / Shard(self.config, self.number, self.counts).path()

    def _open(self) -> None:
        import pyarrow.parquet as pq

        free = shutil.disk_usage(self.work).free >> 20
        if free < self.free_mb:
            raise ExportError(
                f"{self.work} has {free} MB of free disk, and {self.free_mb} MB must stay free (storage.free_disk_mb). "
                "What is complete is kept: make room and run the same command again."
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = self._path.with_suffix(".tmp").open("wb")
        self.writer = pq.ParquetWriter(
            self.stream, self.schema, compression="zstd", compression_level=self.level,
            use_dictionary=[name for name in self.columns.names if name not in ("id", "text")],
            write_statistics=[name for name in self.columns.names if name != "text"],
        )  # fmt: skip

    def _finish(self) -> Shard:
        with _full_disk(self.work):
            self.writer.close()
            self.stream.flush()
            os.fsync(self.stream.fileno())
        self.counts.file_bytes = self.stream.tell()
        self.stream.close()
        os.replace(self._path.with_suffix(".tmp"), self._path)
        shard = Shard(self.config, self.number, self.counts)
        self.number, self.counts, self.stream, self.writer = self.number + 1, Counts(), None, None
        return shard


def _layout(table: Table) -> Published:
    if table.published is None:
        raise ExportError(f"{table.full_name} is not published as a dataset; these are: {', '.join(exportable())}")
    return table.published


def _plain_schema(table: Table, columns: Sequence[str]) -> pa.Schema:
    """The published columns with the short offsets every reader knows: a row group is far below their 2 GB."""
    import pyarrow as pa
    import pyarrow.types as t

    def plain(kind: pa.DataType) -> pa.DataType:
        if t.is_large_list(kind):
            return pa.list_(plain(kind.value_type))
        return pa.string() if t.is_large_string(kind) else pa.binary() if t.is_large_binary(kind) else kind

    declared = table.arrow_schema()
    return pa.schema([pa.field(name, plain(declared.field(name).type)) for name in columns])


def _nested_schema(columns: pa.Schema, structs: Mapping[str, Sequence[str]]) -> pa.Schema:
    """The schema with the columns of every struct as its fields, where the first of them stood."""
    import pyarrow as pa

    owner = {name: struct for struct, names in structs.items() for name in names}
    fields: dict[str, pa.Field] = {}
    for column in columns:
        struct = owner.get(column.name)
        if struct is None:
            fields[column.name] = column
        else:
            inside = [columns.field(name) for name in structs[struct] if name in columns.names]
            fields[struct] = pa.field(struct, pa.struct(inside))
    return pa.schema(fields.values())


def _nested(rows: pa.Table, schema: pa.Schema, structs: Mapping[str, Sequence[str]]) -> pa.Table:
    import pyarrow as pa

    def column(field: pa.Field) -> Any:
        if field.name not in structs:
            return rows[field.name]
        inside = [rows[part.name].combine_chunks() for part in field.type]
        return pa.StructArray.from_arrays(inside, fields=list(field.type))

    return pa.table([column(field) for field in schema], schema=schema) if structs else rows


def _counted(group: pa.Table, size: int) -> Counts:
    import pyarrow.compute as pc

    counts = Counts(rows=group.num_rows, bytes=size)
    if "characters" in group.schema.names:
        counts.characters = pc.sum(group["characters"]).as_py() or 0
    elif "text" in group.schema.names:
        counts.characters = pc.sum(pc.utf8_length(group["text"])).as_py() or 0
    for name, counter in (("language", counts.languages), ("snapshot", counts.snapshots)):
        if name in group.schema.names:
            counter.update({v["values"]: v["counts"] for v in pc.value_counts(group[name]).to_pylist()})
    return counts


def _count(shards: Sequence[Shard], config: str) -> int:
    return sum(shard.config == config for shard in shards)


def _name_shards(work: Path, shards: Sequence[Shard]) -> list[str]:
    """Give every shard the name that says how many there are; the files' names. May be called again after a kill."""
    names = []
    for shard in shards:
        name = shard.path(_count(shards, shard.config))
        if not (work / name).exists():
            os.replace(work / shard.path(), work / name)
        names.append(name)
    return names


def _look(directory: Path) -> dict[str, Any] | str | None:
    """What a target folder holds: nothing (None), "foreign" files, or an export, by its identity."""
    if not directory.exists():
        return None
    if not directory.is_dir():
        return "foreign"
    present = {str(file.relative_to(directory)): file for file in directory.rglob("*") if not file.is_dir()}
    if not present:
        return None
    try:
        stored = json.loads((directory / _FACTS).read_text("utf-8"))
        listed = {**stored["files"], _FACTS: None}
        if present.keys() - listed.keys():
            return "foreign"  # something was put beside our files
        whole = all(name in present and size in (None, present[name].stat().st_size) for name, size in listed.items())
        return stored["identity"] if whole else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "foreign"


def _put_in_place(work: Path, directory: Path) -> Path | None:
    """Give the finished folder its name. What was there is deleted if an export wrote it, else moved aside."""
    moved, old = None, None
    if directory.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        old = directory.with_name(f"{directory.name}.replaced-{stamp}")
        if _look(directory) == "foreign":
            moved = old
        os.replace(directory, old)
    os.replace(work, directory)
    if old is not None and moved is None:
        shutil.rmtree(old)
    return moved


@contextlib.contextmanager
def _locked(work: Path) -> Iterator[None]:
    """One export at a time per target. The lock is on the folder itself, so it leaves no file and ends with us."""
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(f"another export is writing {work}: wait for it, or name another folder") from None
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _full_disk(work: Path) -> Iterator[None]:
    import errno

    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ExportError(
            f"the disk of {work} is full. What is complete is kept: make room and run the same command again."
        ) from error


def _write(path: Path, text: str) -> None:
    """A small file, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _as_json(job: _Job, configs: dict[str, Counts], described: dict[str, Any], files: dict[str, int]) -> str:
    content = {
        "identity": job.identity,
        "configs": {name: counts.as_json() for name, counts in configs.items()},
        "provenance": described,
        "files": files,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def export_command(name: str, directory: Path, partitions: Sequence[str], force: bool) -> None:
    """What `nemotron export` does."""
    from nemotron_assets.definitions import lake
    from nemotron_assets.query import print_table
    from nemotron_assets.recipe import current_recipe

    table, started = find(name), time.perf_counter()
    done = export(lake, table, directory, current_recipe(), partitions=partitions, force=force, progress=print)
    print_table(
        ("config", "rows", "tokens (estimated)", "MB", "languages"),
        [(c, n.rows, n.tokens, round(n.file_bytes / 1e6, 1), len(n.languages)) for c, n in done.configs.items()],
    )
    if done.moved_aside:
        print(f"what was in {directory} is now in {done.moved_aside}")
    seconds = time.perf_counter() - started
    print(f"{done.directory}: {f'written in {seconds:.1f} s' if done.written else 'up to date, nothing to do'}")
