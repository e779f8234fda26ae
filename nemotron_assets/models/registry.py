"""The registry of model versions: finds the version that an asset wants, makes it if it is missing, stores one row.

The id of a model follows from everything that decides its weights, so a version that the lake holds is never made
again. The version in use is the one with the newest `at`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from nemotron_assets.table.scratch import scratch_folder

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Lakehouse, Reader

#: The folder of the checkpoints of unfinished trainings in the object store of a lake, relative to its root.
CHECKPOINTS = "models/checkpoints"


class ModelError(RuntimeError):
    """A model is not in the lake. The message names the asset that makes it."""


@dataclass(frozen=True)
class Parent:
    """A model that another model is made from: the full name of its table ("models.base"), and its id."""

    table: str
    id: str


@dataclass(frozen=True)
class Identity:
    """What decides a model: its `name`, and an `id` that differs for different weights.

    `id` is None when only the finished files tell which model it is, as for a download; `Made.id` then gives the id.
    `inputs` are the table versions that the model is made from ("web.annotations@2"), `parents` are the models.
    """

    name: str
    id: str | None
    recipe_hash: str = ""
    inputs: tuple[str, ...] = ()
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True)
class Made:
    """A model that was just made: the folder of its files, and the values of the columns that only its table has.

    For an `Identity` without id, `id` is a function that gets the sha256 over the files and returns the id. `name`
    replaces the name of the identity.
    """

    folder: Path
    columns: Mapping[str, Any] = field(default_factory=dict)
    id: Callable[[str], str] | None = None
    name: str | None = None


def newest(models: Reader, name: str | None = None, column: str = "name") -> dict[str, Any]:
    """The version in use: of the models whose `column` has this name, or of all models of the table. Raises
    `ModelError` when the table has no such model."""
    import polars as pl

    rows = models.scan() if name is None else models.scan().filter(pl.col(column) == name)
    found = rows.sort("at").tail(1).collect()
    if found.is_empty():
        wanted = f"model {name!r}" if name else "model"
        raise ModelError(f"{models.table.full_name} has no {wanted} yet: materialise {_asset(models.table)} first")
    return found.row(0, named=True)


def newest_of_each_name(models: Reader) -> list[dict[str, Any]]:
    """The version in use of every model name in a table, sorted by name; empty if there is no model."""
    latest = {row["name"]: row for row in models.scan().sort("at").collect().iter_rows(named=True)}
    return [latest[name] for name in sorted(latest)]


def by_id(models: Reader, id_: str) -> dict[str, Any]:
    """The version with this id. Raises `ModelError` if the table does not have it."""
    rows = _rows_by_id(models)
    if id_ not in rows:
        raise ModelError(f"{models.table.full_name} has no version {id_}: materialise {_asset(models.table)} first")
    return rows[id_]


class Registry:
    """The model versions of one table, for an asset that makes them.

    The asset calls `want` for every model that it needs, and returns `parts()` to the lake. `side_by_side` says that
    models of all names in the table are in use together, also those that the asset does not want.
    """

    def __init__(
        self,
        lake: Lakehouse,
        table: Table,
        run_id: str,
        log: Callable[[str], None] = lambda line: None,
        side_by_side: bool = False,
    ):
        self._lake, self._table, self._run_id, self._log = lake, table, run_id, log
        self._side_by_side = side_by_side
        self._stored = _rows_by_id(lake.read(table))
        self._wanted: dict[str, dict[str, Any]] = {}

    @property
    def table(self) -> Table:
        """The table of the models."""
        return self._table

    def __contains__(self, id_: object) -> bool:
        """Whether the lake holds the version with this id, or this run has made it."""
        return id_ in self._stored or id_ in self._wanted

    def want(self, identity: Identity, make: Callable[[Path], Made]) -> dict[str, Any]:
        """The row of a model that the asset needs now.

        If the lake does not hold the model, `make` is called with an empty folder to work in, and the files that it
        made are put into the lake. `make` is always called when the identity has no id.
        """
        if identity.id in self:
            return self._found(identity.id)
        with scratch_folder("nemotron-model-") as scratch:
            (work := scratch / "work").mkdir()
            made = make(work)
            uri, sha256 = self._lake.put_weights(made.folder, self._table.name)
        id_, name = identity.id or made.id(sha256), made.name or identity.name
        if id_ in self:
            return self._found(id_)
        self._wanted[id_] = {
            "id": id_,
            "name": name,
            "version": _next_version(name, [*self._stored.values(), *self._wanted.values()]),
            "uri": uri,
            "sha256": sha256,
            **made.columns,
            "parents": [parent.id for parent in identity.parents],
            "sources": [parent.table for parent in identity.parents],
            "recipe_hash": identity.recipe_hash,
            "input_versions": list(identity.inputs),
            "run_id": self._run_id,
            "at": datetime.now(UTC),
        }
        return self._wanted[id_]

    def parts(self, metadata: Callable[[], Mapping[str, Any]] = dict) -> Parts:
        """The rows to write, one part per model: the new models, and the wanted models that are not in use now.

        No other row is written, so a model that another run stores meanwhile stays in the table.
        """
        new = [row for id_, row in self._wanted.items() if id_ not in self._stored]
        replaced = [row for id_, row in self._wanted.items() if id_ in self._stored and self._is_replaced(row)]
        for row in replaced:
            self._log(f"{row['name']} {row['version']} is in use again: id {row['id']}")
        changed = [*new, *(row | {"at": datetime.now(UTC)} for row in replaced)]
        return Parts([self._part(row) for row in changed], metadata=metadata, complete=False)

    def _found(self, id_: str) -> dict[str, Any]:
        row = self._wanted[id_] = self._wanted.get(id_) or self._stored[id_]
        self._log(f"{row['name']} {row['version']} is in the lake already: id {id_}")
        return row

    def _is_replaced(self, row: dict[str, Any]) -> bool:
        """Whether a newer model is in use instead of this one: another version of its name, or a model with a name that
        this run does not want (another generator, for example)."""
        names = {wanted["name"] for wanted in self._wanted.values()}
        return any(
            other["at"] > row["at"]
            and (other["name"] == row["name"] or not (self._side_by_side or other["name"] in names))
            for id_, other in self._stored.items()
            if id_ not in self._wanted
        )

    def _part(self, row: dict[str, Any]) -> Part:
        return Part(row["id"], f"{row['id']}@{row['at'].isoformat()}", lambda: self._frame(row))

    def _frame(self, row: dict[str, Any]) -> pl.DataFrame:
        """The row as it is stored. Another run may have stored the model, or a version with its number, meanwhile."""
        import polars as pl

        stored = _rows_by_id(self._lake.read(self._table))
        same = stored.get(row["id"])
        version = same["version"] if same else _next_version(row["name"], stored.values())
        return pl.DataFrame([row | {"version": version}], schema=self._table.empty().schema)


def _rows_by_id(models: Reader) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in models.scan().collect().iter_rows(named=True)}


def _next_version(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    return str(1 + max((int(row["version"]) for row in rows if row["name"] == name), default=0))


def _asset(table: Table) -> str:
    return f"{table.schema}/{table.name}"
