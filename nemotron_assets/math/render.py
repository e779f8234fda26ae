"""Renders pages as text: prepares their markup, lays them out with Lynx in batches, puts formulas and code back.

Formulas and code come back byte for byte. Every placeholder must come back from the browser exactly once; otherwise the
page is rendered again, alone. If it fails again, the page gets an error, and the other pages of its batch do not
(Nemotron-CC-Math §2; markup.py makes the placeholders).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nemotron_assets.math.browser_markup import joint
from nemotron_assets.math.formula import Formula
from nemotron_assets.math.markup import Prepared, prepare
from nemotron_assets.math.plain import escaped, kind_of, notebook_text, plain_text
from nemotron_assets.math.tex import code_spans
from nemotron_assets.text.attributes import TooManyAttributes
from nemotron_assets.text.code_blocks import Code

if TYPE_CHECKING:
    from resources.lynx import Lynx

_SALT_LETTERS = "abcdefghijk"


class RenderError(RuntimeError):
    """A page cannot be laid out without losing a formula or a code block, or must not be parsed."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page as text, with formulas as $…$ and $$…$$ and code in fenced blocks. `layout` is "lynx" if the browser laid
    the page out, "plain" for plain text and "notebook" for a Jupyter notebook."""

    title: str
    text: str
    formulas: tuple[Formula, ...]
    code: tuple[Code, ...]
    layout: str = "lynx"


def render_pages(
    pages: Sequence[str],
    lynx: Lynx,
    *,
    mimes: Sequence[str] | None = None,
    scripts: Literal["unicode", "tex", "plain"] = "unicode",
    batch: int = 25,
    max_output: int = 2_000,
) -> list[Rendered | RenderError]:
    """Render decoded pages, in order, `batch` of them in one browser process. A page that fails has a `RenderError` in
    its place. `mimes` are the media types of the pages (text/html if not given). `scripts` says how superscripts and
    subscripts outside formulas are written. Each output of a notebook is cut at `max_output` characters."""
    results: list[Rendered | RenderError | None] = [
        _without_browser(page, mime, max_output)
        for page, mime in zip(pages, mimes or ["text/html"] * len(pages), strict=True)
    ]
    rest = [i for i, result in enumerate(results) if result is None]
    for start in range(0, len(rest), batch):
        some = rest[start : start + batch]
        for i, result in zip(some, _render([pages[i] for i in some], lynx, scripts), strict=True):
            results[i] = result
    return results


def _without_browser(page: str, mime: str, max_output: int) -> Rendered | None:
    """The text of a plain-text page or a notebook; None for a page that needs the browser."""
    kind = kind_of(page, mime)
    if kind == "notebook" and (notebook := notebook_text(page, max_output)):
        return Rendered(*notebook, "notebook")
    return Rendered("", *plain_text(page), "plain") if kind == "plain" or kind == "notebook" else None


def _render(pages: Sequence[str], lynx: Lynx, scripts: str) -> list[Rendered | RenderError]:
    """Render pages of HTML in one browser process, and failed ones again in a process of their own."""
    prepared = [_prepared(page, scripts) for page in pages]
    texts = iter(lynx.render([page.markup for page in prepared if isinstance(page, Prepared)]))
    done: list[Rendered | RenderError] = []
    for page in prepared:
        if isinstance(page, RenderError):
            done.append(page)
            continue
        text = next(texts)
        result = restore(page, text) if isinstance(text, str) else RenderError(str(text))
        if isinstance(result, RenderError) and len(pages) > 1:
            [text] = lynx.render([page.markup])
            result = restore(page, text) if isinstance(text, str) else RenderError(str(text))
        done.append(result)
    return done


def _prepared(page: str, scripts: str) -> Prepared | RenderError:
    """The page as markup for the browser, or why the page must not be parsed."""
    try:
        return prepare(page, salt_for(page), scripts=scripts)
    except TooManyAttributes as error:
        return RenderError(str(error))


def salt_for(page: str) -> str:
    """Letters such that no placeholder made with them stands in the page."""
    salt = "a"
    while f"zq{salt}" in page:
        salt += _SALT_LETTERS[len(salt) % len(_SALT_LETTERS)]
    return salt


def restore(page: Prepared, text: str) -> Rendered | RenderError:
    """Put formulas and code back into the laid-out text; an error if a placeholder is missing or stands there twice."""
    pattern = re.compile(rf"zq{page.salt}x(\d+)qz")
    if (seam := joint(page.salt)) in text:
        text = re.sub(rf"\s*{seam}(b?)\s*", lambda mark: " " * len(mark[1]), text)
    found = [int(number) for number in pattern.findall(text)]
    if sorted(found) != list(range(len(page.pieces))):
        lost = len(page.pieces) - len(set(found))
        return RenderError(f"{lost} of {len(page.pieces)} formulas and code blocks did not come back from the browser")
    lines: list[str] = []
    for line in text.split("\n"):
        alone = pattern.fullmatch(line.strip())
        if alone:
            piece = page.pieces[int(alone[1])]
            lines += ["", piece.fenced(), ""] if isinstance(piece, Code) else [piece.text()]
        else:
            lines.append(_put_back(line, pattern, page.pieces))
    result = _with_single_blank_lines("\n".join(lines))
    pieces = [page.pieces[number] for number in found]
    formulas = tuple(piece for piece in pieces if isinstance(piece, Formula))
    return Rendered(page.title, result, formulas, tuple(piece for piece in pieces if isinstance(piece, Code)))


def _put_back(line: str, pattern: re.Pattern[str], pieces: Sequence[Formula | Code]) -> str:
    """A line of running text with its formulas. The text's own dollar signs and brackets are escaped, so that they open
    no formula. A blank is added between two formulas, and between a formula and a digit, so that both can be parsed."""
    if "zq" not in line:
        return escaped(line)
    parts, start = [], 0
    for match in pattern.finditer(line):
        if text := escaped(line[start : match.start()]):
            parts.append(f" {text}" if text[0].isdigit() and parts else text)
        elif parts:
            parts.append(" ")
        piece = pieces[int(match[1])]
        # Code gets lines of its own, also in a table cell or list item.
        parts.append(f"\n{piece.fenced()}\n" if isinstance(piece, Code) else piece.text())
        start = match.end()
    text = escaped(line[start:])
    return "".join([*parts, f" {text}" if text[:1].isdigit() and parts else text])


def _with_single_blank_lines(text: str) -> str:
    """A text with at most one blank line in a row, except inside code."""
    parts, start = [], 0
    for low, high in [*code_spans(text), (len(text), len(text))]:
        parts += [re.sub(r"\n{3,}", "\n\n", text[start:low]), text[low:high]]
        start = high
    return "".join(parts).strip("\n")
