"""What has to go: the rows that hold what was named, and all rows that were made from them, found by the lineage.

Roots are found by their addresses and names, in every table that has such columns. Descendants are found by the links
of lineage/links.py, table by table in the order of the data, until a pass finds nothing new. An answer of a language
model stays if a row that stays was made with it, too: then the request had no word that only the removed rows had.
Models and scores stay: see `containing`.

Memory: the ids of the removed rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron_assets.code.sources.tables import REPOSITORIES
from nemotron_assets.evaluate.report.tables import REPORT
from nemotron_assets.lake.removals.tables import REMOVALS
from nemotron_assets.lake.thresholds.tables import THRESHOLDS
from nemotron_assets.lineage.links import links
from nemotron_assets.math.tables import CANDIDATE_PAGES
from nemotron_assets.rights.made_again import DROPPED_FOR, MADE_AGAIN
from nemotron_assets.rights.targets import MADE_UP, BadTarget, Target
from nemotron_assets.rights.tombstones import PAGE_COLUMNS, Tombstones, address_of, tombstones
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.stages import all_tables
from resources.generations import GENERATIONS
from resources.lakehouse.stored import files_on_disk, read

if TYPE_CHECKING:
    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

#: Tables whose rows are pages, so that their column content_hash is the hash of a page.
_OF_PAGES = (PAGES, CANDIDATE_PAGES)
_ROWS = 65_536
#: Columns with ids of the ledger.
_ANSWERS = ("generation_id", "generation_ids")


@dataclass
class Found:
    """Rows of one table: their ids with the tokens of each (0 if the table counts none), and the version searched."""

    version: int
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return sum(self.rows.values())


@dataclass
class Plan:
    """What goes, by the full name of the table. `contents` are (address, content_hash) of pages that a tombstone has to
    know by their content. `returning` counts what was dropped or cut out for removed rows, and comes back."""

    found: dict[str, Found] = field(default_factory=dict)
    contents: set[tuple[str, str]] = field(default_factory=set)
    returning: dict[str, int] = field(default_factory=dict)

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
        version = lake.read(table).version if "id" in table.column_names else -1
        for batch, gone in named(lake, table, forgotten):
            _add(found, table, version, *rows_where(batch, gone, token_column(table)))


def named(
    lake: Lakehouse, table: Table, forgotten: Tombstones, everything: bool = False
) -> Iterator[tuple[Any, list[bool]]]:
    """(rows, whether each holds the address of a forgotten page or the name of a forgotten repository) of a table that
    has addresses or repositories. With `everything`, of all data files on the disk."""
    names = set(table.column_names)
    if "id" not in names or table.is_model or not {"url", "repo"} & names:
        return
    by_page = [name for name in PAGE_COLUMNS if name in names and (name != "content_hash" or table in _OF_PAGES)]
    wanted = by_page if "url" in names else ["id", "repo"]
    tokens = token_column(table)
    for batch in batches(lake, table, [*wanted, *([tokens] if tokens else [])], everything):
        if "url" in names:
            yield batch, [kind is not None for kind in forgotten.kinds(batch)]
        else:
            ids = batch.column("id").to_pylist() if table == REPOSITORIES else [""] * batch.num_rows
            pairs = zip(ids, batch.column("repo").to_pylist(), strict=True)
            yield batch, [forgotten.repository(id_, repo or "") is not None for id_, repo in pairs]


def rows_where(batch: Any, gone: list[bool], tokens: str | None) -> tuple[list[str], list[int | None]]:
    """The ids of the rows that are marked, and their tokens."""
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
    """Add the rows that were made from rows of the plan, at any distance, except answers that other rows share."""
    roots = {name: dict(of.rows) for name, of in found.found.items()}
    shared: set[str] = set()
    while True:
        _walk(lake, found, shared)
        more = set(heirs(lake, found.ids, set(_rows(found, GENERATIONS))))
        if not more:
            return
        shared |= more
        found.found = {name: Found(found.found[name].version, dict(rows)) for name, rows in roots.items()}


def _walk(lake: Lakehouse, found: Plan, shared: Collection[str]) -> None:
    """Add the rows that were made from rows of the plan. The answers that are `shared` stay."""
    children, known, searched = by_child(), found.ids, -1
    while len(known) > searched:  # the ledger is made from texts, and texts from its answers: hence several passes
        searched = len(known)
        for name, columns in children.items():
            table = all_tables()[name]
            if (reader := lake.read(table)).exists:
                tokens = token_column(table)
                wanted = dict.fromkeys(("id", *columns, *([tokens] if tokens else [])))
                for batch in reader.batches(wanted, _ROWS, keep_memory=True):
                    gone = made_from(batch, columns, known)
                    if table == GENERATIONS and shared:
                        ids = batch.column("id").to_pylist()
                        gone = [goes and id_ not in shared for goes, id_ in zip(gone, ids, strict=True)]
                    _add(found, table, reader.version, *rows_where(batch, gone, tokens))
                known |= _rows(found, table).keys()


def by_child() -> dict[str, list[str]]:
    """{table: its columns with ids of other rows} of all tables that are not models, in the order of the data."""
    columns: dict[str, list[str]] = {}
    for link in links(all_tables().values()):
        if not link.child.is_model and link.column != "model_id":
            columns.setdefault(link.child.full_name, []).append(link.column)
    for name, table in all_tables().items():  # what was dropped for a removed row is not a duplicate any more
        if name in columns and table not in MADE_AGAIN:
            columns[name] += [column for column in DROPPED_FOR if column in table.column_names]
    return {name: columns[name] for name in all_tables() if name in columns}


def heirs(lake: Lakehouse, gone: Collection[str], answers: Collection[str]) -> dict[str, list[str]]:
    """{answer: parents of a row that stays} of those of the answers in the ledger that such a row was made with. `gone`
    are the ids of all rows that go."""
    found: dict[str, list[str]] = {}
    for name, columns in by_child().items() if answers else ():
        own = [column for column in columns if column in _ANSWERS]
        reader = lake.read(all_tables()[name])
        for batch in reader.batches(("id", "parents", *own), _ROWS) if own and "parents" in columns else ():
            for row in batch.to_pylist():
                used = {id_ for column in own for id_ in _listed(row[column])}.intersection(answers)
                parents = row["parents"] or []
                if used and parents and row["id"] not in gone and gone.isdisjoint(parents):
                    for answer in used:
                        found[answer] = min(found.get(answer, parents), parents)
    return found


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
            _add(found, table, counts.version, *rows_where(batch, gone, None))
    report = lake.read(REPORT)
    for batch in report.batches(["id"]) if found.rows else ():
        _add(found, REPORT, report.version, *rows_where(batch, [True] * batch.num_rows, None))


def made_from(batch: Any, columns: list[str], known: Collection[str]) -> list[bool]:
    """Whether each row of a batch was made from a known row. An answer of the ledger decides only about a row without
    parents: the ledger names the rows that asked for it first, and another row may have asked in the same words."""
    cells = {column: batch.column(column).to_pylist() for column in columns}
    always = [cells[column] for column in columns if column not in _ANSWERS]
    answers = [cells[column] for column in columns if column in _ANSWERS]
    gone = []
    for place, parents in enumerate(cells.get("parents", [None] * batch.num_rows)):
        deciding = always if parents else (*always, *answers)
        gone.append(any(not known.isdisjoint(_listed(cell[place])) for cell in deciding))
    return gone


def _listed(value: str | list[str] | None) -> Sequence[str]:
    """The ids in a cell, which holds one or several."""
    return value or () if isinstance(value, list) or value is None else (value,)


def _returning(lake: Lakehouse, found: Plan) -> dict[str, int]:
    """{table: rows that say that something was dropped, or cut out, for a removed row}, without those about removed
    rows themselves. What was dropped is kept again once the table is made again."""
    known, counts = found.ids, {}
    for name, table in all_tables().items():
        column = next((column for column in DROPPED_FOR if column in table.column_names), None)
        if column is None or "parents" not in table.column_names:
            continue
        for batch in lake.read(table).batches(["parents", column], _ROWS, keep_memory=True):
            for parents, kept in zip(*(values.to_pylist() for values in batch.columns), strict=True):
                if kept in known and parents[0] not in known:  # the first parent is what was dropped or cut
                    counts[name] = counts.get(name, 0) + 1
    return counts


def batches(lake: Lakehouse, table: Table, columns: Iterable[str], everything: bool) -> Iterator[Any]:
    """The rows of the newest version of a table, or of all data files on the disk."""
    if everything:
        yield from read(lake, table, files_on_disk(lake, table), list(columns), batch_size=_ROWS, keep_memory=True)
    else:
        yield from lake.read(table).batches(columns, _ROWS, keep_memory=True)
