"""Printing in a terminal: tables, and values in a form that is safe to print."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

#: Longer values are cut to this number of characters.
_MAX_CHARACTERS = 240

#: Values up to this length, such as ids, are never broken; a longer text needs at least _TEXT characters of a line.
_ID, _TEXT = 40, 16

#: Headers up to this length are not broken.
_HEAD = 10

#: Width of tables, in characters, when the output is not a terminal.
_FILE_WIDTH = 200


def console(width: int | None = None) -> Any:
    """The rich console that tables are printed on. It is as wide as the terminal; without a terminal it has `width`
    columns, or 200."""
    from rich import console as rich

    class Console(rich.Console):
        def on_broken_pipe(self) -> None:
            raise  # rich would end the program with status 1

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
    is that of the table if the output is not a terminal.

    If the table is too wide, its headers are broken at underscores, and long texts take several lines. If that does not
    help, every row is printed as a block with a line per column.
    """
    from rich.table import Table
    from rich.text import Text

    out = console(width)
    cells = [[printable(value) for value in row] for row in rows]
    longest = [max((len(row[index]) for row in cells), default=0) for index in range(len(columns))]
    heads = [printable(name) for name in columns]
    if sum(map(max, longest, map(len, heads))) + 2 * (len(columns) - 1) > out.width:
        heads = [_broken(head, max(size, _HEAD)) for head, size in zip(heads, longest, strict=True)]
        needed = [max(size, *map(len, head.split("\n"))) for size, head in zip(longest, heads, strict=True)]
        texts = [size for size in needed if size > _ID]
        if out.width - sum(needed) + sum(texts) - 2 * (len(columns) - 1) < _TEXT * len(texts):
            _print_blocks(out, columns, cells)
            return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, head in enumerate(heads):
        values = [row[index] for row in rows if row[index] is not None]
        numeric = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        short = longest[index] <= _ID
        table.add_column(Text(head), justify="right" if numeric else "left", overflow="fold", no_wrap=short)
    for row in cells:
        table.add_row(*map(Text, row))
    out.print(table)


def _broken(head: str, width: int) -> str:
    """A header on several lines: broken after underscores and spaces, so that it is not wider than its column."""
    lines = [""]
    for word in re.findall(r"[^_ ]*[_ ]?", head):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def _print_blocks(out: Any, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print every row as a block of lines: the name of a column, and its value on the rest of the line."""
    from rich.table import Table
    from rich.text import Text

    for number, row in enumerate(rows, 1):
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, cell in zip(columns, row, strict=True):
            table.add_row(Text(printable(name)), Text(cell))
        out.print(Text(f"-- {number}", style="dim"))
        out.print(table)
