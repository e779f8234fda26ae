"""Traces one row, page, model or score: back to the records it was made from, forward to everything made from it.

Both directions go level by level along the links of lineage/links.py, with one query per link and level. A query scans
only the id columns of the link. Memory is bounded: at most `limit` relatives of a row are kept, and at most `limit` new
rows of a table are followed per level. Relatives beyond the limit are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron_assets.lineage.links import Link, links, parents_of
from nemotron_assets.lineage.nodes import Node, NotFound, Origin, Trace
from nemotron_assets.table.quoting import delta_scan, identifier, literal
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import duckdb

#: Columns that are shown beside an id, in this order, if the table has them.
FACTS = (
    "url", "repo", "commit_id", "rel_path", "license", "location", "snapshot", "language", "title", "kind",
    "duplicate_of", "name", "version", "uri", "model", "model_version", "task", "metric", "value",
    "prompt", "generator", "part", "position", "sha256",
    "warc_file", "warc_offset", "warc_length", "warc_inner_offset", "payload_digest", "mime",
)  # fmt: skip

_STORED = "select schema_name || '.' || table_name, list(column_name) from duckdb_columns() group by all"

#: Longer values of these columns are cut to this number of characters.
_MAX_CHARACTERS = 120


def trace(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[Table],
    target: str | Node,
    *,
    limit: int = 20,
    backward: bool = True,
    forward: bool = True,
) -> Trace:
    """Trace `target`: a row id, a URL, a table version such as "blend.token_shards@12", or a row of a known table.

    `connection` comes from `Warehouse.connect`, and `tables` are the tables of its catalog. `limit` bounds the
    relatives of one row, and the rows of one table that are followed per level. Raises `NotFound`.
    """
    walker = _Walker(connection, list(tables), limit)
    result = Trace(target.key, [target]) if isinstance(target, Node) else Trace(target, walker.find(target))
    if backward:
        walker.walk(result, "above", walker.parents)
    if forward:
        walker.walk(result, "below", walker.children)
    walker.describe(result)
    walker.tell_what_was_forgotten(result)
    result.notes += walker.notes
    return result


@dataclass
class _Found:
    """Relatives of the nodes of one level: (node, relative) pairs in order, and per node how many were left out."""

    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    more: dict[Node, int] = field(default_factory=dict)

    def shown(self, node: Node) -> int:
        """The number of relatives of a node that were found so far, through other links."""
        return sum(of == node for of, _ in self.pairs)

    def add(self, pairs: Iterable[tuple[Node, Node]], totals: Mapping[Node, int] | None = None) -> None:
        """Add pairs. `totals` gives the number of relatives a node has, of which only some are in `pairs`."""
        pairs = list(pairs)
        self.pairs += pairs
        shown: dict[Node, int] = defaultdict(int)
        for node, _ in pairs:
            shown[node] += 1
        for node, total in (totals or {}).items():
            if total > shown[node]:
                self.more[node] = self.more.get(node, 0) + total - shown[node]


class _Walker:
    """Follows the links of all tables with queries on one connection. `notes` collects what could not be followed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: list[Table], limit: int) -> None:
        self.connection, self.limit = connection, max(1, limit)
        self.tables = {table.full_name: table for table in tables}
        self.links = links(tables)
        self.versioned = [t for t in tables if {"id", "input_versions"} <= set(t.column_names)]
        self.paths = dict(connection.execute("select table_name, path from lineage.tables where in_lake").fetchall())
        self.notes: list[str] = []

    # -- where to start -----------------------------------------------------------------------------------------

    def find(self, target: str) -> list[Node]:
        """The nodes that a target names. Raises `NotFound`."""
        table, at, version = target.partition("@")
        if at and table in self.tables and version.isdecimal():
            return [Node(table, f"@{int(version)}")]
        if "://" in target:
            return self._find_url(target)
        query = f"select distinct table_name, id from lineage.rows where id = {literal(target)} order by all"
        found = self._rows(query)
        if not found:
            raise NotFound(
                f"no row of the lake has the id {target!r}. Give a row id, the URL that a page was fetched from, or a "
                "table version such as blend.token_shards@3"
            )
        return [Node(*row) for row in found]

    def _find_url(self, url: str) -> list[Node]:
        """The rows with a URL, in the first table that has any. Tables with the fewest ancestors are searched first."""
        having = [t for t in self.tables.values() if {"id", "url"} <= set(t.column_names)]
        for table in sorted(having, key=lambda t: len(self._ancestry(t))):
            rows = self._rows(f"select distinct id from {_sql(table)} where url = {literal(url)} order by id")
            if rows:
                return [Node(table.full_name, row[0]) for row in rows]
        raise NotFound(f"no page of the lake was fetched from {url!r}")

    def _ancestry(self, table: Table) -> set[str]:
        """The full names of all tables that a table is made from, directly or through other tables."""
        found: set[str] = set()
        waiting = list(parents_of(table, self.tables.values()))
        while waiting:
            name = waiting.pop()
            if name in self.tables and name not in found:
                found.add(name)
                waiting += parents_of(self.tables[name], self.tables.values())
        return found

    # -- walking ------------------------------------------------------------------------------------------------

    def walk(self, result: Trace, direction: str, step) -> None:
        """Follow a direction level by level until a level has no new nodes.

        `step(table, nodes, found)` looks up the relatives of nodes of one table. Every node is followed once, so the
        walk ends even if the links form a cycle.
        """
        edges: dict[Node, list[Node]] = getattr(result, direction)
        seen, frontier = set(result.starts), list(result.starts)
        while frontier:
            by_table: dict[str, list[Node]] = defaultdict(list)
            for node in frontier:
                by_table[node.table].append(node)
            found = _Found()
            for table, nodes in by_table.items():
                step(table, nodes, found)
            for node, count in found.more.items():
                result.more[node, direction] = count
            fresh: dict[str, list[Node]] = defaultdict(list)
            for node, other in dict.fromkeys(found.pairs):
                edges.setdefault(node, []).append(other)
                if other not in seen:
                    seen.add(other)
                    fresh[other.table].append(other)
            frontier = []
            for nodes in fresh.values():
                frontier += nodes[: self.limit]
                result.unfollowed |= {(node, direction) for node in nodes[self.limit :]}

    def parents(self, table: str, nodes: list[Node], found: _Found) -> None:
        """Look up the nodes that rows or versions of one table were made from."""
        declared = self.tables[table]
        ids = [node.key for node in nodes if not node.is_version]
        for version in (node for node in nodes if node.is_version):
            self._members(version, found)
        if not ids:
            return
        for link in (link for link in self.links if link.child is declared):
            self._parent_rows(link, ids, found)
        if declared in self.versioned:
            self._input_versions(declared, ids, found)

    def children(self, table: str, nodes: list[Node], found: _Found) -> None:
        """Look up the nodes that were made from rows or versions of one table."""
        declared = self.tables[table]
        ids = [node.key for node in nodes if not node.is_version]
        for version in (node for node in nodes if node.is_version):
            self._users(version, found)
        if not ids:
            return
        for link in (link for link in self.links if table in link.parents):
            self._child_rows(link, table, ids, found)
        if not declared.is_model:
            self._in_versions(declared, ids, found)

    def _parent_rows(self, link: Link, ids: list[str], found: _Found) -> None:
        """Look up the parents of rows through one link, in the order of the row's list."""
        child, column = link.child.full_name, identifier(link.column)
        source = f", {identifier(link.sources)}" if link.sources else ""
        rows = self._rows(f"select id, {column}{source} from {_sql(link.child)} where {_in('id', ids)}")
        listed: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            parents = (row[1] if link.is_list else [row[1]]) or []
            unnamed = [link.parents[0] if len(link.parents) == 1 else ""] * len(parents)
            named = (row[2] if link.sources else None) or unnamed  # rows of an older schema version name no table
            pairs = [(p, s) for p, s in zip(parents, named, strict=True) if p is not None]
            listed.setdefault(row[0], []).extend(pairs)
        for id_, pairs in listed.items():
            unique, node = list(dict.fromkeys(pairs)), Node(child, id_)
            shown = unique[: max(0, self.limit - found.shown(node))]
            tables = self._tables_of([p for p, s in shown if not s], link.parents)
            above = [Node(s or tables.get(p, ""), p) for p, s in shown]
            known = [node for node in above if node.table in self.tables]
            for lost in set(above) - set(known):
                self.notes.append(
                    f"{child} {id_} has the parent {lost.key}, which is missing in {', '.join(link.parents)}"
                )
            found.add(((node, parent) for parent in known), {node: len(known) + len(unique) - len(shown)})

    def _tables_of(self, ids: list[str], candidates: Iterable[str]) -> dict[str, str]:
        """The table of each id, of several candidates; an id that is in no candidate is left out."""
        found: dict[str, str] = {}
        for name in candidates if ids else ():
            rest = [id_ for id_ in ids if id_ not in found]
            if rest:
                rows = self._rows(f"select id from {_sql(self.tables[name])} where {_in('id', rest)}")
                found |= {row[0]: name for row in rows}
        return found

    def _child_rows(self, link: Link, parent: str, ids: list[str], found: _Found) -> None:
        """Look up the rows that refer to rows of the table `parent` through one link.

        Of the children of each row, the first ones by id are found, and all are counted.
        """
        value = f"unnest({identifier(link.column)})" if link.is_list else identifier(link.column)
        pairs = f"select distinct {value} as parent, id from {_sql(link.child)}"
        if link.sources:
            source = f"unnest({identifier(link.sources)})"
            pairs = (
                f"select distinct parent, id from (select id, {value} as parent, {source} as source "
                f"from {_sql(link.child)}) where source = {literal(parent)}"
            )
        query = (
            f"select parent, id, count(*) over (partition by parent) from ({pairs}) where {_in('parent', ids)} "
            f"qualify row_number() over (partition by parent order by id) <= {self.limit} order by parent, id"
        )
        rows = self._rows(query)
        totals = {Node(parent, row[0]): row[2] for row in rows}
        found.add(((Node(parent, row[0]), Node(link.child.full_name, row[1])) for row in rows), totals)

    # -- versions of whole tables, and models -------------------------------------------------------------------

    def _inputs(self, where: str) -> list[tuple[str, str, str, int]]:
        """Rows of lineage.version_edges: child table, child id, parent table, Delta version of the parent table."""
        columns = "child_table, child, parent_table, parent_version"
        query = f"select {columns} from lineage.version_edges where {where} order by all"
        rows = []
        for row in self._rows(query):
            if row[2] in self.tables:
                rows.append(row)
            else:
                self.notes.append(f"{row[0]} {row[1]} was made from {row[2]}@{row[3]}, which is not a declared table")
        return rows

    def _input_versions(self, table: Table, ids: list[str], found: _Found) -> None:
        """Look up the table versions that models or scores were made from.

        Versions of model tables are left out, because other links name the rows: `parents` of a model, and `model_id`
        of a score.
        """
        for child_table, child, parent, version in self._inputs(
            f"child_table = {literal(table.full_name)} and {_in('child', ids)}"
        ):
            if not self.tables[parent].is_model:
                found.add([(Node(child_table, child), Node(parent, f"@{version}"))])

    def _in_versions(self, table: Table, ids: list[str], found: _Found) -> None:
        """Look up the versions of a table that hold the rows and that a model or score was made from."""
        used = {row[3] for row in self._inputs(f"parent_table = {literal(table.full_name)}")}
        for version in sorted(used):
            rows = self._at_version(table.full_name, version, f"where {_in('id', ids)}")
            found.add((Node(table.full_name, id_), Node(table.full_name, f"@{version}")) for id_ in rows)

    def _members(self, version: Node, found: _Found) -> None:
        """Look up the first rows of a table version by id, and count all of them."""
        if "id" not in self.tables[version.table].column_names:
            return
        number = int(version.key[1:])
        rows = self._at_version(version.table, number, f"order by id limit {self.limit + 1}")
        total = len(rows)
        if total > self.limit:
            total = self._rows(f"select count(*) from {delta_scan(self.paths[version.table], number)}")[0][0]
        found.add(((version, Node(version.table, id_)) for id_ in rows[: self.limit]), {version: total})

    def _users(self, version: Node, found: _Found) -> None:
        """Look up the models and scores that were made from a table version.

        Models are shown first, then the first row of every other table, then the second, and so on: a table with many
        rows does not hide the others.
        """
        rows = self._inputs(f"parent_table = {literal(version.table)} and parent_version = {int(version.key[1:])}")
        before: Counter[str] = Counter()
        places = []
        for child, *_ in rows:
            is_model = child in self.tables and self.tables[child].is_model
            places.append((not is_model, 0 if is_model else before[child]))
            before[child] += 1
        shown = [row for _, row in sorted(zip(places, rows, strict=True))][: self.limit]
        found.add(((version, Node(row[0], row[1])) for row in shown), {version: len(rows)})

    def _at_version(self, table: str, version: int, rest: str) -> list[str]:
        """Ids of a table at a version; no ids, and a note, if the version has been deleted."""
        import duckdb

        if table not in self.paths:
            self.notes.append(f"{table}@{version} cannot be read: the table is not in the lake")
            return []
        source = delta_scan(self.paths[table], version)
        try:
            return [row[0] for row in self._rows(f"select distinct id from {source} {rest}")]
        except duckdb.IOException as error:
            self.notes.append(f"{table}@{version} can no longer be read: {str(error).splitlines()[0]}")
            return []

    def tell_what_was_forgotten(self, result: Trace) -> None:
        """Add notes about table versions of which `nemotron forget` removed rows later. A model that was made from such
        a version keeps its number, and what it learned from the rows."""
        if "rights.receipts" not in self.paths:
            return
        for node in sorted({*result.starts, *result.reached("above"), *result.reached("below")}):
            if node.is_version:
                wanted = f"kind = 'table' and place = {literal(node.table)} and version_after > {int(node.key[1:])}"
                query = f"select receipt, rows, strftime(\"at\", '%Y-%m-%d') from rights.receipts where {wanted}"
                for receipt, rows, day in self._rows(f"{query} order by all"):
                    self.notes.append(
                        f"{node}: `nemotron forget` removed {rows:,} rows of the table later, on {day} (receipt "
                        f"{receipt}); what was made from this version contains those that it had"
                    )

    # -- what is shown beside the ids ---------------------------------------------------------------------------

    def describe(self, result: Trace) -> None:
        """Fetch the facts of all rows that were found, and the origins of those that are pages."""
        # A lake of an earlier version lacks a nullable column until the table is written again.
        stored = dict(self._rows(_STORED))
        by_table: dict[str, list[str]] = defaultdict(list)
        for node in sorted({*result.starts, *result.reached("above"), *result.reached("below")}):
            if not node.is_version:
                by_table[node.table].append(node.key)
        for name, ids in by_table.items():
            table = self.tables[name]
            columns = [column for column in FACTS if column in table.column_names and column in stored.get(name, ())]
            selected = ", ".join(["id", *(_short(table, column) for column in columns)])
            for row in self._rows(f"select {selected} from {_sql(table)} where {_in('id', ids)} order by id"):
                facts = {k: v for k, v in zip(columns, row[1:], strict=True) if v is not None}
                result.facts[Node(name, row[0])] = facts
                if {"warc_file", "warc_offset", "warc_length"} <= facts.keys():
                    result.origins.append(self._origin(row[0], facts))

    def _origin(self, page: str, facts: Mapping[str, Any]) -> Origin:
        path = ""
        if "snapshots.ingested" in self.tables:
            snapshot, file = literal(facts["snapshot"]), literal(facts["warc_file"])
            rows = self._rows(f"select path from snapshots.ingested where snapshot = {snapshot} and file = {file}")
            path = rows[0][0] if rows else ""
        return Origin(page, facts.get("url", ""), facts["warc_file"], facts["warc_offset"], facts["warc_length"], path)

    def _rows(self, query: str) -> list[tuple]:
        """The rows of a query that holds its values as text. For a value of Python, DuckDB imports pandas, which takes
        longer than the trace, and a prepared query opens each table twice."""
        return self.connection.execute(query).fetchall()


def _sql(table: Table) -> str:
    return identifier(table.schema, table.name)


def _in(column: str, ids: list[str]) -> str:
    """A condition for a column to hold one of the ids."""
    # For one id it is an equality, because only an equality lets Parquet bloom filters skip row groups.
    return f"{column} = {literal(ids[0])}" if len(ids) == 1 else f"{column} in ({', '.join(map(literal, ids))})"


def _short(table: Table, column: str) -> str:
    """A SQL expression for a column, in which long texts are cut."""
    name = identifier(column)
    if table.column(column).dtype == "string" and column not in ("url", "uri", "warc_file"):
        limit = _MAX_CHARACTERS
        return f"case when length({name}) > {limit} then left({name}, {limit - 1}) || '…' else {name} end"
    return name
