"""A web page made ready for the text browser: formulas and code become short placeholders, the rest plain markup.

Every way in which pages write mathematics is turned into TeX before layout, each formula once, whatever invisible
copies accompany it (Nemotron-CC-Math §2 renders pages with Lynx; what a text browser cannot show, MathML and images
above all, would be lost there). Code blocks travel as placeholders, too, so that not a blank of them changes. What is
left is written anew with a small set of elements without attributes: nothing of the page's own markup, valid or
hostile, reaches the browser.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import Literal

import lxml.etree

from nemotron_assets.math.delimiters import Habits, Span, looks_like_tex, scan
from nemotron_assets.math.formula import Code, Formula, formula, undelimited
from nemotron_assets.math.images import image_formula
from nemotron_assets.math.typeset import (
    has_class,
    katex_formula,
    mathjax_formula,
    mathml_formula,
    parsed_mathml,
    script_formula,
)

Element = lxml.etree._Element

MAX_DEPTH = 200  # elements nested deeper are read as one row of text and formulas, without structure

#: Elements written for the browser, all without attributes. Everything else is read through.
_BLOCKS = frozenset(
    ("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dir", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
     "li", "main", "menu", "nav", "ol", "p", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead",
     "tr", "ul")
)  # fmt: skip
_WRITTEN_AS = {
    "address": "div", "article": "div", "aside": "div", "body": "div", "center": "div", "details": "div", "dir": "ul",
    "fieldset": "div", "figcaption": "p", "figure": "div", "footer": "div", "form": "div", "header": "div",
    "main": "div", "menu": "ul", "nav": "div", "section": "div", "summary": "p",
}  # fmt: skip
_UNREAD = frozenset(
    ("style", "noscript", "template", "head", "title", "svg", "object", "embed", "applet", "iframe", "frame",
     "frameset", "noframes", "audio", "video", "canvas", "map", "select", "textarea", "button", "input", "datalist",
     "base", "link", "meta", "param", "area", "source", "track", "marquee", "dialog", "mjx-assistive-mml")
)  # fmt: skip
_CODE = frozenset(("code", "kbd", "samp", "tt", "var"))
_BLOCKS_OF_CODE = frozenset(("pre", "xmp", "listing", "plaintext"))
#: Elements that hold one formula as their text, and whether it is a displayed one.
_FORMULA_ELEMENTS = {"d-math": False, "dt-math": False, "tex": False, "tex-math": False, "math-renderer": False}
_ALWAYS_SPECIAL = frozenset(("script", "math", "m:math", "mml:math", "img", "amp-img", *_FORMULA_ELEMENTS))

# Marks inside running text, from a part of Unicode that no page may use (they are removed from the input).
_BREAK, _EMPHASIS, _STRONG, _DOLLAR, _BACKSLASH, _HELD = "\uf8f0", "\uf8f1", "\uf8f2", "\uf8f3", "\uf8f4", "\uf8f5"
_MARKS = re.compile("[\uf8f0-\uf8f7]")
#: What no text has, and what a browser may do something else with: control characters.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x9f\u2028\u2029\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A page for the browser: plain markup in which piece number i stands as `placeholder(salt, i)`."""

    title: str
    markup: str
    pieces: tuple[Formula | Code, ...]
    salt: str


def placeholder(salt: str, number: int) -> str:
    """A word that a text browser carries through unchanged."""
    return f"zq{salt}x{number}qz"


def prepare(page: str, salt: str, *, scripts: Literal["unicode", "tex", "plain"] = "unicode") -> Prepared:
    """Read a decoded page. `salt` (letters and digits) must not make words that the page has; `scripts` says how
    superscripts and subscripts outside formulas are written."""
    page = sound(page)
    root, whole = _parsed(page)
    if not whole:  # deeper than the parser goes: without the elements that only nest
        root, _ = _parsed(_NESTING.sub("<br>", page))
    if root is None:
        return Prepared("", "", (), salt)
    reader = _Reader(salt, scripts, Habits.of(page))
    reader.read(root)
    title = next((" ".join("".join(t.itertext()).split()) for t in root.iter("title")), "")
    return Prepared(_MARKS.sub("", title)[:500], reader.markup(), tuple(reader.pieces), salt)


