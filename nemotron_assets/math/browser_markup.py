"""Builds the markup that the text browser lays out: plain elements, text, and placeholders for formulas and code.

Running text is collected until its block ends and only then searched for delimiters, because emphasis, line breaks and
links may cut a formula: `\\(a<em>1 + b</em>2\\)` is one formula, `a_1 + b_2`, whose underscores Markdown took for
emphasis.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace

from nemotron_assets.math.asciimath import asciimath_to_tex
from nemotron_assets.math.declared import Macros
from nemotron_assets.math.delimiters import Conventions, Span
from nemotron_assets.math.formula import Formula, formula
from nemotron_assets.text.code_blocks import Code

#: Marks inside running text. They are private-use characters, which are removed from every page before it is read.
BREAK, EMPHASIS, STRONG, _DOLLAR, _BACKSLASH, _HELD = "\uf8f0", "\uf8f1", "\uf8f2", "\uf8f3", "\uf8f4", "\uf8f5"
_CODE = "\uf8f6"  # between the characters of inline code, in which no declared delimiter counts
MARKS = re.compile("[\uf8f0-\uf8f7]")
#: What the marks stand for in the browser's markup.
_WRITTEN = str.maketrans({EMPHASIS: "", STRONG: "", _CODE: "", _DOLLAR: "$", _BACKSLASH: "\\", BREAK: "<br>"})
_HELD_PIECE = re.compile(f"{_HELD}(\\d+){_HELD}")
#: Control characters. They belong to no text, and a browser may act on them.
_ASCII_CONTROLS = bytes((*range(9), 0x0B, *range(0x0E, 0x20), 0x7F))
#: The others, and the marks above, in UTF-8: U+0080 to U+009F, U+2028, U+2029, U+FFFE, U+FFFF, U+F8F0 to U+F8F7.
_FURTHER_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef(?:\xbf[\xbe\xbf]|\xa3[\xb0-\xb7])")


def placeholder(salt: str, number: int) -> str:
    """The word that stands for piece `number`; a text browser carries it through unchanged."""
    return f"zq{salt}x{number}qz"


def joint(salt: str) -> str:
    """The word before a line break that this module made, in the middle of a word of the page; `joint(salt) + "b"`
    stands for a blank of the page."""
    return f"zq{salt}jqz"


#: The text browser breaks lines near 1,010 bytes, even inside a placeholder where a script has no blanks.
_MOST_BYTES = 800
_LONG_TEXT = re.compile(rf"(?<=>)[^<>]{{{_MOST_BYTES // 4},}}")
_UNIT = re.compile(r"zq[a-k]+x\d+qz|&#?\w{1,10};|\s+|.", re.DOTALL)


def _broken(text: str, mark: str) -> str:
    """A text with line breaks before the browser makes its own: at a blank if there is one in time. Placeholders and
    entities stay whole."""
    if len(text.encode()) <= _MOST_BYTES:
        return text
    parts, size = [], 0
    for unit in _UNIT.finditer(text):
        if size >= _MOST_BYTES * 3 // 4 and unit[0].isspace():
            parts.append(f" {mark}b<br>")
            size = 0
            continue
        if size >= _MOST_BYTES:
            parts.append(f" {mark}<br>")
            size = 0
        parts.append(unit[0])
        size += len(unit[0].encode())
    return "".join(parts)


def printable(text: str) -> str:
    """Text without control characters and without this module's marks; it can always be encoded as UTF-8."""
    data = text.encode("utf-8", "replace").translate(None, _ASCII_CONTROLS)  # bytes are faster to look through
    return (data if text.isascii() else _FURTHER_CONTROLS.sub(b"", data)).decode()


