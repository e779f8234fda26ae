"""Printing in a terminal: tables, and values in a form that is safe to print."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

#: Longer values are cut to this number of characters.
_MAX_CHARACTERS = 240

#: Width of tables, in characters, when the output is not a terminal.
_FILE_WIDTH = 200


def console(width: int | None = None) -> Any:
    """The rich console that tables are printed on: as wide as the terminal; if there is none, `width` or 200."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=width or _FILE_WIDTH, soft_wrap=False)


def printable(value: Any) -> str:
    """A value as one line of at most 240 characters.

    Bytes are shown by their number. Control characters become "?", so that text from the web cannot change the
    terminal's colours or title.
    """
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple):
        value = ", ".join("" if item is None else str(item) for item in value[:_MAX_CHARACTERS])
    text = str(value)
    if len(text) > _MAX_CHARACTERS:
        text = text[: _MAX_CHARACTERS - 1] + "…"
    return printable_line(" ".join(text.split()))


def printable_line(text: str) -> str:
    """A text in which control characters, among them ends of lines, are "?"."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int | None = None) -> None:
    """Print rows as a table without lines. Columns of numbers are aligned to the right, all others to the left. `width`
    is that of the table if the output is not a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(columns):
        values = [row[index] for row in rows if row[index] is not None]
        numeric = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        table.add_column(Text(printable(name)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    console(width).print(table)