_NESTING = re.compile(
    r"</?(?:div|span|font|b|i|em|strong|u|a|center|table|tbody|tr|td|ul|ol|li|dl|dd|dt|blockquote|section|article|sup|sub|"
    r"small|big|form|nobr|main)\b[^<>]*>",
    re.IGNORECASE,
)


def _parsed(page: str) -> tuple[Element | None, bool]:
    """The root of a page, None for an empty one, and whether the parser read all of it."""
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml.etree.fromstring(page.encode("utf-8"), parser)
    except lxml.etree.XMLSyntaxError:
        root = None
    return root, not any("depth" in error.message for error in parser.error_log)


def sound(text: str) -> str:
    """Text that can be encoded, without control characters and this module's own marks."""
    return _CONTROL.sub("", _MARKS.sub("", text)).encode("utf-8", "replace").decode("utf-8")


class _Reader:
    """One walk over a page's elements. Running text is collected until its block ends, and only then searched for
    delimiters, because a formula may be cut by emphasis, line breaks and links."""

    def __init__(self, salt: str, scripts: str, habits: Habits) -> None:
        self.salt, self.scripts, self.habits = salt, scripts, habits
        self.pieces: list[Formula | Code] = []
        self._out: list[str] = []
        self._run: list[str] = []
        self._shielded = 0  # inside inline code, where delimiters are none

    def markup(self) -> str:
        self._flush()
        return "".join(self._out)

    def read(self, element: Element, depth: int = 0) -> None:
        """Read an element with everything in it, but not the text behind it."""
        tag = element.tag
        if not isinstance(tag, str) or self._taken(element, tag):
            return
        if depth > MAX_DEPTH:
            self._read_flat(element)
        elif tag in ("sup", "sub"):
            self._script(element, tag, depth)
        elif tag in _BLOCKS:
            self._block(element, tag, depth)
        else:
            mark = _EMPHASIS if tag in ("em", "i") else _STRONG if tag in ("strong", "b") else ""
            shield = tag in _CODE
            self._shielded += shield
            self._run.append(mark)
            self._children(element, depth)
            self._run.append(mark)
            self._shielded -= shield

    def _taken(self, element: Element, tag: str) -> bool:
        """Whether an element is done with: a formula, code, a line break, or nothing to read."""
        if (element.attrib or tag in _ALWAYS_SPECIAL) and self._special(element, tag):
            return True
        if tag in _BLOCKS_OF_CODE:
            self._code(element)
        elif tag == "br":
            self._run.append(_BREAK)
        elif tag == "hr":
            self._flush()
            self._out.append("<hr>")
        else:
            return tag in _UNREAD or "hidden" in element.attrib
        return True

    def _block(self, element: Element, tag: str, depth: int) -> None:
        name = _WRITTEN_AS.get(tag, tag)
        self._flush()
        self._out.append(f"<{name}>")
        self._children(element, depth)
        self._flush()
        self._out.append(f"</{name}>")

    def _children(self, element: Element, depth: int) -> None:
        if element.text:
            self._text(element.text)
        for child in element:
            self.read(child, depth + 1)
            if child.tail:
                self._text(child.tail)

    def _read_flat(self, element: Element) -> None:
        """Read an element without recursion: its text and formulas in a row, a break where a block begins."""
        walk = lxml.etree.iterwalk(element, events=("start", "end"))
        for event, inner in walk:
            if event == "start":
                if inner is not element and self._taken(inner, inner.tag):
                    walk.skip_subtree()
                    continue
                if inner.tag in _BLOCKS:
                    self._run.append(_BREAK)
                if inner.text:
                    self._text(inner.text)
            elif inner is not element and inner.tail:
                self._text(inner.tail)

    # -- pieces ---------------------------------------------------------------------------------------------------

    def _hold(self, piece: Formula | Code | None) -> bool:
        """Put a placeholder for the piece at this place; whether there was one."""
        if piece is None:
            return False
        if isinstance(piece, Code) or piece.display:
            self._flush()
            self._out.append(f"<p>{placeholder(self.salt, len(self.pieces))}</p>")
        else:
            self._run.append(f"{_HELD}{len(self.pieces)}{_HELD}")
        self.pieces.append(piece)
        return True

    def _special(self, element: Element, tag: str) -> bool:
        """Formulas in elements of their own; whether this element is done with."""
        if tag == "script":
            self._hold(script_formula(element))
            return True
        if tag in ("math", "m:math", "mml:math"):
            self._hold(mathml_formula(element, has_class(element.getparent(), "mwe-math-mathml-display")))
            return True
        classes = element.get("class") or ""
        if tag in ("img", "amp-img"):
            self._image(element, classes)
            return True
        if tag in _FORMULA_ELEMENTS and not len(element):
            display = "block" in element.attrib or "display" in classes
            return self._hold(formula(element.text or "", display, "attribute"))
        if tag == "mjx-container" or "mjx-container" in classes:
            if not self._hold(mathjax_formula(element)):
                self._text(f" {_visible(element)} ")
            return True
        if self._by_attribute(element, tag, classes):
            return True
        return bool(classes) and self._by_class(element, tag, classes.split())

    def _image(self, element: Element, classes: str) -> None:
        if "mwe-math-fallback" in classes and _math_beside(element):
            return
        if mathml := element.get("data-mathml"):  # WIRIS writes its own brackets
            plain = mathml.translate({0xAB: "<", 0xBB: ">", 0xA8: '"', 0xA7: "&"})
            if self._hold(mathml_formula(parsed_mathml(plain))):
                return
        if not self._hold(image_formula(element)) and (alt := " ".join((element.get("alt") or "").split())):
            self._text(f" {alt[:200]} ")

    def _by_attribute(self, element: Element, tag: str, classes: str) -> bool:
        """Formulas whose TeX stands in an attribute."""
        for name in ("data-tex", "data-latex", "data-formula", "data-value", "data-katex", "data-expr"):
            value = element.get(name)
            if value and (name in ("data-tex", "data-latex") or "formula" in classes or "math" in tag):
                display = "block" in classes or "display" in classes or element.get("display") in ("true", "block")
                return self._hold(formula(value, display, "attribute"))
        return False

    def _by_class(self, element: Element, tag: str, classes: list[str]) -> bool:
        known = _SPECIAL_CLASSES.intersection(classes)
        if not known:
            return False
        if known & {"katex", "katex-display"}:
            display = "katex-display" in known or has_class(element.getparent(), "katex-display")
            if "katex-display" in known and len(element) != 1:
                return False  # read the one inside, and what stands beside it
            return self._hold(katex_formula(element, display))
        if "katex-error" in known:
            return self._hold(formula("".join(element.itertext()), False, "katex"))
        if known & {"MathJax_Preview", "katex-html", "katex-mathml", "MJX_Assistive_MathML"}:
            return True
        if known & _MATHJAX2:
            # The script behind carries the formula; without it, the frame's own copy or its boxes do.
            if not _script_of(element) and not self._hold(mathjax_formula(element)):
                self._text(f" {_visible(element)} ")
            return True
        if known & _GUTTERS:
            return tag in ("td", "span", "div", "a")
        if "fragment" in known:
            return tag == "div" and self._doxygen(element)
        if len(element) or tag == "img":
            return False
        return self._contained(element, tag, classes)

    def _contained(self, element: Element, tag: str, classes: list[str]) -> bool:
        """An element for mathematics whose text is a formula, with delimiters or without."""
        if (tag in _CODE or tag in _BLOCKS_OF_CODE) and not {"math", "js-render-math"}.intersection(classes):
            return False  # TeX shown as a source
        text = (element.text or "").strip()
        inside, displayed = undelimited(text)
        bare = inside == text
        if bare and not (looks_like_tex(text) or _BARE.fullmatch(text)):
            return False
        display = displayed or "display" in classes or (bare and tag in ("div", "pre") and "inline" not in classes)
        display = display or element.get("data-math-style") == "display"
        return self._hold(formula(text, display, "attribute" if bare else "dollars" if text[0] == "$" else "delimited"))

    def _doxygen(self, element: Element) -> bool:
        """Doxygen's code: a division with a division for every line."""
        lines = [line for line in element.iter("div") if has_class(line, "line")]
        for line in lines:
            for number in [e for e in line.iter("span") if has_class(e, "lineno")]:
                _empty(number)
        return self._hold(code_block("\n".join("".join(line.itertext()) for line in lines), ""))

    def _code(self, element: Element) -> None:
        # Line numbers are no part of the code.
        for gutter in element.xpath(
            ".//*[contains(@class,'lineno') or contains(@class,'gutter') or contains(@class,'line-number')]"
        ):
            _empty(gutter)
        for line_break in element.iter("br"):
            line_break.tail = "\n" + (line_break.tail or "")
        formulas = []
        for script in list(element.iter("script")):
            formulas.append(script_formula(script))
            _empty(script)
        self._hold(code_block("".join(element.itertext()), _language(element)))
        for piece in formulas:
            self._hold(piece)

    def _script(self, element: Element, tag: str, depth: int) -> None:
        if any(isinstance(child.tag, str) for child in element):
            self._children(element, depth)  # a note's link, a formula
        else:
            self._text(_scripted(element.text or "", tag, self.scripts))

    # -- running text ---------------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if self._shielded:
            text = text.replace("$", _DOLLAR).replace("\\", _BACKSLASH)
        self._run.append(text)

    def _flush(self) -> None:
        """Write the running text, its formulas taken out."""
        text = "".join(self._run)
        self._run = []
        start = 0
        if "$" in text or "\\" in text:
            for span in scan(text, lambda span: self._accept(span, text)):
                if found := delimited_formula(span, _as_tex(span.inside)):
                    self._write(text[start : span.start])
                    mark = placeholder(self.salt, len(self.pieces))
                    self._out.append(f"<p>{mark}</p>" if found.display else mark)
                    self.pieces.append(found)
                    start = span.end
        self._write(text[start:])

    def _accept(self, span: Span, text: str) -> bool:
        """Whether a stretch of running text is a formula: not with another one or with inline code in it."""
        if any(mark in span.inside for mark in (_HELD, _DOLLAR, _BACKSLASH)):
            return False
        return self.habits.accept(replace(span, inside=_as_tex(span.inside)), text)

    def _write(self, text: str) -> None:
        if not text:
            return
        text = text.replace(_EMPHASIS, "").replace(_STRONG, "")
        text = html.escape(text.replace(_DOLLAR, "$").replace(_BACKSLASH, "\\"), quote=False)
        if _HELD in text:
            text = re.sub(f"{_HELD}(\\d+){_HELD}", lambda m: placeholder(self.salt, int(m[1])), text)
        self._out.append(text.replace(_BREAK, "<br>"))


