"""Extracts the text of a page by its structure: paragraphs, headings, lists, tables and code, without navigation.

jusText judges paragraphs by length and stop words, so it loses what is short: list items, cells, headings, code. Here
the markup decides. Navigation is removed (text/furniture.py); on a page that marks no main part, blocks that are mostly
links, and lines that only a page's frame has, go as well. What is left is written block by block:

- a paragraph on one line, whatever lines its source has; `<br>` begins a new line
- "- " or "1. " before a list item, " | " between the cells of a table
- code in fenced blocks, line by line (text/code_blocks.py)
- a formula once, as TeX between dollar signs, where the page carries its TeX
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import lxml.etree

from nemotron_assets.text.code_blocks import (
    HIGHLIGHTERS,
    highlighted_code,
    is_line_numbers,
    multiline_code,
    preformatted_code,
    script_code,
    styled_code,
)
from nemotron_assets.text.furniture import remove_furniture
from nemotron_assets.web.paragraphs import removed, tree_of

Element = lxml.etree._Element

_BLOCKS = frozenset(
    ("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dir", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html",
     "li", "main", "menu", "nav", "ol", "p", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
     "ul")
)  # fmt: skip
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_PRE = frozenset(("pre", "xmp", "listing", "plaintext"))
_INLINE_CODE = frozenset(("code", "samp", "kbd", "tt"))
_LEFT_OUT = frozenset(
    ("template", "noscript", "svg", "iframe", "canvas", "audio", "video", "map", "datalist", "dialog", "title", "meta",
     "link", "base", "frameset", "noframes", "mjx-assistive-mml", "annotation", "annotation-xml", "img")
)  # fmt: skip
_DRAWN = frozenset(
    ("katex-html", "MathJax", "MathJax_Display", "MathJax_SVG", "MathJax_SVG_Display", "MathJax_CHTML", "mjx-chtml",
     "MathJax_Preview", "MJX_Assistive_MathML")
)  # fmt: skip
_IMAGES = frozenset(("latex", "tex", "math"))
#: A line break of the source between Han characters, kana or their punctuation: no blank stands there.
_CJK = r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]"
_WRAPPED_CJK = re.compile(rf"(?<={_CJK})[ \t]*[\r\n]\s*(?={_CJK})")
_MOST_LINKS = 0.5  # of the characters of a block that is the page's own text
_MAX_DEPTH = 150  # elements nested deeper are read as one line
#: Lines that only the frame of a page has.
_FRAME = re.compile(
    r"(?i)^\W*(?:skip to (?:main )?content|log ?in|sign (?:in|up)|register|subscribe|back to top|share(?: this)?|tweet|"
    r"menu|home|search|navigation|this page|table of contents|show source|edit this page|cookies?|privacy(?: policy)?|"
    r"terms(?: of (?:use|service))?|copyright\b.{0,200}|all rights reserved.{0,200}|©.{0,200}|powered by\b.{0,100}|"
    r"(?:previous|next|prev)(?: (?:page|topic|chapter|section|post|article))?|advertisement)\W*$"
)


@dataclass(slots=True)
class _Block:
    """A block of text. `kind`: "text", "heading", "item", "row" or "code"; `mark` stands before the text; `links`
    counts the characters inside links."""

    kind: str
    mark: str = ""
    parts: list[str] = field(default_factory=list)
    links: int = 0
    text: str = ""

    def end(self) -> None:
        """Make the text: one blank for white space, no blanks around line breaks."""
        if self.kind != "code":
            lines = (" ".join(line.split()) for line in "".join(self.parts).split("\n"))
            self.text = (
                "\n".join(line for line in lines if line).strip(" |")
                if self.kind == "row"
                else "\n".join(line for line in lines if line)
            )


def structured_text(markup: str) -> str:
    """The main text of a decoded page. Raises `NestedTooDeeply`."""
    dom = tree_of(markup)
    if dom is None:
        return ""
    _settle_formulas(dom)
    removed(dom)
    remove_furniture(dom)
    reader = _Reader()
    reader.read(dom, 0)
    reader.finish()
    blocks = [block for block in reader.blocks if block.text and not _is_frame(block)]
    while blocks and blocks[-1].kind == "heading":
        blocks.pop()  # nothing follows it
    if not any(map(_is_own, blocks)):
        return ""  # a page of links has no text
    return "".join(_joined(blocks))


def _is_own(block: _Block) -> bool:
    """Whether a block is text of the page's own, and neither a heading nor mostly links."""
    return block.kind == "code" or (block.kind != "heading" and block.links <= _MOST_LINKS * len(block.text))


