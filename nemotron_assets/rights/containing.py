"""What stays and contains removed rows: models, scores and exports, with the share of their inputs that is removed.

A model names the versions of the tables that it was made from. Rows of an older version have other ids if they were
made in another way. So they are found as the plan was, from the names of what is forgotten, in all files on the disk.

Memory: the ids of the removed rows, of all versions.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.code.sources.tables import REPOSITORIES
from nemotron_assets.lineage.links import links
from nemotron_assets.rights.exports import recorded
from nemotron_assets.rights.plan import Plan, batches, by_child, made_from, named, rows_where, token_column
from nemotron_assets.rights.tombstones import Tombstones
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

_ROWS = 65_536


@dataclass(frozen=True)
class Contained:
    """A model, an export, or the scores of a table, made from removed rows: `rows` of the input `made_from`, and their
    `share` of its tokens (of its rows, if it counts no tokens). Both are None if only a model it was made from contains
    them, or if the version of the input is gone: then it may have had some."""

    table: str
    id: str
    name: str
    made_from: str
    rows: int | None
    share: float | None


def contained(lake: Lakehouse, found: Plan, forgotten: Tombstones) -> Iterator[Contained]:
    """The models, scores and exports that were made from removed rows, and the models that were made from such models.
    `forgotten` are the tombstones of the removal: rows of older versions are known by them, too."""
    inside: set[str] = set()
    models: list[tuple[str, dict[str, Any]]] = []
    shares = _Shares(lake, found, forgotten)
    for name, table in all_tables().items():
        if not {"id", "input_versions"} <= set(table.column_names):
            continue
        wanted = ["id", "input_versions", *(["name", "parents"] if table.is_model else [])]
        others: Counter[str] = Counter()  # rows that are not models, by the version they were made from
        for row in (row for batch in lake.read(table).batches(wanted) for row in batch.to_pylist()):
            for version in row["input_versions"] or ():
                if shares.holds(version):
                    inside.add(row["id"])
                    if not table.is_model:
                        others[version] += 1
                        continue
                    yield Contained(name, row["id"], row["name"], version, *shares.of(version))
            if table.is_model and row["id"] not in inside:
                models.append((name, row))
        for version, number in others.items():
            yield Contained(name, "", counted(number, "row"), version, *shares.of(version))
    searched = -1
    while len(inside) > searched:  # a table of models has its rows in any order, also parents behind their children
        searched = len(inside)
        for name, row in models:
            if row["id"] not in inside and (above := inside & set(row["parents"] or ())):
                inside.add(row["id"])
                yield Contained(name, row["id"], row["name"], f"model {min(above)}", None, None)
    for export in recorded():
        if export.model in inside:
            yield Contained("export", "", export.folder, f"model {export.model}", None, None)
        elif export.version and shares.holds(export.version):
            yield Contained("export", "", export.folder, export.version, *shares.of(export.version))


class _Shares:
    """The removed rows of table versions, such as "blend.token_shards@12", and their share of the tokens or rows.

    Rows of older versions have other ids if they were made in another way. So they are found as the plan was, from the
    names of what is forgotten, in all data files that are still on the disk.
    """

    def __init__(self, lake: Lakehouse, found: Plan, forgotten: Tombstones) -> None:
        self._lake, self._found, self._forgotten = lake, found, forgotten
        self._known: dict[str, tuple[int | None, float | None]] = {}

    def holds(self, version: str) -> bool:
        """Whether a version had removed rows, or may have had some because its files are gone."""
        return self.of(version)[0] != 0

    def of(self, version: str) -> tuple[int | None, float | None]:
        """(removed rows, their share of the tokens or rows) of a version; (None, None) if its files are gone."""
        if version not in self._known:
            self._known[version] = self._count(version)
        return self._known[version]

    def _count(self, version: str) -> tuple[int | None, float | None]:
        name, _, number = version.partition("@")
        table = all_tables().get(name)
        if table is None or not number.isdigit() or name not in self._reached:
            return 0, 0.0
        reader = self._lake.read(table).at(int(number))
        if reader is None:
            return None, None
        newest = self._found.found[name].rows if name in self._found.found else {}
        rows = newest if self._lake.read(table).version == int(number) else self._ever.get(name, ())
        tokens, gone, all_ = token_column(table), 0, [0, 0]
        for batch in reader.batches(["id", *([tokens] if tokens else [])], _ROWS, keep_memory=True):
            counts = batch.column(tokens).to_pylist() if tokens else [1] * batch.num_rows
            for id_, count in zip(batch.column("id").to_pylist(), counts, strict=True):
                all_[id_ in rows] += count or 0
                gone += id_ in rows
        return gone, all_[1] / max(1, sum(all_))

    @functools.cached_property
    def _reached(self) -> set[str]:
        """The tables with removed rows, and all tables that are made from them; if no row is removed, what is made from
        pages and repositories."""
        reached, searched = set(self._found.found) or {PAGES.full_name, REPOSITORIES.full_name}, -1
        while len(reached) > searched:
            searched = len(reached)
            reached |= {link.child.full_name for link in links(all_tables().values()) if reached & {*link.parents}}
        return reached

    @functools.cached_property
    def _ever(self) -> dict[str, set[str]]:
        """The ids of removed rows by table, in all data files on the disk."""
        known, searched = self._found.ids, -1
        ever = {name: set(of.rows) for name, of in self._found.found.items()}
        for table in all_tables().values():
            for batch, gone in named(self._lake, table, self._forgotten, everything=True):
                ever.setdefault(table.full_name, set()).update(rows_where(batch, gone, None)[0])
        known |= set().union(*ever.values())
        while len(known) > searched:
            searched = len(known)
            for name, columns in by_child().items():
                for batch in batches(self._lake, all_tables()[name], ("id", *columns), everything=True):
                    ids = rows_where(batch, made_from(batch, columns, known), None)[0]
                    ever.setdefault(name, set()).update(ids)
                    known.update(ids)
        return ever