def delimited_formula(span: Span, tex: str) -> Formula | None:
    """The formula in a stretch of running text, given what stands in it as TeX."""
    if span.kind == "environment":
        return formula(tex, True, "environment")
    if span.kind in ("dollars", "dollars2"):
        return formula(tex, span.kind == "dollars2", "dollars")
    return formula(tex, span.kind == "brackets", "delimited")


def _as_tex(text: str) -> str:
    """A stretch of running text as the TeX its author typed: Markdown has made emphasis of underscores."""
    return text.replace(_EMPHASIS, "_").replace(_STRONG, "__").replace(_BREAK, "\n").replace("\u00a0", " ")


# -- classes ----------------------------------------------------------------------------------------------------------

_MATHJAX2 = frozenset(
    ("MathJax", "MathJax_Display", "MathJax_SVG", "MathJax_SVG_Display", "MathJax_CHTML", "MathJax_MathML",
     "MathJax_PlainSource", "MathJax_PlainSource_Display", "mjx-chtml", "MJXc-display", "MathJax_Processed",
     "MathJax_PHTML", "MathJax_PHTML_Display")
)  # fmt: skip
_GUTTERS = frozenset(("linenos", "lineno", "linenodiv", "gutter", "line-numbers-rows"))
_SPECIAL_CLASSES = (
    _MATHJAX2
    | _GUTTERS
    | {
        "katex",
        "katex-display",
        "katex-error",
        "katex-html",
        "katex-mathml",
        "MathJax_Preview",
        "MJX_Assistive_MathML",
        "fragment",
        "math",
        "tex",
        "latex",
        "MathTex",
        "math-container",
        "texmath",
        "mathjax-tex",
        "js-render-math",
        "arithmatex",
        "math-tex",
        "math-latex",
    }
)
#: A formula without anything that only TeX has: a letter, a number, a relation.
_BARE = re.compile(r"[-+]?\w(?:'{1,3})?|[-+\d.,]+|[\w\s()|<>=+*/.,:;!?'\[\]-]{1,40}(?<![A-Za-z]{4})")


