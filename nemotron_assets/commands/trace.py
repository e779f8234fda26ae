"""`nemotron trace`: shows which rows a row was made from, which rows were made from it, and where its pages are stored.

The result is printed as a tree, or as JSON. `--read` reads the WARC records again and compares them with the pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nemotron_assets.commands.console import console, printable
from nemotron_assets.lineage.nodes import Node, NotFound, Origin, Trace
from nemotron_assets.lineage.walk import trace
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted
from resources.warehouse import Warehouse
from resources.warehouse.facts import facts
from resources.warehouse.interrupting import interruptible

if TYPE_CHECKING:
    import duckdb

    from resources.crawl import Crawl

#: Facts that are not printed beside an id: some are printed with the origin, and some mean nothing to a reader.
_HIDDEN = ("warc_file", "warc_offset", "warc_length", "warc_inner_offset", "payload_digest", "mime", "sha256")


def trace_command(target: str, *, limit: int, backward: bool | None, as_json: bool, read: bool) -> bool:
    """Print the trace of a target; False if a record that was read again does not hold the same page.

    `backward` is True or False to follow only one direction, None for both.
    """
    warehouse = Warehouse()
    with warehouse.connect() as connection, interruptible(connection):
        found = trace(
            connection,
            all_tables().values(),
            _named(target, warehouse, connection),
            limit=limit,
            backward=backward is not False,
            forward=backward is not True,
        )
    if as_json:
        document = found.as_json()
        if read:
            origins = read_origins(found, _crawl())
            document["read"] = {page: {"same": same, "said": text} for page, same, text in origins}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return all(entry["same"] is not False for entry in document.get("read", {}).values())
    print_trace(found, {True: ("above",), False: ("below",), None: ("above", "below")}[backward])
    return print_read_origins(found, _crawl()) if read else True


def _named(target: str, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> str | Node:
    """The target as `trace` takes it. A table may be written models/base too; a table without a version stands for its
    newest version, and a table of models for its newest model."""
    name, at, version = target.replace("/", ".").partition("@")
    table = all_tables().get(name)
    if table is None:
        return target
    if at:
        return f"{name}@{version}"
    known = facts(warehouse, table)
    if known is None:
        raise NotFound(f"{name} is not in the lake yet; `nemotron run {name}` makes it")
    if table.is_model:
        newest = connection.execute(f'select id from {name} order by "at" desc limit 1').fetchone()
        return Node(name, newest[0]) if newest else f"{name}@{known.version}"
    return f"{name}@{known.version}"


def _crawl() -> Crawl:
    """The crawl of the recipe. It needs Dagster, which a trace without --read does not load."""
    from nemotron_assets.recipe import current_recipe
    from resources.crawl import Crawl

    return Crawl.from_recipe(current_recipe().snapshots.crawl)


def print_trace(found: Trace, directions: tuple[str, ...] = ("above", "below")) -> None:
    """Print one tree per start and direction, the origins of the pages, and what was left out."""
    from rich.text import Text

    out = console()
    for direction, title, empty in (
        ("above", "made from", "made from no other row of the lake"),
        ("below", "used by", "no row was made from it yet"),
    ):
        if direction not in directions:
            continue
        for start in found.starts:
            tree = _tree(found, start, direction, title)
            if not getattr(found, direction).get(start):
                tree.add(Text(empty, style="dim"))
            out.print(tree)
        counts = ", ".join(f"{count:,} in {table}" for table, count in found.counts(direction).items())
        print(f"{title}: {counts or 'no rows'}\n")
    if found.origins:
        print("records of the pages, with the byte range to read:")
        for origin in found.origins:
            print(f"  {printable(origin.url)}\n    {printable(str(origin))}")
    if found.unfollowed:
        print(f"{counted(len(found.unfollowed), 'row')} shown but not followed further; --limit N follows more rows")
    for note in dict.fromkeys(found.notes):
        print(f"note: {printable(note)}")


def read_origins(found: Trace, crawl: Crawl) -> Iterator[tuple[str, bool | None, str]]:
    """Read the record of every origin again: (page id, whether it holds the same page, a sentence about it).

    The second value is None for a row of a Parquet or JSON-lines file, which has no byte range, and False for bytes
    that cannot be read.
    """
    from resources.crawl import CrawlError

    for origin in found.origins:
        if not origin.length:
            yield origin.page, None, f"not read: {origin} has no byte range"
            continue
        try:
            yield origin.page, *_compare(origin, found.facts[Node("snapshots.pages", origin.page)], crawl)
        except (CrawlError, ValueError, OSError) as error:  # the other origins can still be read
            yield origin.page, False, f"not read: {error}"


def _compare(origin: Origin, facts: dict[str, Any], crawl: Crawl) -> tuple[bool, str]:
    """Read one record: whether it holds the page with these facts, and a sentence about it."""
    from nemotron_assets.snapshots.read_back import read_back

    html, same = read_back(origin, facts, crawl)
    return same, (
        f"read {origin.length:,} bytes at {origin.offset:,} of {origin.path or origin.file}: "
        f"{'the same page' if same else 'ANOTHER page'}, {len(html):,} bytes of body, {facts['payload_digest']}"
    )


def print_read_origins(found: Trace, crawl: Crawl) -> bool:
    """Print for every origin whether its record holds the same page; False if any record does not."""
    all_same = True
    for _, same, text in read_origins(found, crawl):
        print(printable(text))
        all_same &= same is not False
    if not found.origins:
        print("the trace has no page whose record could be read again")
    return all_same


def _tree(found: Trace, start: Node, direction: str, title: str) -> Any:
    """A node and its relatives as a rich tree. A node that appears twice is expanded only the first time."""
    from rich.text import Text
    from rich.tree import Tree

    edges = getattr(found, direction)
    root = Tree(Text.assemble(_line(found, start), (f"  {title}", "dim")))
    shown = {start}
    waiting = [(root, start)]
    while waiting:
        branch, node = waiting.pop()
        for other in edges.get(node, []):
            repeated = other in shown
            line = _line(found, other)
            if repeated and edges.get(other):
                line.append("  (expanded elsewhere)", style="dim")
            elif (other, direction) in found.unfollowed:
                line.append("  (not followed)", style="dim")
            leaf = branch.add(line)
            if not repeated:
                shown.add(other)
                waiting.append((leaf, other))
        if (node, direction) in found.more:
            branch.add(Text(f"… and {found.more[node, direction]:,} more", style="dim"))
    return root


def _line(found: Trace, node: Node) -> Any:
    """A node with its facts, and for a page the place of its record, as rich text."""
    from rich.text import Text

    facts = found.facts.get(node, {})
    line = Text.assemble(
        (node.table, "cyan"), (node.key if node.is_version else f" {node.key}", "bold" if node.is_version else "")
    )
    words = "  ".join(f"{name}={printable(value)}" for name, value in facts.items() if name not in _HIDDEN)
    if words:
        line.append(f"  {words}", style="dim")
    origin = next((o for o in found.origins if o.page == node.key), None)
    if origin and "warc_file" in facts:
        line.append(f"\n{printable(str(origin))}", style="green")
    return line
