"""Reads pages that need no browser: plain text, Markdown source and Jupyter notebooks.

Their formulas get the same delimiters as those of rendered pages: $…$ and $$…$$. Fenced and indented code stays as it
is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from nemotron_assets.math import tex
from nemotron_assets.math.browser_markup import delimited_formula, printable
from nemotron_assets.math.delimiters import Conventions
from nemotron_assets.math.formula import Formula
from nemotron_assets.text.code_blocks import Code, code_block

_TAG = re.compile(r"<(?:!doctype|html|head|body|p|div|a|br|table|span|h[1-6]|ul|ol|li|img|script|math)\b", re.I)
_INLINE_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]{1,500}\1(?!`)")
_MAX_CELLS = 5_000


def kind_of(page: str, mime: str) -> Literal["html", "plain", "notebook"]:
    """What a decoded page is. Its content decides; `mime`, the media type, decides where the content does not."""
    start = page[:2_000].lstrip("\ufeff \t\r\n")
    if start.startswith("{") and '"nbformat"' in page and '"cells"' in page:
        return "notebook"
    if re.match(r"<(?:!doctype\s+html|html)\b", start, re.IGNORECASE):
        return "html"
    return "plain" if mime == "text/plain" or not _TAG.search(page) else "html"


def plain_text(page: str) -> tuple[str, tuple[Formula, ...], tuple[Code, ...]]:
    """(text, its formulas, its code blocks) of plain text or Markdown."""
    page = printable(page.replace("\r\n", "\n").replace("\r", "\n"))
    conventions = Conventions(renders=True, dollars=False)
    parts: list[str] = []
    formulas: list[Formula] = []
    blocks: list[Code] = []
    start = 0
    for low, high in [*tex.code_spans(page), (len(page), len(page))]:
        parts += _running_text(page[start:low], conventions, formulas)
        if low < high:
            parts.append(page[low:high])
            opening, _, inside = page[low:high].partition("\n")
            if block := code_block(inside.rpartition("\n")[0], opening.strip("`~ ").split(" ")[0]):
                blocks.append(block)
        start = high
    lines = (line.rstrip() for line in "".join(parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n"), tuple(formulas), tuple(blocks)


def _running_text(text: str, conventions: Conventions, formulas: list[Formula]) -> Iterator[str]:
    """Yield running text with its formulas between $…$ and $$…$$, and append them to `formulas`. Inline code, such as
    `$x$` between backticks, is not a formula."""
    start = 0
    for low, high in [*(match.span() for match in _INLINE_CODE.finditer(text)), (len(text), len(text))]:
        piece = text[start:low]
        at = 0
        for span in conventions.spans(piece, lambda span, piece=piece: conventions.accept(span, piece)):
            if found := delimited_formula(span, span.inside):
                yield escaped(piece[at : span.start])
                yield found.text()
                formulas.append(found)
                at = span.end
        yield escaped(piece[at:])
        yield escaped(text[low:high])
        start = high


def escaped(text: str) -> str:
    """Text with a backslash before every $, \\( and \\[ that would open a formula: "$5" becomes "\\$5"."""
    return re.sub(r"(?<!\\)(\\\\)*(\$|\\[(\[])", _with_backslash, text) if "$" in text or "\\" in text else text


def _with_backslash(match: re.Match[str]) -> str:
    return f"{match[0][: -len(match[2])]}\\{match[2]}"


def notebook_text(page: str, max_output: int) -> tuple[str, str, tuple[Formula, ...], tuple[Code, ...]] | None:
    """(title, text, formulas, code blocks) of a Jupyter notebook; None if the page is not one. The title is the first
    heading. Every output is cut at `max_output` characters; pictures are left out."""
    try:
        notebook = json.loads(page)
        cells = notebook["cells"]
        language = str(notebook.get("metadata", {}).get("language_info", {}).get("name", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(cells, list):
        return None
    language = language if re.fullmatch(r"[\w+#.-]{1,20}", language) else ""
    texts: list[str] = []
    formulas: list[Formula] = []
    blocks: list[Code] = []
    for cell in cells[:_MAX_CELLS]:
        if not isinstance(cell, dict):
            continue
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "markdown":
            text, found, code = plain_text(source)
            texts.append(text)
            formulas += found
            blocks += code
        elif cell.get("cell_type") == "code":
            outputs = [_output(output, max_output) for output in _list(cell.get("outputs"))]
            for block in (code_block(printable(source), language), *(code_block(printable(o), "") for o in outputs)):
                if block:
                    texts.append(block.fenced())
                    blocks.append(block)
        elif source.strip():
            texts.append(escaped(printable(source)))
    heading = next((m[1].strip() for text in texts if (m := re.search(r"^#{1,3} (.+)$", text, re.MULTILINE))), "")
    return heading[:500], "\n\n".join(text for text in texts if text), tuple(formulas), tuple(blocks)


def _output(output: Any, limit: int) -> str:
    """The text of a cell's output, cut at `limit` characters."""
    if not isinstance(output, dict):
        return ""
    data = output.get("data")
    text = output.get("text") if data is None else data.get("text/plain") if isinstance(data, dict) else ""
    return _joined(text)[:limit]


def _joined(value: Any) -> str:
    """A multi-line string of a notebook, which is stored as one string or as a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
