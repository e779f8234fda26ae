"""Pages to text: markup made ready, laid out by Lynx in batches, formulas and code put back byte for byte.

Nothing may be lost on the way: every placeholder must come back exactly once, else the page is rendered alone, and a
page that fails alone is an error of its own (Nemotron-CC-Math §2; the placeholders are those of markup.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nemotron_assets.math.formula import Code, Formula
from nemotron_assets.math.markup import Prepared, prepare
from nemotron_assets.math.plain import escaped, kind_of, notebook_text, plain_text
from nemotron_assets.math.tex import code_spans

if TYPE_CHECKING:
    from resources.lynx import Lynx

_SALT_LETTERS = "abcdefghijk"


class RenderError(RuntimeError):
    """A page that cannot be laid out without losing something."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page's text with its formulas between $…$ and $$…$$ and its code in fenced blocks; `layout` says what laid it
    out: lynx, or plain or notebook, which need no browser."""

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
    """Text of decoded pages, in order, `batch` of them in one browser process; an error stands in a page's place.
    `mimes` are their media types, `max_output` bounds the outputs of notebooks, in characters."""
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
    """A page of plain text or a notebook; None for one that the browser lays out."""
    kind = kind_of(page, mime)
    if kind == "notebook" and (notebook := notebook_text(page, max_output)):
        return Rendered(*notebook, "notebook")
    return Rendered("", *plain_text(page), "plain") if kind == "plain" or kind == "notebook" else None


def _render(pages: Sequence[str], lynx: Lynx, scripts: str) -> list[Rendered | RenderError]:
    prepared = [prepare(page, salt_for(page), scripts=scripts) for page in pages]
    done: list[Rendered | RenderError] = []
    for page, text in zip(prepared, lynx.render([p.markup for p in prepared]), strict=True):
        whole = restore(page, text) if isinstance(text, str) else RenderError(str(text))
        if isinstance(whole, RenderError) and len(pages) > 1:
            [text] = lynx.render([page.markup])
            whole = restore(page, text) if isinstance(text, str) else RenderError(str(text))
        done.append(whole)
    return done


def salt_for(page: str) -> str:
    """Letters that make placeholders no word of the page."""
    salt = "a"
    while f"zq{salt}x" in page:
        salt += _SALT_LETTERS[len(salt) % len(_SALT_LETTERS)]
    return salt


def restore(page: Prepared, text: str) -> Rendered | RenderError:
    """Put formulas and code back into the laid-out text. An error if a placeholder is missing or doubled."""
    pattern = re.compile(rf"zq{page.salt}x(\d+)qz")
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
    whole = _tidied("\n".join(lines))
    pieces = [page.pieces[number] for number in found]
    formulas = tuple(piece for piece in pieces if isinstance(piece, Formula))
    return Rendered(page.title, whole, formulas, tuple(piece for piece in pieces if isinstance(piece, Code)))


def _put_back(line: str, pattern: re.Pattern[str], pieces: Sequence[Formula | Code]) -> str:
    """A line of running text with its formulas. A dollar sign or bracket of the text itself must open none, and two
    formulas in a row, or one before a digit, keep their ends apart."""
    parts, start = [], 0
    for match in pattern.finditer(line):
        if text := escaped(line[start : match.start()]):
            parts.append(f" {text}" if text[0].isdigit() and parts else text)
        elif parts:
            parts.append(" ")
        piece = pieces[int(match[1])]
        # Code in the middle of a line (a table cell, a list item) gets lines of its own all the same.
        parts.append(f"\n{piece.fenced()}\n" if isinstance(piece, Code) else piece.text())
        start = match.end()
    text = escaped(line[start:])
    return "".join([*parts, f" {text}" if text[:1].isdigit() and parts else text])


def _tidied(text: str) -> str:
    """At most one blank line in a row outside code."""
    parts, start = [], 0
    for low, high in [*code_spans(text), (len(text), len(text))]:
        parts += [re.sub(r"\n{3,}", "\n\n", text[start:low]), text[low:high]]
        start = high
    return "".join(parts).strip("\n")
