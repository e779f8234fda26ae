"""The lake itself: finds and creates tables, checks stored schemas, makes small commits, and stores weights."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Column, Table
from resources.contract import LakeError, OutOfDate, checked
from resources.delta_log import DeltaLog, hash_notes
from resources.files import replaced
from resources.home import cache_dir
from resources.lakehouse import commits
from resources.lakehouse.branch import check_writable, root_of, roots
from resources.lakehouse.changes import Change
from resources.lakehouse.errors import check_log, explaining
from resources.lakehouse.reader import Reader
from resources.lakehouse.stored import Where, values
from resources.lakehouse.writer import Writer, WriteResult
from resources.places import make_readable
from resources.store import delta_at, steadily, store_at

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

#: The folder of all weights, relative to the root of the lake.
_WEIGHTS = "models/weights/"

#: The file at the root of the lake that holds its identity.
_IDENTITY = "_identity"


@dataclass(eq=False)
class Lake:
    """Delta tables under `root`, for processes without Dagster; with it the lake is a `Lakehouse`, which explains the
    settings."""

    root: str
    storage_options: dict[str, str] = field(default_factory=dict)
    row_group_rows: int = 65_536
    row_group_mb: int = 128
    compression_level: int = 3
    free_disk_mb: int = 512

    # -- where things are ---------------------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    def path(self, table: Table) -> str:
        """Path or URL of the table's folder."""
        return f"{root_of(self.root.rstrip('/'), table.full_name)}/{table.schema}/{table.name}"

    @property
    def identity(self) -> str:
        """A random name of the lake, stored in it at first use, so that it stays when the lake is moved."""
        store = store_at(self.root)
        try:
            with store.open_input_stream(_IDENTITY) as file:
                if name := file.read().decode():
                    return name
        except FileNotFoundError:
            pass
        if self.is_local:
            with self._locked("identity"):  # only one process makes the file, and none sees half of it
                path = Path(self.root, _IDENTITY)
                if not path.exists() or not path.stat().st_size:  # a loss of power may leave an empty file
                    with replaced(path) as new:
                        new.write_text(uuid.uuid4().hex)
        else:
            with store.open_output_stream(_IDENTITY) as file:
                file.write(uuid.uuid4().hex.encode())
        with store.open_input_stream(_IDENTITY) as file:
            return file.read().decode()

    def open(self, table: Table, check: bool = True) -> DeltaTable | None:
        """The Delta table, or None if it was never written.

        Raises `OutOfDate` when another version of the program wrote the table with an incompatible schema. Migrations
        turn `check` off to open such a table.
        """
        from deltalake.exceptions import TableNotFoundError

        log = DeltaLog(self.path(table))
        head = log.head()
        if self.is_local and head.version < 0 and not os.path.isdir(os.path.join(self.path(table), "_delta_log")):
            return None
        self._make_readable()
        with explaining(self.path(table), table):
            try:
                delta = delta_at(self.path(table), self.storage_options)
            except TableNotFoundError:
                if head.version >= 0:
                    raise LakeError(f"{table.full_name}: {log.damage(head, -1)}") from None
                return None
            check_log(self.path(table), table, delta, head)
        if check:
            self._check_stored_schema(table, delta)
        return delta

    def _make_readable(self) -> None:
        if self.is_local:
            make_readable(self.root, "NEMOTRON_LAKE")

    @staticmethod
    def stored_version(delta: DeltaTable) -> str:
        """The schema version in the properties of a stored table; "1" for a table without this property."""
        return delta.metadata().configuration.get("nemotron.version", "1")

    def _check_stored_schema(self, table: Table, delta: DeltaTable) -> list[Column]:
        """The declared nullable columns that the stored table lacks. Raises `OutOfDate` for any other difference."""
        from deltalake import Schema

        declared = {f.name: f for f in Schema.from_arrow(table.arrow_schema()).fields}
        stored = {f.name: f for f in delta.schema().fields}
        problems = [f"column {n!r} is no longer declared" for n in stored if n not in declared]
        problems += [
            f"column {n!r} is stored as {stored[n].type} and declared as {f.type}"
            for n, f in declared.items()
            if n in stored and stored[n].type != f.type
        ]
        partitions = delta.metadata().partition_columns
        if partitions != [name for name in (table.partition_by,) if name]:
            problems.append(f"it is partitioned by {partitions}, this program partitions it by {table.partition_by!r}")
        missing = [table.column(n) for n in declared if n not in stored]
        problems += [f"column {c.name!r} is not stored and must not be null" for c in missing if not c.nullable]
        written = self.stored_version(delta)
        if written != str(table.version):
            problems.append(f"it has schema version {written}, this program writes version {table.version}")
        if problems:
            raise OutOfDate(
                f"{self.path(table)} was written by another version of the lakehouse: {'; '.join(problems)}. "
                "Run `nemotron maintain --migrate`, which migrates tables where a migration exists. Otherwise run "
                f"`nemotron maintain --set-aside {table.full_name}`, which keeps the old table under another name, and "
                f"then `nemotron run --force {table.schema}/{table.name}`; or use the version of the program "
                "that wrote the lake."
            )
        return missing

    @staticmethod
    def declared(name: str) -> Table | None:
        """The table with this full name ("web.documents"); None if no stage declares it."""
        return all_tables().get(name)

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, table: Table, partition: str | Sequence[str] | None = None) -> Reader:
        """A reader of the whole table, of one partition or of several."""
        return Reader(self, table, [partition] if isinstance(partition, str) else partition and list(partition))

    def damage_behind(
        self, error: BaseException, tables: Iterable[Table], partition: str | None = None
    ) -> LakeError | None:
        """The damaged or missing data file of one of the tables that made reading them fail, and what to do. None if
        the error has another cause."""
        from resources.lakehouse.verify import damage_behind

        return damage_behind(error, lambda: (self.read(t, partition if t.partition_by else None) for t in tables))

    @staticmethod
    def marker(delta: DeltaTable | None, kind: str, partition: str | None, part: str) -> int | None:
        """A mark that the last finished write of a part stored: "made" (its fingerprint) or "data" (its content).
        None without such a mark."""
        return None if delta is None else delta.transaction_version(commits.mark(kind, partition, part))

    # -- writing ------------------------------------------------------------------------------------------------

    def write(
        self,
        table: Table,
        data: Any,
        partition: str | None = None,
        *,
        run_id: str = "",
        code_version: str = "",
        force: bool = False,
        log=lambda message: None,
    ) -> WriteResult:
        """Replace a table or partition by `data`: a frame, a reader, an iterable of frames or batches, `Batches` or
        `Parts`. Rejected rows of the last two go into the quarantine.

        Parts that the lake holds with the same fingerprint and code version are skipped, unless `force` is set. Raises
        `ContractError` when the data does not have the declared columns, and `LakeError` when there is too little free
        disk.
        """
        writer = Writer(self, table, partition, run_id=run_id, code_version=code_version)
        return writer.write(data, force=force, log=log)

    def stored(self, table: Table, partition: str | None, contents: Mapping[str, int]) -> WriteResult:
        """What `write` would return for a table or partition that holds parts with these "data" marks already."""
        return Writer(self, table, partition).stored(contents)

    def append(self, table: Table, data: Any, *, run_id: str = "") -> int:
        """Add rows to a table in one commit, which is tried again after a conflict; returns the Delta version."""
        return self._commit(table, data, run_id)

    def replace(self, table: Table, data: Any, where: Where, *, run_id: str = "") -> int:
        """Replace the rows with the values of `where` by `data`, in one commit, which is tried again after a conflict;
        returns the Delta version. {"snapshot": "S1", "file": ["a", "b"]} are the rows of S1 whose file is a or b."""
        return self._commit(table, data, run_id, where)

    def _commit(self, table: Table, data: Any, run_id: str, where: Where | None = None) -> int:
        from deltalake import Transaction

        batches = list(checked(table, data, None))
        self.create(table)
        for _ in commits.attempts(table):
            with commits.conflicts(), self.lock(table), Change(self, table) as change:
                delta = self.open(table)
                change.write(batches)
                marks = []
                if where:
                    rows = {column: wanted for column, wanted in where.items() if column != table.partition_by}
                    partitions = values(where[table.partition_by]) if table.partition_by in where else None
                    change.remove_rows(delta, partitions, rows)
                    marks = [Transaction("replaced", delta.version())]  # two replacements must not both succeed
                change.commit(delta, commits.properties(run_id, marks=marks))
            if change.is_stored:
                return self.open(table).version()
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def lock(self, table: Table, partition: str | None = None) -> Iterator[None]:
        """Hold the lock file of a partition, or of a table, so that two writers on one machine wait for each other.

        Writers on different machines have no common lock; there Delta refuses the second commit.
        """
        check_writable(self.root, table.full_name)
        if not self.is_local:
            yield
            return
        name = hashlib.sha256((partition or "").encode()).hexdigest()[:16]
        with self._locked(f"{table.full_name}/{name}", root_of(self.root, table.full_name)):
            yield

    def _locked(self, name: str, root: str = "") -> contextlib.AbstractContextManager[Any]:
        """The lock file of this name below the root of a local lake."""
        from filelock import FileLock

        path = Path(root or self.root, "_locks", f"{name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)

    def notes(self, table: Table, delta: DeltaTable | None) -> CommitProperties:
        """The notes of a commit on a version of a table that adds and ends no data files; `record` comes after it."""
        return hash_notes(commits.properties(""), self.path(table), delta and delta.version())

    def record(self, table: Table, built_on: int | None = None) -> None:
        """Remember, beside the log of a table, the newest commit. Called after each commit, with the version that the
        commit builds on; None for a new table."""
        DeltaLog(self.path(table)).record(built_on)

    def create(self, table: Table) -> None:
        """Create the Delta table if it is missing, or add declared nullable columns that it lacks.

        `write_deltalake` with a predicate would create the table too, but without its partition column.
        """
        from deltalake import DeltaTable, Schema

        check_writable(self.root, table.full_name)
        delta = self.open(table)
        if delta is None:
            self._make_readable()
            new = functools.partial(
                DeltaTable.create,
                self.path(table),
                table.arrow_schema(),
                mode="ignore",
                partition_by=table.partition_by,
                name=table.full_name,
                description=table.description,
                configuration={"nemotron.version": str(table.version)},
                raise_if_key_not_exists=False,
                commit_properties=self.notes(table, None),
                storage_options=self.storage_options or None,
            )
            steadily(new, f"creating {table.full_name}")
            self.record(table)
            return
        missing = {c.name for c in self._check_stored_schema(table, delta)}
        if missing:
            fields = [f for f in Schema.from_arrow(table.arrow_schema()).fields if f.name in missing]
            built_on = delta.version()
            delta.alter.add_columns(fields, commit_properties=self.notes(table, delta))
            self.record(table, built_on)

    # -- weights ------------------------------------------------------------------------------------------------

    def put_weights(self, folder: str | Path, name: str) -> tuple[str, str]:
        """Copy a folder of weights into the lake; returns their folder, relative to the root of the lake, and the
        sha256 over the files. Weights that are stored already are not copied again."""
        from resources.weights import put

        uri, digest = put(Path(folder), f"{self.root.rstrip('/')}/{_WEIGHTS}{name}")
        return _WEIGHTS + uri.rpartition(f"/{_WEIGHTS}")[2], digest

    def get_weights(self, uri: str) -> Path:
        """A local folder with the weights stored under `uri`: the lake's own folder if it is local, else a cached
        copy.

        Earlier versions of the program stored the whole path or URL. Its beginning is ignored: the lake may have been
        moved, and a copy of a lake never reads the original.
        """
        from resources.weights import get

        place = self._weights(uri)
        name = place.split("/")[-2]  # of the table that names the weights
        makers = [table for table in all_tables().values() if table.name == name and "uri" in table.column_names]
        return get(place, cache_dir("weights"), f"{makers[0].schema if makers else 'models'}/{name}")

    def weights_damage(self, uri: str) -> Iterator[str]:
        """What differs from the recorded hashes in the weights stored under `uri`, a sentence per file."""
        from resources.weights import damage

        return damage(self._weights(uri))

    def _weights(self, uri: str) -> str:
        """Where weights are: in this lake, or in the lake that it is a branch of."""
        places = [f"{root.rstrip('/')}/{_WEIGHTS}{uri.rpartition(_WEIGHTS)[2]}" for root in roots(self.root)]
        return next((place for place in places[:-1] if os.path.isdir(place)), places[-1])
