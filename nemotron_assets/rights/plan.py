"""What has to go: the rows that hold what was named, and all rows that were made from them, found by the lineage.

Roots are found by their addresses and names, in every table that has such columns. Descendants are found by the links
of lineage/links.py, table by table in the order of the data, until a pass finds nothing new. Models and scores stay:
they are listed with the share of their inputs that is removed.

Memory: the ids of the removed rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron_assets.code.sources.tables import REPOSITORIES
from nemotron_assets.evaluate.report.tables import REPORT
from nemotron_assets.lake.removals.tables import REMOVALS
from nemotron_assets.lake.thresholds.tables import THRESHOLDS
from nemotron_assets.lineage.links import Link, links
from nemotron_assets.math.tables import CANDIDATE_PAGES
from nemotron_assets.rights.targets import MADE_UP, BadTarget, Target
from nemotron_assets.rights.tombstones import PAGE_COLUMNS, Tombstones, address_of, tombstones
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted

if TYPE_CHECKING:
    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

#: Tables whose rows are pages, so that their column content_hash is the hash of a page.
_OF_PAGES = (PAGES, CANDIDATE_PAGES)
_ROWS = 65_536


@dataclass
class Found:
    """Rows of one table: their ids with the tokens of each (0 if the table counts none), and the version searched."""

    version: int
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return sum(self.rows.values())


@dataclass(frozen=True)
class Contained:
    """A model, or the scores of a table, made from removed rows: `rows` of the input `made_from`, and their `share` of
    its tokens (of its rows, if it counts no tokens). Both are None if only a model it was made from contains them, or
    if the version of the input is gone."""

    table: str
    id: str
    name: str
    made_from: str
    rows: int | None
    share: float | None


@dataclass
class Plan:
    """What goes, by the full name of the table. `contents` are (address, content_hash) of pages that a tombstone has to
    know by their content. `returning` counts what was dropped or cut out for removed rows, and comes back."""

    found: dict[str, Found] = field(default_factory=dict)
    contents: set[tuple[str, str]] = field(default_factory=set)
    returning: dict[str, int] = field(default_factory=dict)
    contained: list[Contained] = field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        """The ids of all rows that go."""
        return {id_ for found in self.found.values() for id_ in found.rows}

    @property
    def rows(self) -> int:
        return sum(len(found.rows) for found in self.found.values())


def plan(lake: Lakehouse, targets: Iterable[Target], salt: str) -> Plan:
    """The plan for some targets. Reads, and changes nothing. Raises `BadTarget` for the id of a row that is neither a
    page nor a repository."""
    targets, found = list(targets), Plan()
    _add_roots(lake, Tombstones(tombstones(targets, (), salt=salt)), found)
    _check_ids(lake, targets, found)
    found.contents = set(_contents(lake, found, {t.value for t in targets if t.kind == "id"}))
    if found.contents:  # copies of a page without an address, ingested under another name
        _add_roots(lake, Tombstones(tombstones(targets, found.contents, salt=salt)), found)
    _add_descendants(lake, found)
    _add_reports(lake, Tombstones(tombstones(targets, (), salt=salt)), found)
    found.returning = _returning(lake, found)
    found.contained = list(contained(lake, found))
    return found


def token_column(table: Table) -> str | None:
    """The column with the tokens of a row, None for a table that counts none."""
    counts = (name for name in ("tokens", "length") if name in table.column_names)
    return next((name for name in counts if table.column(name).dtype in ("int32", "int64")), None)


def _add(found: Plan, table: Table, version: int, ids: list[str], tokens: list[int | None]) -> None:
    if ids:
        rows = found.found.setdefault(table.full_name, Found(version)).rows
        rows.update((id_, count or 0) for id_, count in zip(ids, tokens, strict=True))


def _add_roots(lake: Lakehouse, forgotten: Tombstones, found: Plan) -> None:
    """Add the rows that hold the address of a forgotten page, or the name of a forgotten repository."""
    for table in all_tables().values():
        names = set(table.column_names)
        if "id" not in names or table.is_model or not {"url", "repo"} & names:
            continue
        reader = lake.read(table)
        by_page = [name for name in PAGE_COLUMNS if name in names and (name != "content_hash" or table in _OF_PAGES)]
        wanted = by_page if "url" in names else ["id", "repo"]
        tokens = token_column(table)
        for batch in reader.batches([*wanted, *([tokens] if tokens else [])], _ROWS, keep_memory=True):
            if "url" in names:
                gone = [kind is not None for kind in forgotten.kinds(batch)]
            else:
                ids = batch.column("id").to_pylist() if table == REPOSITORIES else [""] * batch.num_rows
                pairs = zip(ids, batch.column("repo").to_pylist(), strict=True)
                gone = [forgotten.repository(id_, repo or "") is not None for id_, repo in pairs]
            _add(found, table, reader.version, *_columns(batch, gone, tokens))


def _columns(batch: Any, gone: list[bool], tokens: str | None) -> tuple[list[str], list[int | None]]:
    import pyarrow as pa

    if not any(gone):
        return [], []
    rows = batch.filter(pa.array(gone, pa.bool_()))
    return rows.column("id").to_pylist(), rows.column(tokens).to_pylist() if tokens else [None] * rows.num_rows


def _check_ids(lake: Lakehouse, targets: Iterable[Target], found: Plan) -> None:
    known = {id_ for table in (PAGES, REPOSITORIES) for id_ in _rows(found, table)}
    for target in targets:
        if target.kind == "id" and target.value not in known:
            raise BadTarget(
                f"{target.value} is not the id of a row of {PAGES.full_name} or {REPOSITORIES.full_name}: "
                f"`nemotron trace {target.value}` shows which page or repository a row was made from; name its id"
            )


def _rows(found: Plan, table: Table) -> dict[str, int]:
    return found.found[table.full_name].rows if table.full_name in found.found else {}


def _contents(lake: Lakehouse, found: Plan, by_id: set[str]) -> Iterator[tuple[str, str]]:
    """(address, content_hash) of the pages that were named by their id, and of those whose address is made up ("")."""
    pages = _rows(found, PAGES)
    for batch in lake.read(PAGES).batches(["id", "url", "content_hash"], _ROWS, keep_memory=True) if pages else ():
        for id_, url, content in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if id_ in pages and (id_ in by_id or url.startswith(MADE_UP)):
                yield "" if url.startswith(MADE_UP) else address_of(url), content


def _add_descendants(lake: Lakehouse, found: Plan) -> None:
    """Add the rows that were made from rows of the plan, at any distance."""
    by_child: dict[str, list[Link]] = {}
    for link in links(all_tables().values()):
        if not link.child.is_model and link.column != "model_id":
            by_child.setdefault(link.child.full_name, []).append(link)
    known, searched = found.ids, -1
    while len(known) > searched:  # the ledger is made from texts, and texts from its answers: hence several passes
        searched = len(known)
        for name, table in all_tables().items():
            if name in by_child and (reader := lake.read(table)).exists:
                columns, tokens = [link.column for link in by_child[name]], token_column(table)
                wanted = dict.fromkeys(("id", *columns, *([tokens] if tokens else [])))
                for batch in reader.batches(wanted, _ROWS, keep_memory=True):
                    _add(found, table, reader.version, *_columns(batch, _made_from(batch, columns, known), tokens))
                known |= _rows(found, table).keys()


def _add_reports(lake: Lakehouse, forgotten: Tombstones, found: Plan) -> None:
    """Add the counts that name a forgotten host or repository, and the report of the lake, which shows examples."""
    for table in (REMOVALS, THRESHOLDS):
        counts = lake.read(table)
        for batch in counts.batches(["id", "by", "name"], _ROWS):
            names = zip(batch.column("by").to_pylist(), batch.column("name").to_pylist(), strict=True)
            gone = [
                (by == "host" and forgotten.page("", "", name, "") is not None)
                or (by == "repository" and forgotten.repository("", name) is not None)
                for by, name in names
            ]
            _add(found, table, counts.version, *_columns(batch, gone, None))
    report = lake.read(REPORT)
    for batch in report.batches(["id"]) if found.rows else ():
        _add(found, REPORT, report.version, *_columns(batch, [True] * batch.num_rows, None))


def _made_from(batch: Any, columns: list[str], known: set[str]) -> list[bool]:
    """Whether each row of a batch names a known row in one of the columns."""
    gone = [False] * batch.num_rows
    for column in columns:
        for place, value in enumerate(batch.column(column).to_pylist()):
            ids = value if isinstance(value, list) else (value,)
            gone[place] = gone[place] or not known.isdisjoint(ids or ())
    return gone


def _returning(lake: Lakehouse, found: Plan) -> dict[str, int]:
    """{table: rows that say that something was dropped, or cut out, for a removed row}, without those about removed
    rows themselves. What was dropped is kept again once the table is made again."""
    known, counts = found.ids, {}
    for name, table in all_tables().items():
        column = next((c for c in ("duplicate_of", "first_document") if c in table.column_names), None)
        if column is None or "parents" not in table.column_names:
            continue
        for batch in lake.read(table).batches(["parents", column], _ROWS, keep_memory=True):
            for parents, kept in zip(*(values.to_pylist() for values in batch.columns), strict=True):
                if kept in known and parents[0] not in known:  # the first parent is what was dropped or cut
                    counts[name] = counts.get(name, 0) + 1
    return counts


def contained(lake: Lakehouse, found: Plan) -> Iterator[Contained]:
    """The models and scores that were made from removed rows, and the models that were made from such models."""
    inside: set[str] = set()
    models: list[tuple[str, dict[str, Any]]] = []
    shares: dict[str, tuple[int, float] | None] = {}
    for name, table in all_tables().items():
        if not {"id", "input_versions"} <= set(table.column_names):
            continue
        wanted = ["id", "input_versions", *(["name", "parents"] if table.is_model else [])]
        others: Counter[str] = Counter()  # rows that are not models, by the version they were made from
        for row in (row for batch in lake.read(table).batches(wanted) for row in batch.to_pylist()):
            for version in row["input_versions"] or ():
                if version not in shares:
                    shares[version] = _share(lake, version, found)
                if shares[version] is None or shares[version][0]:
                    inside.add(row["id"])
                    if not table.is_model:
                        others[version] += 1
                        continue
                    yield Contained(name, row["id"], row["name"], version, *(shares[version] or (None, None)))
            if table.is_model and row["id"] not in inside:
                models.append((name, row))
        for version, number in others.items():
            yield Contained(name, "", counted(number, "row"), version, *(shares[version] or (None, None)))
    searched = -1
    while len(inside) > searched:  # a table of models has its rows in any order, also parents behind their children
        searched = len(inside)
        for name, row in models:
            if row["id"] not in inside and (above := inside & set(row["parents"] or ())):
                inside.add(row["id"])
                yield Contained(name, row["id"], row["name"], f"model {min(above)}", None, None)


def _share(lake: Lakehouse, version: str, found: Plan) -> tuple[int, float] | None:
    """(removed rows, their share of the tokens or rows) of a table version such as "blend.token_shards@12"; None if the
    version is gone and rows of the table are removed."""
    name, _, number = version.partition("@")
    table = all_tables().get(name)
    if name not in found.found or table is None or not number.isdigit():
        return 0, 0.0
    reader = lake.read(table).at(int(number))
    if reader is None:
        return None
    rows, tokens, gone, all_ = found.found[name].rows, token_column(table), 0, [0, 0]
    for batch in reader.batches(["id", *([tokens] if tokens else [])], _ROWS, keep_memory=True):
        counts = batch.column(tokens).to_pylist() if tokens else [1] * batch.num_rows
        for id_, count in zip(batch.column("id").to_pylist(), counts, strict=True):
            all_[id_ in rows] += count or 0
            gone += id_ in rows
    return gone, all_[1] / max(1, sum(all_))
