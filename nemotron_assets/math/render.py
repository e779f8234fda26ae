"""Pages to text: markup made ready, laid out by Lynx in batches, formulas and code put back byte for byte.

Nothing may be lost on the way: every placeholder must come back exactly once, else the page is rendered alone, and a
page that fails alone is an error of its own (Nemotron-CC-Math §2; the placeholders are those of markup.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.math.markup import Code, Formula, Prepared, prepare

if TYPE_CHECKING:
    from resources.lynx import Lynx

_SALT_LETTERS = "abcdefghijk"


class RenderError(RuntimeError):
    """A page that cannot be laid out without losing something."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page's text with its formulas between $…$ and $$…$$ and its code in fenced blocks."""

    title: str
    text: str
    formulas: tuple[Formula, ...]
    code: tuple[Code, ...]


def render_pages(
    pages: Sequence[str], lynx: Lynx, *, scripts: str = "unicode", batch: int = 25
) -> list[Rendered | RenderError]:
    """Text of decoded pages, in order, `batch` of them in one browser process; an error stands in a page's place."""
    results: list[Rendered | RenderError] = []
    for start in range(0, len(pages), batch):
        results += _render(pages[start : start + batch], lynx, scripts)
    return results


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
    found = sorted(int(number) for number in pattern.findall(text))
    if found != list(range(len(page.pieces))):
        lost = len(page.pieces) - len(set(found))
        return RenderError(f"{lost} of {len(page.pieces)} formulas and code blocks did not come back from the browser")
    lines = []
    for line in text.split("\n"):
        alone = pattern.fullmatch(line.strip())
        if alone:
            lines.append(_block(page.pieces[int(alone[1])]))
        else:
            # A dollar sign of the text itself must open no formula.
            plain = line.replace("$", r"\$")
            lines.append(pattern.sub(lambda match: _inline(page.pieces[int(match[1])]), plain))
    whole = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return Rendered(
        page.title,
        whole,
        tuple(piece for piece in page.pieces if isinstance(piece, Formula)),
        tuple(piece for piece in page.pieces if isinstance(piece, Code)),
    )


def _block(piece: Formula | Code) -> str:
    return piece.fenced() if isinstance(piece, Code) else piece.text()


def _inline(piece: Formula | Code) -> str:
    """Code in the middle of a line (a table cell, a list item) gets lines of its own all the same."""
    return f"\n{piece.fenced()}\n" if isinstance(piece, Code) else piece.text()
