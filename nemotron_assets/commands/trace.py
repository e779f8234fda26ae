"""A trace as a reader sees it: where it comes from as a tree, the bytes it goes back to, and what was made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nemotron_assets.commands.sql import console, printable
from nemotron_assets.lineage.nodes import Node, Trace
from nemotron_assets.lineage.walk import trace as follow
from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.read_back import read_back
from nemotron_assets.stages import all_tables
from resources.crawl import Crawl, CrawlError
from resources.warehouse import Warehouse

#: Facts that are said elsewhere or say nothing to a reader.
_UNSHOWN = ("warc_file", "warc_offset", "warc_length", "payload_digest", "mime", "sha256")


def print_trace(trace: Trace, directions: tuple[str, ...] = ("above", "below")) -> None:
    """Print the trees of both directions, the origins, and what was left out."""
    from rich.text import Text

    out = console()
    for direction, title, nothing in (
        ("above", "made from", "made from nothing else in the lake"),
        ("below", "used by", "nothing was made from it yet"),
    ):
        if direction not in directions:
            continue
        for start in trace.starts:
            tree = _tree(trace, start, direction, title)
            if not getattr(trace, direction).get(start):
                tree.add(Text(nothing, style="dim"))
            out.print(tree)
        counts = ", ".join(f"{count:,} in {table}" for table, count in trace.counts(direction).items())
        print(f"{title}: {counts or 'nothing'}\n")
    if trace.origins:
        print("ranged reads that give the records back:")
        for origin in trace.origins:
            print(f"  {printable(origin.url)}\n    {printable(str(origin))}")
    if trace.unfollowed:
        print(f"shown but not followed further: {len(trace.unfollowed):,}; --limit N follows more")
    for note in dict.fromkeys(trace.notes):
        print(f"note: {printable(note)}")


def read_again(trace: Trace, crawl: Any) -> Iterator[tuple[str, bool | None, str]]:
    """Read every origin's bytes again: (page id, whether they hold the same page, words).

    None stands for a row of a file, which has no byte range; bytes that cannot be read count as another page.
    """
    for origin in trace.origins:
        facts = trace.facts[Node("snapshots.pages", origin.page)]
        if not origin.length:
            yield origin.page, None, f"not read: {origin} has no byte range"
            continue
        try:
            html, same = read_back(origin, facts, crawl)
        except (CrawlError, ValueError, OSError) as error:  # the others can still be read
            yield origin.page, False, f"not read: {error}"
            continue
        yield (
            origin.page,
            same,
            (
                f"read {origin.length:,} bytes at {origin.offset:,} of {origin.path or origin.file}: "
                f"{'the same page' if same else 'ANOTHER page'}, {len(html):,} bytes of body, {facts['payload_digest']}"
            ),
        )


def print_read_back(trace: Trace, crawl: Any) -> bool:
    """Say for every origin whether its bytes hold the same page; False if any does not."""
    fine = True
    for _, same, said in read_again(trace, crawl):
        print(printable(said))
        fine &= same is not False
    if not trace.origins:
        print("there is no page among what was found to read again")
    return fine


def _tree(trace: Trace, start: Node, direction: str, title: str) -> Any:
    """A node and its relatives; a node met again is named but not unfolded again."""
    from rich.text import Text
    from rich.tree import Tree

    edges = getattr(trace, direction)
    root = Tree(Text.assemble(_line(trace, start), (f"  {title}", "dim")))
    shown = {start}
    waiting = [(root, start)]
    while waiting:
        branch, node = waiting.pop()
        for other in edges.get(node, []):
            again = other in shown
            line = _line(trace, other)
            if again and edges.get(other):
                line.append("  (unfolded elsewhere)", style="dim")
            elif (other, direction) in trace.unfollowed:
                line.append("  (not followed)", style="dim")
            leaf = branch.add(line)
            if not again:
                shown.add(other)
                waiting.append((leaf, other))
        if (node, direction) in trace.more:
            branch.add(Text(f"… and {trace.more[node, direction]:,} more", style="dim"))
    return root


def _line(trace: Trace, node: Node) -> Any:
    from rich.text import Text

    facts = trace.facts.get(node, {})
    line = Text.assemble(
        (node.table, "cyan"), (node.key if node.is_version else f" {node.key}", "bold" if node.is_version else "")
    )
    words = "  ".join(f"{name}={printable(value)}" for name, value in facts.items() if name not in _UNSHOWN)
    if words:
        line.append(f"  {words}", style="dim")
    origin = next((o for o in trace.origins if o.page == node.key), None)
    if origin and "warc_file" in facts:
        line.append(f"\n{printable(str(origin))}", style="green")
    return line


def show(target: str, *, limit: int, backward: bool | None, as_json: bool, read: bool) -> bool:
    """What `nemotron trace` does, on the lake in use; False if a record read again is not the same page."""
    with Warehouse().connect() as connection:
        found = follow(
            connection,
            all_tables().values(),
            target,
            limit=limit,
            backward=backward is not False,
            forward=backward is not True,
        )
    crawl = Crawl.from_recipe(current_recipe().snapshots.crawl)
    if as_json:
        document = found.as_json()
        if read:
            document["read"] = {page: {"same": same, "said": said} for page, same, said in read_again(found, crawl)}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return all(entry["same"] is not False for entry in document.get("read", {}).values())
    print_trace(found, {True: ("above",), False: ("below",), None: ("above", "below")}[backward])
    return print_read_back(found, crawl) if read else True
