"""The registry of model versions: find the version that is wanted, make it if it is missing, store one row.

A model's id follows from everything that decides its weights. A version that the lake holds is never made again: it
becomes the newest of its name, and the newest version is the one in use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader


class ModelError(RuntimeError):
    """A model that is not in the lake; the message says which asset makes it."""


@dataclass(frozen=True)
class Parent:
    """A model that another one is made from: the table it stands in, and its id."""

    table: str
    id: str


@dataclass(frozen=True)
class Identity:
    """What decides a model: its `name`, and an `id` that differs for different weights.

    `id` is None when only the finished files tell which model it is (a download); `Made.id` gives it then.
    `inputs` are table versions ("web.annotations@2"), `parents` the models it is made from.
    """

    name: str
    id: str | None
    recipe_hash: str = ""
    inputs: tuple[str, ...] = ()
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True)
class Made:
    """A model that was just made: the folder of its files, and the values of the columns that only this kind has."""

    folder: Path
    columns: Mapping[str, Any] = field(default_factory=dict)
    #: Id and name where only the files tell them; `id` gets the sha256 over the files.
    id: Callable[[str], str] | None = None
    name: str | None = None


def newest(models: Reader, name: str | None = None) -> dict[str, Any]:
    """The version in use, of the models with this name or of all. Raises `ModelError` if there is none."""
    return _newest(_rows(models), models.table, name)


def newest_of_each_name(models: Reader) -> list[dict[str, Any]]:
    """The version in use of every name in a table, by name; empty if there is none."""
    latest = {row["name"]: row for row in _rows(models).sort("at").iter_rows(named=True)}
    return [latest[name] for name in sorted(latest)]


def by_id(models: Reader, id_: str) -> dict[str, Any]:
    """The version with this id. Raises `ModelError` if the table does not have it."""
    import polars as pl

    found = _rows(models).filter(pl.col("id") == id_)
    if found.is_empty():
        raise ModelError(f"{models.table.full_name} has no version {id_}: materialise {_asset(models.table)} first")
    return found.row(0, named=True)


class Registry:
    """The versions of one table of models while an asset asks for the ones it wants. `parts` is what to write."""

    def __init__(self, lake: Lakehouse, table: Table, run_id: str, log: Callable[[str], None] = lambda line: None):
        self._lake, self._table, self._run_id, self._log = lake, table, run_id, log
        self._frame = _rows(lake.read(table))
        self._stored = set(self._frame["id"])
        self._changed: dict[str, dict[str, Any]] = {}

    @property
    def table(self) -> Table:
        return self._table

    def __contains__(self, id_: object) -> bool:
        return id_ in self._stored

    @property
    def ids(self) -> set[str]:
        """The ids of all versions that are stored."""
        return set(self._stored)

    def newest(self, name: str | None = None) -> dict[str, Any]:
        """The version in use, with what was asked for since. Raises `ModelError` if there is none."""
        return _newest(self._frame, self._table, name)

    def want(self, identity: Identity, make: Callable[[Path], Made]) -> dict[str, Any]:
        """The row of the wanted model, which becomes the newest of its name.

        A model that is missing is made by `make`, which gets an empty folder of its own to work in; its files are put
        into the lake. `make` is always called when the identity has no id.
        """
        if identity.id in self._stored:
            return self._again(identity.id)
        with tempfile.TemporaryDirectory(prefix="nemotron-model-") as scratch:
            made = make(Path(scratch))
            name = made.name or identity.name
            uri, sha256 = self._lake.put_weights(made.folder, self._table.name)
        id_ = identity.id or made.id(sha256)
        if id_ in self._stored:
            return self._again(id_)
        import polars as pl

        versions = self._frame.filter(pl.col("name") == name).height
        return self._store(
            {
                "id": id_,
                "name": name,
                "version": str(versions + 1),
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
        )

    def parts(self, metadata: Callable[[], Mapping[str, Any]] = dict) -> Parts:
        """The rows to write: one part per model that is new or became the newest again; all others stay."""
        return Parts(self._parts(), kept=self._stored - self._changed.keys(), metadata=metadata)

    def _parts(self) -> Iterator[Part]:
        import polars as pl

        for id_, row in self._changed.items():
            frame = pl.DataFrame([row], schema=self._frame.schema)
            yield Part(id_, f"{id_}@{row['at'].isoformat()}", lambda frame=frame: frame)

    def _again(self, id_: str) -> dict[str, Any]:
        import polars as pl

        row = self._frame.filter(pl.col("id") == id_).row(0, named=True)
        if self.newest(row["name"])["id"] == id_:
            self._log(f"{row['name']} {row['version']} is in the lake already: id {id_}")
            return row
        self._log(f"{row['name']} {row['version']} is in use again: id {id_}")
        return self._store(row | {"at": datetime.now(UTC)})

    def _store(self, row: dict[str, Any]) -> dict[str, Any]:
        import polars as pl

        fresh = pl.DataFrame([row], schema=self._frame.schema)
        self._frame = pl.concat([self._frame.filter(pl.col("id") != row["id"]), fresh])
        self._stored.add(row["id"])
        self._changed[row["id"]] = row
        return row


def _rows(models: Reader):
    return models.scan().collect()


def _newest(rows, table: Table, name: str | None) -> dict[str, Any]:
    import polars as pl

    mine = rows if name is None else rows.filter(pl.col("name") == name)
    if mine.is_empty():
        wanted = f"model {name!r}" if name else "model"
        raise ModelError(f"{table.full_name} has no {wanted} yet: materialise {_asset(table)} first")
    return mine.sort("at").row(-1, named=True)


def _asset(table: Table) -> str:
    return f"{table.schema}/{table.name}"