def _visible(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _empty(element: Element) -> None:
    """Take out what is in an element; the text behind it stays."""
    element.text = ""
    for child in list(element):
        element.remove(child)


def _script_of(element: Element) -> bool:
    """Whether the script a rendered frame was made from stands behind it (MathJax 2 leaves it there)."""
    following = element
    for _ in range(3):
        following = following.getnext()
        if following is None:
            break
        if following.tag == "script" and (following.get("type") or "").startswith("math/"):
            return True
    parent = element.getparent()
    around = parent is not None and bool(_MATHJAX2.intersection((parent.get("class") or "").split()))
    return around and _script_of(parent)


def _math_beside(element: Element) -> bool:
    """Whether the formula of a fallback image stands beside it as MathML."""
    parent = element.getparent()
    return parent is not None and next(parent.iter("math"), None) is not None


# -- code and scripts -------------------------------------------------------------------------------------------------

_LANGUAGE_CLASS = re.compile(
    r"(?:^|\s)(?:language-|lang-|highlight-source-|highlight-|brush:\s*|sourceCode\s+|src-)([\w+#.-]{1,20})"
)
_NO_LANGUAGES = frozenset(
    ("default", "none", "text", "plain", "plaintext", "notranslate", "nohighlight", "output", "txt")
)

_LANGUAGE_NAMES = {"python3": "python", "py": "python", "ipython3": "python", "ipython": "python", "pycon": "python"}


def _language(element: Element) -> str:
    """The language a page names for a code block: on the block, inside it, or up to two elements around it."""
    around: list[Element] = [element, *element.iter("code")]
    parent = element.getparent()
    for _ in range(2):
        if parent is not None:
            around.append(parent)
            parent = parent.getparent()
    for candidate in around:
        named = candidate.get("data-lang") or candidate.get("data-language") or ""
        found = _LANGUAGE_CLASS.search(candidate.get("class") or "")
        name = (named or (found[1] if found else "")).casefold()
        if name and re.fullmatch(r"[\w+#.-]{1,20}", name):
            return "" if name in _NO_LANGUAGES else _LANGUAGE_NAMES.get(name, name)
    return ""


def code_block(text: str, language: str) -> Code | None:
    """A code block without blank lines around it and blanks behind its lines."""
    lines = [
        line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").split("\n")
    ]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return Code("\n".join(lines), language) if lines else None


_SUPERSCRIPTS = dict(zip("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", strict=True))
_SUBSCRIPTS = dict(zip("0123456789+-=()aeoxhklmnpst", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜ", strict=True))


def _scripted(text: str, tag: str, how: str) -> str:
    """Text of <sup> or <sub>: in Unicode's own characters where it has them, else behind ^ or _."""
    text = text.strip()
    if how == "plain" or not text or len(text) > 40:
        return text
    table, sign = (_SUPERSCRIPTS, "^") if tag == "sup" else (_SUBSCRIPTS, "_")
    if how == "unicode" and all(character in table for character in text):
        return "".join(table[character] for character in text)
    return f"{sign}{text}" if len(text) == 1 else f"{sign}({text})" if how == "unicode" else f"{sign}{{{text}}}"
