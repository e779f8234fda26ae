"""The result of a trace: nodes (rows and table versions), the edges between them, and the origins of pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class NotFound(LookupError):
    """No row of the lake has the id or URL that was to be traced."""


@dataclass(frozen=True, order=True)
class Node:
    """A row, or a version of a whole table.

    `table` is the full name of the table. `key` is the id of the row, or "@" and the Delta version: "@3".
    """

    table: str
    key: str

    @property
    def is_version(self) -> bool:
        return self.key.startswith("@")

    def __str__(self) -> str:
        return f"{self.table}{self.key}" if self.is_version else f"{self.table} {self.key}"


@dataclass(frozen=True)
class Origin:
    """Where the record of a page is stored: the file and the bytes to read to get it again.

    `page` is the id of the page's row. `file` is the path of the WARC file in the crawl, `offset` and `length` are in
    bytes. For a row of a Parquet or JSON-lines file, `length` is 0 and `offset` is the row number. For a file that was
    ingested with `nemotron ingest`, `path` is its path at that time; for a file of the crawl it is empty.
    """

    page: str
    url: str
    file: str
    offset: int
    length: int
    path: str = ""

    @property
    def http_range(self) -> str:
        """The HTTP Range header for the record ("bytes=1000-1899"); empty for a row of a file."""
        return f"bytes={self.offset}-{self.offset + self.length - 1}" if self.length else ""

    def __str__(self) -> str:
        place = self.path or self.file
        if not self.length:
            return f"{place} row {self.offset}"
        return f"{place} offset={self.offset} length={self.length} (Range: {self.http_range})"


@dataclass
class Trace:
    """What was found from the nodes in `starts`.

    `above` maps a node to the nodes it was made from, `below` to the nodes that were made from it. A direction is the
    name of one of the two. `facts` are columns of the rows. `more` counts, by (node, direction), the relatives that
    were left out. `unfollowed` are the nodes, with the direction, whose relatives were not looked up. `notes` are
    sentences about links that could not be followed.
    """

    target: str
    starts: list[Node]
    above: dict[Node, list[Node]] = field(default_factory=dict)
    below: dict[Node, list[Node]] = field(default_factory=dict)
    facts: dict[Node, dict[str, Any]] = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    more: dict[tuple[Node, str], int] = field(default_factory=dict)
    unfollowed: set[tuple[Node, str]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def reached(self, direction: str) -> list[Node]:
        """All nodes found in a direction ("above" or "below"), without the starts."""
        found = {node for nodes in getattr(self, direction).values() for node in nodes}
        return sorted(found - set(self.starts))

    def counts(self, direction: str) -> dict[str, int]:
        """The number of rows found in a direction, by table."""
        counted: dict[str, int] = defaultdict(int)
        for node in self.reached(direction):
            counted[node.table] += not node.is_version
        return {table: count for table, count in counted.items() if count}

    def as_json(self) -> dict[str, Any]:
        """The trace as dictionaries, lists, strings and numbers. Every edge names a child and one of its parents."""

        def edges(direction: str) -> Iterator[dict[str, Any]]:
            for node, others in getattr(self, direction).items():
                for other in others:
                    child, parent = (node, other) if direction == "above" else (other, node)
                    yield {"child": str(child), "parent": str(parent)}

        nodes = sorted({*self.starts, *self.reached("above"), *self.reached("below")})
        return {
            "target": self.target,
            "start": [str(node) for node in self.starts],
            "nodes": {
                str(node): {"table": node.table, "id": node.key}
                | {name: _plain(value) for name, value in self.facts.get(node, {}).items()}
                for node in nodes
            },
            "backward": list(edges("above")),
            "forward": list(edges("below")),
            "origins": [
                {
                    "page": o.page,
                    "url": o.url,
                    "file": o.file,
                    "offset": o.offset,
                    "length": o.length,
                    "range": o.http_range,
                    "path": o.path,
                }
                for o in self.origins
            ],
            "more": [{"node": str(n), "direction": d, "count": c} for (n, d), c in sorted(self.more.items())],
            "unfollowed": [{"node": str(n), "direction": d} for n, d in sorted(self.unfollowed)],
            "notes": self.notes,
        }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
