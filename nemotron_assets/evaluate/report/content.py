"""What the page is made of: sections with sentences, figures and grids. All of it is plain text, except the figures.

The template escapes every text, so what a page or a model wrote stays text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Missing:
    """A table that this lake does not have, or that has no rows, and the command that makes it."""

    table: str
    command: str


@dataclass(frozen=True)
class Figure:
    """A figure: its title, and the whole SVG element."""

    title: str
    svg: str


@dataclass(frozen=True)
class TableName:
    """A cell that names a table of the lake, and leads to its entry at the end of the page."""

    name: str
    note: str = ""


Cell = str | int | float | None | TableName


@dataclass(frozen=True)
class Grid:
    """Rows of text and numbers under a title. Numbers stand on the right of their cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass
class Section:
    """A part of the page under a heading. `tables` are the tables that it is made from."""

    key: str
    heading: str
    text: str
    tables: tuple[str, ...]
    missing: list[Missing] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)

    def show(self, *shown: Figure | Grid | None) -> None:
        """Add figures and grids; grids without rows are left out."""
        self.figures += [one for one in shown if isinstance(one, Figure)]
        self.grids += [one for one in shown if isinstance(one, Grid) and one.rows]


def grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Grid:
    """A grid of the rows."""
    return Grid(title, columns, [list(row) for row in rows])