class BrowserMarkup:
    """The markup of one page while it is built. `pieces` are its formulas and code blocks: piece number i stands in the
    markup as `placeholder(salt, i)`. While `code_depth` is above 0, added text is inline code, in which dollar signs
    and backslashes are not delimiters."""

    def __init__(self, salt: str, conventions: Conventions, macros: Macros | None = None) -> None:
        self.salt, self.conventions, self.macros = salt, conventions, macros
        self.pieces: list[Formula | Code] = []
        self.code_depth = 0
        self._out: list[str] = []
        self._run: list[str] = []

    def finish(self) -> str:
        """The whole markup; call it after the last addition and before `pieces` is read."""
        self._end_run()
        return _LONG_TEXT.sub(lambda text: _broken(text[0], joint(self.salt)), "".join(self._out))

    def tag(self, tag: str) -> None:
        """End the running text and write a tag, such as "<p>"."""
        if self._run:
            self._end_run()
        self._out.append(tag)

    def mark(self, mark: str) -> None:
        """Add `BREAK`, `EMPHASIS` or `STRONG` to the running text."""
        self._run.append(mark)

    def text(self, text: str) -> None:
        """Add text of the page to the running text."""
        if self.code_depth:
            text = text.replace("$", _DOLLAR).replace("\\", _BACKSLASH)
            if self.conventions.declares:
                text = _CODE.join(["", *text, ""])
        self._run.append(text)

    def piece(self, piece: Formula | Code | None) -> bool:
        """Add a placeholder for a formula or code block; False for None, which adds nothing. Code and displayed
        formulas end the running text and get a paragraph of their own."""
        if piece is None:
            return False
        if isinstance(piece, Code) or piece.display:
            self.tag(f"<p>{placeholder(self.salt, len(self.pieces))}</p>")
        else:
            self._run.append(f"{_HELD}{len(self.pieces)}{_HELD}")
        self._hold(piece)
        return True

    def _hold(self, piece: Formula | Code) -> None:
        """Add a piece, a formula without the macros of the page's settings."""
        if self.macros and isinstance(piece, Formula):
            piece = replace(piece, tex=self.macros.expand(piece.tex))
        self.pieces.append(piece)

    def _end_run(self) -> None:
        """Write the running text, with placeholders for the formulas between delimiters in it."""
        text = "".join(self._run)
        self._run = []
        start = 0
        if "$" in text or "\\" in text or self.conventions.declares:
            for span in self.conventions.spans(text, lambda span: self._accept(span, text)):
                if found := delimited_formula(span, _as_tex(span.inside)):
                    self._write(text[start : span.start])
                    mark = placeholder(self.salt, len(self.pieces))
                    self._out.append(f"<p>{mark}</p>" if found.display else mark)
                    self._hold(found)
                    start = span.end
        self._write(text[start:])

    def _accept(self, span: Span, text: str) -> bool:
        """Whether a span of running text is a formula. A span around another formula or around inline code is not."""
        if any(mark in span.inside for mark in (_HELD, _DOLLAR, _BACKSLASH, _CODE)):
            return False
        return self.conventions.accept(replace(span, inside=_as_tex(span.inside)), text)

    def _write(self, text: str) -> None:
        """Write running text without formulas: escaped, marks replaced by what they stand for."""
        if not text or text.isspace():
            self._out.append(text)
            return
        text = html.escape(text, quote=False)
        if not text.isascii() and MARKS.search(text):
            text = text.translate(_WRITTEN)
            if _HELD in text:
                text = _HELD_PIECE.sub(lambda m: placeholder(self.salt, int(m[1])), text)
        self._out.append(text)


def delimited_formula(span: Span, tex: str) -> Formula | None:
    """The formula in a span of running text, whose content is `tex`."""
    if span.kind == "environment":
        return formula(tex, True, "environment")
    if span.kind == "asciimath":
        return formula(asciimath_to_tex(tex), False, "asciimath")
    if span.kind in ("inline", "display"):
        return formula(tex, span.kind == "display", "delimited")
    if span.kind in ("dollars", "dollars2"):
        return formula(tex, span.kind == "dollars2", "dollars")
    return formula(tex, span.kind == "brackets", "delimited")


def _as_tex(text: str) -> str:
    """A span of running text as the TeX that its author typed: Markdown made emphasis of underscores."""
    return text.replace(EMPHASIS, "_").replace(STRONG, "__").replace(BREAK, "\n").replace("\u00a0", " ")
