"""Writes Markdown in which names and texts from the lake or the recipe are shown as they are: no such text becomes a
heading, a link, a table cell or HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

#: Characters with a meaning inside a line of Markdown. An underscore between letters has no meaning and stays as it is,
#: so that web.nemotron_cc_v2 is legible.
_SIGNS = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")


class Markdown(str):
    """Text that is Markdown already, and is written as it is."""


def plain(text: Any) -> str:
    """A text in one line that Markdown shows as it is."""
    if isinstance(text, Markdown):
        return str(text)
    return _SIGNS.sub(r"\\\g<0>", html.escape(" ".join(str(text).split()), quote=False))


def code(text: Any) -> Markdown:
    """A text in one line, as code. It may hold back-ticks, and may stand in a table."""
    line = " ".join(str(text).split()).replace("|", "\\|")
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return Markdown(f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}")


def bold(text: Any) -> Markdown:
    """A text in one line, in bold."""
    return Markdown(f"**{plain(text)}**")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table. A cell is shown as it is, unless it is `Markdown`."""

    def line(cells: Iterable[Any]) -> str:
        return "| " + " | ".join(map(plain, cells)) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *map(line, rows)])