def _is_frame(block: _Block) -> bool:
    """Whether a block is a line of a page's frame: "Log in", or a row of links."""
    if block.kind in ("code", "heading"):
        return False
    return len(block.text) < 250 and bool(_FRAME.match(block.text))


def _joined(blocks: list[_Block]):
    """Yield the blocks with the space between them: a line break inside a list or table, else a blank line."""
    before = None
    for block in blocks:
        if before is not None:
            yield "\n" if block.kind == before.kind and block.kind in ("item", "row") else "\n\n"
        yield block.mark + block.text
        before = block


class _Reader:
    """Walks over a page and collects its blocks."""

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self._block = _Block("text")
        self._numbers: list[int | None] = []  # of the open lists; None for a list without numbers
        self._in_link = self._in_row = 0

    def finish(self) -> None:
        """End the open block."""
        self._next("text")

    def _next(self, kind: str, mark: str = "") -> None:
        if self._block.parts:
            self._block.end()
            if self._block.text:
                self.blocks.append(self._block)
        self._block = _Block(kind, mark)

    def _text(self, text: str | None) -> None:
        if text:
            if self._in_link:
                self._block.links += len(text.strip())
            if not text.isascii():
                text = _WRAPPED_CJK.sub("", text)
            self._block.parts.append(" " if text.isspace() else text.replace("\r", " ").replace("\n", " "))

    def read(self, element: Element, depth: int) -> None:
        """Read an element and its content, but not the text behind it."""
        tag = element.tag
        if not isinstance(tag, str) or tag in _LEFT_OUT or "hidden" in element.attrib:
            return
        if depth > _MAX_DEPTH:
            self._text(" ".join(element.itertext()))
        elif is_line_numbers(element):
            return
        elif tag == "br":
            self._block.parts.append(" " if self._in_row else "\n")
        elif tag in _PRE:
            self._code(preformatted_code(element)[0])
        elif tag in _INLINE_CODE and (code := multiline_code(element)):
            self._code(code)
        elif tag in _BLOCKS:
            classes = element.get("class")
            if (classes and not HIGHLIGHTERS.isdisjoint(classes.split()) and (code := highlighted_code(element))) or (
                code := styled_code(element)
            ):
                self._code(code)
            else:
                self._read_block(element, tag, depth)
        else:
            if tag == "span" and element.get("class") == "classifier":
                self._block.parts.append(" : ")  # Sphinx leaves this sign to the style sheet: "name : type"
            is_link = tag == "a" and element.get("href") is not None
            self._in_link += is_link
            self._read_content(element, depth)
            self._in_link -= is_link

    def _read_content(self, element: Element, depth: int) -> None:
        self._text(element.text)
        for child in element:
            self.read(child, depth + 1)
            self._text(child.tail)

    def _read_block(self, element: Element, tag: str, depth: int) -> None:
        if tag in ("ol", "ul", "menu", "dir"):
            self._numbers.append(_start(element) if tag == "ol" else None)
            self._next("text")
            self._read_content(element, depth)
            self._numbers.pop()
            self._next("text")
        elif tag == "li":
            self._next("item", self._mark())
            self._read_content(element, depth)
            self._next("item", "  " * (len(self._numbers) - 1))
        elif tag == "tr" and not self._in_row and _is_row(element):
            self._next("row")
            self._in_row += 1
            for cell in element:
                if cell.tag in ("td", "th"):
                    if self._block.parts:
                        self._block.parts.append(" | ")
                    self._read_content(cell, depth)
            self._in_row -= 1
            self._next("text")
        elif self._in_row or self._starts_item(tag):
            self._block.parts.append(" ")
            self._read_content(element, depth)
            self._block.parts.append(" ")
        else:
            self._next("heading" if tag in _HEADINGS else "text")
            self._read_content(element, depth)
            self._next("text")

    def _starts_item(self, tag: str) -> bool:
        """Whether a block is the first one in a list item: its text stands behind the item's mark."""
        return tag in ("p", "div") and self._block.kind == "item" and not "".join(self._block.parts).strip()

    def _mark(self) -> str:
        """What stands before the next list item."""
        indent = "  " * (len(self._numbers) - 1)
        if not self._numbers or self._numbers[-1] is None:
            return f"{indent}- "
        self._numbers[-1] += 1
        return f"{indent}{self._numbers[-1] - 1}. "

    def _code(self, code) -> None:
        if code is None:
            return
        kind, mark = self._block.kind, self._block.mark
        self._next("code")
        self._block.text = code.fenced()
        self.blocks.append(self._block)
        self._block = _Block("text" if kind == "item" else kind, "" if kind == "item" else mark)


