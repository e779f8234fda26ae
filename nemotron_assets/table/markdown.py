"""Texts from the web in Markdown: a page must not put a link, an image or markup of its own into a report."""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+!|~:@$^=]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown_text(value: object, width: int | None = None) -> str:
    """A value as plain text inside Markdown, in one line: every character that Markdown or HTML could act on is
    escaped, and control characters become "?". A text of more than `width` characters is cut."""
    text = str(value)
    # White space is joined after a first cut, because a text may be as large as a page.
    line = " ".join((text if width is None else text[: width + 1]).split())
    line = line if width is None else line[:width]
    line = "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else _ENTITIES.get(c, c) for c in line)
    return _SPECIAL.sub(r"\\\g<0>", line) + ("…" if width is not None and len(text) > width else "")


def markdown_row(cells: list[object] | tuple[object, ...], width: int | None = None) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(markdown_text(cell, width) for cell in cells)} |"
