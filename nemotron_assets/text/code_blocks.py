"""Code blocks of web pages, line by line: without line numbers, labels and copy buttons, and with their language.

Highlighters write code in many ways: as the text of `<pre>`, one element per line (`<div class="line">`, `<li>`, table
rows, one `<code>` each), as `<code>` with `<br>`, or as elements of their own. Line numbers stand in cells or spans
beside the code. So a block is read by its lines: an element that is a line begins and ends one, and an element is a
line number if its class says so and it holds only digits. A class alone decides nothing: `gutter` is also a class of
page layouts, and `line-numbers` stands on the code itself.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import NamedTuple

import lxml.etree

from nemotron_assets.text.code_languages import language_of

Element = lxml.etree._Element

_NUMBERED = re.compile(
    r"(?:^|[\s_-])(?:lines?[_-]?(?:no|num|number)s?|linenodiv|lineno\w*|ln|lnt|lntd|lnum|blob-num|crayon-nums?|gutter)"
    r"(?=$|[\s_-])",
    re.IGNORECASE,
)
_NOT_NUMBERS = re.compile(r"[^\d\s.:|]")
_MAX_NUMBERS = 100_000  # characters of a column of line numbers
#: Elements that are not part of the code around them.
_APART = frozenset(
    ("button", "svg", "style", "template", "noscript", "select", "input", "textarea", "clipboard-copy", "copy-button")
)
_LABEL = re.compile(
    r"(?:^|[\s_-])(?:copy|copy-?(?:btn|button|code)|clipboard\w*|toolbar|header|file-?name|lang|language|label|caption|"
    r"sr-only|visually-hidden)(?=$|\s)",
    re.IGNORECASE,
)
_LINE_TAGS = frozenset(
    ("div", "p", "li", "tr", "ol", "ul", "table", "tbody", "pre", "section", "figure", "blockquote", "dd", "dt")
)
_LINE_CLASSES = frozenset(
    ("line", "code-line", "codeline", "token-line", "view-line", "hljs-line", "cm-line", "enlighter-line",
     "crayon-line", "ec-line")
)  # fmt: skip
_NOT_SELECTED = re.compile(r"user-select\s{0,9}:\s{0,9}none")
_KEEPS_SPACE = re.compile(r"white-space\s{0,9}:\s{0,9}(?:pre|pre-wrap|break-spaces)\s{0,9}(?:;|$)")
_CODE_FONT = re.compile(r"monospace|consolas|menlo|monaco|courier", re.IGNORECASE)
_DISPLAY_BLOCK = re.compile(r"display\s{0,9}:\s{0,9}(?:block|grid|flex|table-row)")
#: Elements in which white space only makes the page's source readable.
_BETWEEN = frozenset(("table", "tbody", "thead", "tr", "ol", "ul"))
_WRAPPED = re.compile(r"[ \t\r\n\f]+")
#: <script type="text/x-sage">: cells that a service runs. Other types are templates and settings of the page.
_CELL = re.compile(r"text/x-(sage|python|octave|r|maxima|gap|gp|singular|macaulay2|julia|matlab|ocaml|haskell)$")

_COLOURED = frozenset(("span", "a", "b", "i", "em", "strong"))

#: Classes of highlighters that write code without <pre>.
HIGHLIGHTERS = frozenset(
    ("syntaxhighlighter", "dp-highlighter", "crayon-pre", "CodeMirror-code", "cm-content", "enlighter", "blob-wrapper",
     "js-file-line-container", "geshi", "file-view", "view-lines", "ace_text-layer")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Code:
    """A code block with its own line breaks and indentation; `language` is "" if the page names none."""

    text: str
    language: str

    def fenced(self) -> str:
        """The code as a fenced block. The fence has more backticks than any run of backticks in the code."""
        longest = max((len(run) for run in re.findall(r"`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        return f"{fence}{self.language}\n{self.text}\n{fence}"


def code_block(text: str, language: str) -> Code | None:
    """A code block without blank lines around it and without blanks at the ends of its lines; None if nothing is
    left."""
    lines = [
        line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").split("\n")
    ]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return Code("\n".join(lines), language) if lines else None


_TEXT = lxml.etree.XPath("string()", smart_strings=False)  # faster than `itertext`
_FENCED = re.compile(r"^(`{3,})[^\n`]*\n.*?^\1[ \t]*$\n?", re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    """A text without its fenced code blocks."""
    return _FENCED.sub("", text) if "```" in text else text


def is_line_numbers(element: Element) -> bool:
    """Whether an element holds only line numbers, or nothing, and its class says so."""
    classes = element.get("class")
    return bool(classes) and _kind(classes).numbered and _only_digits(element)


class _Kind(NamedTuple):
    """What a class attribute may say of an element: that it holds line numbers, a line, or a label."""

    numbered: bool
    line: bool
    label: bool


@functools.lru_cache(4_096)
def _kind_of(classes: str) -> _Kind:
    is_line = not _LINE_CLASSES.isdisjoint(classes.split())
    return _Kind(bool(_NUMBERED.search(classes)), is_line, bool(_LABEL.search(classes)))


def _kind(classes: str) -> _Kind:
    return _kind_of(classes[:500])  # hostile classes are long


def _only_digits(element: Element) -> bool:
    """Whether an element has no text but digits and the marks between them."""
    size = 0
    for text in element.itertext():
        size += len(text)
        if size > _MAX_NUMBERS or _NOT_NUMBERS.search(text):
            return False
    return True


def preformatted_code(element: Element) -> tuple[Code | None, list[Element]]:
    """(code, scripts) of a <pre> element: its lines, and the <script> elements in it that are not code."""
    if _numbers_beside(element):
        return None, []
    lines = _Lines(element)
    return code_block(lines.text(), language_of(element)), lines.scripts


def multiline_code(element: Element) -> Code | None:
    """The code of a <code>, <samp>, <kbd> or <tt> element outside <pre> that has several lines; None if it has only
    one, or if it is a part of running text."""
    if next(element.iter("br", "div", "li", "tr", "p"), None) is not None:
        kept = "white-space" in (element.get("style") or "")
        text = _Lines(element, wrapped=not kept).text()
    elif _is_alone(element) and language_of(element):
        text = _TEXT(element)
    else:
        return None
    code = code_block(text, language_of(element))
    return code if code and "\n" in code.text else None


def highlighted_code(element: Element) -> Code | None:
    """The code of a highlighter that writes no <pre>, or one for each line; None if it writes one for the block."""
    one_per_line = {"CodeMirror-code", "cm-content"}.intersection((element.get("class") or "").split())
    if not one_per_line and next(element.iter("pre"), None) is not None:
        return None
    return code_block(_Lines(element).text(), language_of(element))


def script_code(element: Element) -> Code | None:
    """The code of a cell for a computing service, <script type="text/x-sage">; None for any other script."""
    kind = _CELL.match((element.get("type") or "").casefold().strip())
    return code_block(element.text or "", kind[1]) if kind else None


def doxygen_code(element: Element) -> Code | None:
    """The code of Doxygen's <div class="fragment">, in which every line is a <div class="line">. Line numbers are
    followed by a blank."""
    lines = [_Lines(line).text() for line in element.iter("div") if "line" in (line.get("class") or "").split()]
    if all(not line.strip() or line.startswith("\u00a0") for line in lines):
        lines = [line[1:] for line in lines]
    return code_block("\n".join(lines), "")


def styled_code(element: Element) -> Code | None:
    """The code in an element that is no <pre>, but has the style of one: white space is kept, and the font is one for
    code, as in what editors copy. None for any other element, and for a single line."""
    style = element.get("style") or ""
    if "white-space" not in style or not (_KEEPS_SPACE.search(style) and _CODE_FONT.search(style)):
        return None
    if next(element.iter("pre"), None) is not None:
        return None
    code = code_block(_Lines(element).text(), language_of(element))
    return code if code and "\n" in code.text else None


def _is_beside_code(element: Element) -> bool:
    """Whether an element says that it is no part of what a reader may select, hear or search: so are line numbers."""
    if element.get("aria-hidden") == "true" or element.get("data-nosnippet") is not None:
        return True
    style = element.get("style")
    return bool(style) and _NOT_SELECTED.search(style) is not None


def _is_column_of_numbers(element: Element) -> bool:
    """Whether a <code> holds only the line numbers of the <code> beside it."""
    beside = next(element.itersiblings("code"), None)
    if beside is None or not _only_digits(element):
        return False
    numbers, lines = _TEXT(element).split(), _TEXT(beside).rstrip("\n").count("\n") + 1
    return len(numbers) == lines > 1 and numbers == [str(n) for n in range(1, lines + 1)]


def _is_alone(element: Element) -> bool:
    """Whether an element is the only content of the element around it."""
    parent = element.getparent()
    if parent is None or len(parent) != 1:
        return False
    return not (parent.text or "").strip() and not (element.tail or "").strip()


def _numbers_beside(element: Element) -> bool:
    """Whether a <pre> holds the line numbers of the code in the next cell: the same number of lines, all digits."""
    cell = element.getparent()
    if cell is None or cell.tag != "td" or not _only_digits(element):
        return False
    beside = cell.getnext()
    code = beside.find(".//pre") if beside is not None else None
    if code is None:
        return False
    count = "".join(element.itertext()).split()
    return count == [str(int(count[0]) + i) for i in range(len(count))] if count and count[0].isdecimal() else not count


def _is_plain(element: Element) -> bool:
    """Whether an element holds only coloured words, with at most one <code> around them: then its text is its code.
    Most blocks are so, and this is fast."""
    codes = 0
    for inner in element.iterdescendants():
        tag = inner.tag
        if tag not in _COLOURED:
            codes += 1
            if tag != "code" or codes > 1:
                return False
        if not (names := inner.keys()):
            continue
        if classes := inner.get("class"):
            kind = _kind(classes)
            if kind.numbered or (tag != "code" and (kind.line or kind.label)):
                return False
            if len(names) == 1:
                continue
        if inner.get("style") or inner.get("data-line") is not None or inner.get("aria-hidden"):
            return False
        if inner.get("data-nosnippet") is not None:
            return False
    return True


class _Lines:
    """Reads the text of an element as lines. `wrapped`: the page's own line breaks and blanks mean nothing, because the
    element does not stand in <pre>. `scripts` are the scripts in it that are not code."""

    def __init__(self, element: Element, *, wrapped: bool = False) -> None:
        self.element, self.wrapped = element, wrapped
        self.scripts: list[Element] = []
        self._done: list[str] = []
        self._line: list[str] = []
        self._pending = False  # a line has ended, and nothing follows yet
        self._codes = set(element.iter("code"))

    def text(self) -> str:
        """The lines of the element, joined by line breaks."""
        if not self.wrapped and _is_plain(self.element):
            return _TEXT(self.element)
        started: list[tuple[int, bool]] = []
        code_depth = 0
        root, codes = self.element, self._codes
        walk = lxml.etree.iterwalk(root, events=("start", "end"))
        for event, inner in walk:
            if event == "start":
                tag = inner.tag if isinstance(inner.tag, str) else ""
                if inner is not root and (not tag or self._is_apart(inner, tag, code_depth > 0)):
                    started.append((-1, False))
                    walk.skip_subtree()
                    continue
                code_depth += inner in codes
                is_line = inner is not root and self._is_line(inner, tag)
                if is_line:
                    self._begin_line()
                started.append((len(self._done), is_line))
                text = inner.text
                if tag == "br":
                    self._end_line()
                elif text and not (tag in _BETWEEN and not text.strip()):
                    self._add(text)
                continue
            count, is_line = started.pop()
            if count >= 0:
                code_depth -= inner in codes
                if is_line:
                    self._pending = self._pending or bool(self._line) or len(self._done) == count
            if inner is not root and (text := inner.tail) and (text.strip() or inner.getparent().tag not in _BETWEEN):
                self._add(text)
        return "\n".join([*self._done, "".join(self._line)])

    def _add(self, text: str) -> None:
        """Add text. A line break at its start also ends a line that an element has ended."""
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not self._pending and not self.wrapped and "\n" not in text:
            self._line.append(text)
            return
        if self.wrapped:
            text = _WRAPPED.sub(" ", text)
            if not "".join(self._line).strip(" ") or self._pending:
                text = text.lstrip(" ")
        if self._pending:
            first, found, rest = text.partition("\n")
            if not text.strip(" \t\u00a0"):
                return  # blanks between two lines
            self._end_line()
            if found and not first.strip():
                text = rest
        *whole, last = text.split("\n")
        for part in whole:
            self._line.append(part)
            self._end_line()
        if last:
            self._line.append(last)

    def _end_line(self) -> None:
        self._done.append("".join(self._line))
        self._line, self._pending = [], False

    def _begin_line(self) -> None:
        """Begin a line for an element. Blanks before it only make the page's source readable."""
        if self._pending or "".join(self._line).strip():
            self._end_line()
        self._line = []

    def _is_line(self, element: Element, tag: str) -> bool:
        """Whether an element stands for a line or several lines."""
        if tag in _LINE_TAGS:
            return True
        if tag == "code":
            return self._is_line_of_codes(element)
        if tag != "span" or not element.attrib:
            return False
        if ((classes := element.get("class")) and _kind(classes).line) or element.get("data-line") is not None:
            return True
        style = element.get("style")
        return bool(style) and bool(_DISPLAY_BLOCK.search(style))

    def _is_line_of_codes(self, element: Element) -> bool:
        """Whether a <code> is one of several in a <pre> that follow each other directly: then each of them is a line.
        SyntaxHighlighter writes a <code> for each word of a line."""
        if element.getparent() is not self.element and element.getparent().tag != "pre":
            return False
        before, after = element.getprevious(), element.getnext()
        gaps = [
            *([before.tail or ""] if before is not None and before.tag == "code" else []),
            *([element.tail or ""] if after is not None and after.tag == "code" else []),
        ]
        return any(not gap or ("\n" in gap and not gap.strip()) for gap in gaps)

    def _is_apart(self, element: Element, tag: str, in_code: bool) -> bool:
        """Whether an element is not part of the code: a line number, a label, a copy button or a script."""
        if tag == "script":
            if cell := script_code(element):
                self._add(cell.text)
            else:
                self.scripts.append(element)
            return True
        if tag in _APART or (tag == "code" and _is_column_of_numbers(element)):
            return True
        if not element.attrib:
            return False
        classes = element.get("class")
        if len(element) == 0 and _is_beside_code(element) and _only_digits(element):
            return True
        if not classes:
            return False
        kind = _kind(classes)
        if kind.numbered and _only_digits(element):
            return True
        # A span of highlighted code may be called "label" itself; a block, or a span beside <code>, is a label.
        is_outside = not in_code and (bool(self._codes) or tag in _LINE_TAGS)
        return is_outside and kind.label and next(element.iter("code"), None) is None