def _start(element: Element) -> int:
    """The first number of an ordered list."""
    start = (element.get("start") or "").strip()
    return int(start) if start.isdecimal() and len(start) < 6 else 1


def _is_row(element: Element) -> bool:
    """Whether a table row holds cells of data: at least two, without blocks of several paragraphs or code."""
    cells = [cell for cell in element if cell.tag in ("td", "th")]
    if len(cells) < 2:
        return False
    return all(
        next(cell.iter("table", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "blockquote"), None) is None
        and sum(1 for _ in zip(range(3), cell.iter("p", "div"), strict=False)) < 3
        for cell in cells
    )


# -- formulas ---------------------------------------------------------------------------------------------------------


def _settle_formulas(dom: Element) -> None:
    """Leave one copy of each formula in the tree: its TeX where the page carries it."""
    has_scripts = False
    for script in list(dom.iter("script")):
        kind = (script.get("type") or "").casefold()
        if kind.startswith("math/tex"):
            has_scripts = True
            _become(script, script.text or "", "display" in kind)
        elif cell := script_code(script):
            script.tag = "span" if script.getparent().tag in _PRE else "pre"
            script.set("class", f"language-{cell.language}")
    for container in list(dom.iter("mjx-container")):
        _settle_container(container)
    for math in list(dom.iter("math")):
        tex = next(("".join(a.itertext()) for a in math.iter("annotation") if "tex" in (a.get("encoding") or "")), "")
        _become(math, tex or math.get("alttext") or "", math.get("display") == "block")
    for image in list(dom.iter("img")):
        if not _IMAGES.isdisjoint((image.get("class") or "").split()):
            _become(image, image.get("alt") or "", False)
    for element in list(dom.iter("span", "div", "mjx-container")):
        names = (element.get("class") or "").split()
        if not names or _DRAWN.isdisjoint(names):
            continue
        is_copy = "katex-html" in names and element.getprevious() is not None
        if is_copy or has_scripts or "MathJax_Preview" in names or "MJX_Assistive_MathML" in names:
            tail = element.tail
            element.clear()
            element.tail = tail


def _settle_container(container: Element) -> None:
    """Leave of MathJax's output the TeX that it carries, else its MathML for screen readers: its glyphs are no text."""
    math = next(container.iter("math"), None)
    holders = [container, *container.iterfind(".//*[@data-latex]")]
    tex = next((value for e in holders[:2] for name in ("data-tex", "data-latex") if (value := e.get(name))), "")
    if tex:
        _become(container, tex, container.get("display") == "true")
    elif math is not None:
        tail, math.tail = container.tail, None
        container.clear()
        container.tag, container.tail = "span", tail
        container.append(math)


def _become(element: Element, tex: str, display: bool) -> None:
    """Make an element a formula between dollar signs; unchanged without TeX."""
    tex = " ".join(tex.split()).removeprefix("{\\displaystyle").strip("$ ") if tex else ""
    if not tex or len(tex) > 20_000:
        return
    if (element.get("alttext") or "").startswith("{\\displaystyle") or tex.count("}") == tex.count("{") + 1:
        tex = tex.removesuffix("}").strip()
    tail = element.tail
    element.clear()
    element.tag, element.tail = "span", tail
    fence = "$$" if display else "$"
    element.text = f"{fence}{tex}{fence}"
