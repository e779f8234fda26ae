"""What following a row through the lake finds: nodes, the edges between them, and the places pages came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class NotFound(LookupError):
    """Nothing in the lake has this id, URL or version."""


@dataclass(frozen=True, order=True)
class Node:
    """A row (`key` is its id) or a version of a whole table (`key` is "@" and the Delta version)."""

    table: str
    key: str

    @property
    def is_version(self) -> bool:
        return self.key.startswith("@")

    def __str__(self) -> str:
        return f"{self.table}{self.key}" if self.is_version else f"{self.table} {self.key}"


@dataclass(frozen=True)
class Origin:
    """Where a page's record stands: the arguments of the ranged read that gives it back.

    `length` is 0 for a row of a Parquet or JSON-lines file, whose `offset` is the row number. `path` is where a file
    ingested by hand was when it was named, else empty: then `file` is a path in the crawl.
    """

    page: str
    url: str
    file: str
    offset: int
    length: int
    path: str = ""

    @property
    def http_range(self) -> str:
        return f"bytes={self.offset}-{self.offset + self.length - 1}" if self.length else ""

    def __str__(self) -> str:
        place = self.path or self.file
        if not self.length:
            return f"{place} row {self.offset}"
        return f"{place} offset={self.offset} length={self.length} (Range: {self.http_range})"


@dataclass
class Trace:
    """What was found. `above` gives the nodes a node was made from, `below` those made from it.

    `more` counts relatives that are not shown, by (node, direction); `unfollowed` are shown, but not their relatives.
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
        """Every node found "above" or "below" the starts, without them."""
        found = {node for nodes in getattr(self, direction).values() for node in nodes}
        return sorted(found - set(self.starts))

    def counts(self, direction: str) -> dict[str, int]:
        """Rows found per table, above or below."""
        counted: dict[str, int] = defaultdict(int)
        for node in self.reached(direction):
            counted[node.table] += not node.is_version
        return {table: count for table, count in counted.items() if count}

    def as_json(self) -> dict[str, Any]:
        """Everything as plain lists and dictionaries; edges point from what was made to what it was made from."""

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
