"""Prepares a web page for the text browser: formulas and code become placeholders, the rest becomes plain markup.

Every way in which pages write mathematics is turned into TeX before layout. Each formula is read once, although pages
often carry invisible copies of it (Nemotron-CC-Math §2 renders pages with Lynx, which cannot show MathML and images).
Code blocks become placeholders, too, so that none of their blanks changes. The rest of the page is written again with a
small set of elements without attributes: none of the page's own markup, valid or hostile, reaches the browser.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

import lxml.etree

from nemotron_assets.math.asciimath import asciimath_to_tex
from nemotron_assets.math.browser_markup import (
    BREAK,
    EMPHASIS,
    MARKS,
    STRONG,
    BrowserMarkup,
    printable,
)
from nemotron_assets.math.declared import Macros, settings_of
from nemotron_assets.math.delimiters import Conventions, looks_like_tex
from nemotron_assets.math.formula import Formula, formula, undelimited
from nemotron_assets.math.images import image_formula, with_comments_of_latex2html
from nemotron_assets.math.typeset import (
    has_class,
    katex_formula,
    mathjax_formula,
    mathml_formula,
    parsed_mathml,
    script_formula,
)
from nemotron_assets.text.attributes import check_attributes
from nemotron_assets.text.code_blocks import (
    HIGHLIGHTERS,
    Code,
    doxygen_code,
    highlighted_code,
    is_line_numbers,
    multiline_code,
    preformatted_code,
    script_code,
    styled_code,
)
from nemotron_assets.text.furniture import remove_furniture

Element = lxml.etree._Element

MAX_DEPTH = 200  # elements nested deeper are read as one line of text and formulas, without structure

#: Block elements that are written for the browser, without attributes. The content of other elements is read as if the
#: element were not there.
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
_IGNORED = frozenset(
    ("style", "noscript", "template", "head", "title", "svg", "object", "embed", "applet", "iframe", "frame",
     "frameset", "noframes", "audio", "video", "canvas", "map", "select", "textarea", "button", "input", "datalist",
     "base", "link", "meta", "param", "area", "source", "track", "marquee", "dialog", "mjx-assistive-mml")
)  # fmt: skip
_EMPHASES = {"em": EMPHASIS, "i": EMPHASIS, "strong": STRONG, "b": STRONG}
_CODE = frozenset(("code", "kbd", "samp", "tt", "var"))
_BLOCKS_OF_CODE = frozenset(("pre", "xmp", "listing", "plaintext"))
#: Elements whose text is one formula.
_FORMULA_ELEMENTS = frozenset(("d-math", "dt-math", "tex", "tex-math", "math-renderer"))
#: Elements that may hold a formula even if they have no attributes.
_MAY_HOLD_FORMULA = frozenset(("script", "math", "m:math", "mml:math", "img", "amp-img", *_FORMULA_ELEMENTS))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A page for the browser: plain markup in which piece number i stands as `browser_markup.placeholder(salt, i)`."""

    title: str
    markup: str
    pieces: tuple[Formula | Code, ...]
    salt: str


def prepare(page: str, salt: str, *, scripts: Literal["unicode", "tex", "plain"] = "unicode") -> Prepared:
    """Prepare a decoded page. `salt` (letters and digits) must not make placeholders that are words of the page (see
    `render.salt_for`). `scripts` says how superscripts and subscripts outside formulas are written: x², x^{2} or x2."""
    page = with_comments_of_latex2html(printable(page))
    root, complete = _parse(page)
    if not complete:  # the page is nested deeper than the parser goes: parse it without elements that only nest
        root, _ = _parse(_NESTING.sub("<br>", page))
    if root is None:
        return Prepared("", "", (), salt)
    remove_furniture(root)
    settings = settings_of(page)
    reader = _Reader(BrowserMarkup(salt, Conventions.declared_in(page, settings), Macros(settings)), scripts)
    reader.read(root)
    title = next((" ".join("".join(t.itertext()).split()) for t in root.iter("title")), "")
    return Prepared(MARKS.sub("", title)[:500], reader.out.finish(), tuple(reader.out.pieces), salt)


_NESTING = re.compile(
    r"</?(?:div|span|font|b|i|em|strong|u|a|center|table|tbody|tr|td|ul|ol|li|dl|dd|dt|blockquote|section|article|sup|sub|"
    r"small|big|form|nobr|main)\b[^<>]*>",
    re.IGNORECASE,
)


def _parse(page: str) -> tuple[Element | None, bool]:
    """(root element, or None for an empty page; whether the parser read the whole page)."""
    check_attributes(page)
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml.etree.fromstring(page.encode("utf-8"), parser)
    except lxml.etree.XMLSyntaxError:
        root = None
    return root, not any("depth" in error.message for error in parser.error_log)


class _Reader:
    """Walks over the elements of a page and writes them to `out`."""

    def __init__(self, out: BrowserMarkup, scripts: str) -> None:
        self.out, self.scripts = out, scripts

    def read(self, element: Element, depth: int = 0) -> None:
        """Read an element and its content, but not the text behind it."""
        tag = element.tag
        if not isinstance(tag, str) or self._read_special(element, tag):
            return
        if depth > MAX_DEPTH:
            self._read_flat(element)
        elif tag in ("sup", "sub"):
            self._read_script(element, tag, depth)
        elif tag in _BLOCKS:
            name = _WRITTEN_AS.get(tag, tag)
            self.out.tag(f"<{name}>")
            self._read_content(element, depth)
            self.out.tag(f"</{name}>")
        elif tag in _CODE and not self.out.code_depth and (code := multiline_code(element)):
            self.out.piece(code)
        else:
            mark = _EMPHASES.get(tag)
            self.out.code_depth += tag in _CODE
            if mark:
                self.out.mark(mark)
            self._read_content(element, depth)
            if mark:
                self.out.mark(mark)
            self.out.code_depth -= tag in _CODE

    def _read_content(self, element: Element, depth: int) -> None:
        write, read, depth = self.out.text, self.read, depth + 1
        if text := element.text:
            write(text)
        for child in element:
            read(child, depth)
            if tail := child.tail:
                write(tail)

    def _read_flat(self, element: Element) -> None:
        """Read an element without recursion: its text and formulas on one line, a break where a block begins."""
        walk = lxml.etree.iterwalk(element, events=("start", "end"))
        for event, inner in walk:
            if event == "start":
                if inner is not element and self._read_special(inner, inner.tag):
                    walk.skip_subtree()
                    continue
                if inner.tag in _BLOCKS:
                    self.out.mark(BREAK)
                if inner.text:
                    self.out.text(inner.text)
            elif inner is not element and inner.tail:
                self.out.text(inner.tail)

    def _read_special(self, element: Element, tag: str) -> bool:
        """Read a formula, a code block or a line break, or ignore the element; False if its content is to be read."""
        attributes = element.keys()  # `element.attrib` makes an object for every element
        if (attributes or tag in _MAY_HOLD_FORMULA) and self._read_formula(element, tag, attributes):
            return True
        if tag in _BLOCKS_OF_CODE and (source := _math_as_code(element)) is not None:
            self.out.piece(formula(source, True, "attribute"))
        elif tag in _BLOCKS_OF_CODE:
            code, scripts = preformatted_code(element)
            for piece in (code, *map(script_formula, scripts)):
                self.out.piece(piece)
        elif tag == "br":
            self.out.mark(BREAK)
        elif tag == "hr":
            self.out.tag("<p></p>")  # a rule of 1,000 underscores says nothing
        else:
            return tag in _IGNORED or "hidden" in attributes
        return True

    def _read_script(self, element: Element, tag: str, depth: int) -> None:
        """Read <sup> or <sub>."""
        if any(isinstance(child.tag, str) for child in element):
            self._read_content(element, depth)  # it holds an element: the link of a footnote, or a formula
        else:
            self.out.text(_script_text(element.text or "", tag, self.scripts))

    # -- formulas -------------------------------------------------------------------------------------------------

    def _read_formula(self, element: Element, tag: str, attributes: list[str]) -> bool:
        """Read the formula that an element with these `attributes` holds. True if the element needs no more reading,
        also where it holds a copy of another formula."""
        classes = ("class" in attributes and element.get("class")) or ""
        if tag in _MAY_HOLD_FORMULA:
            if tag == "script":
                self.out.piece(script_formula(element) or script_code(element))
                return True
            if tag in ("math", "m:math", "mml:math"):
                self.out.piece(mathml_formula(element, has_class(element.getparent(), "mwe-math-mathml-display")))
                return True
            if tag in ("img", "amp-img"):
                self._read_image(element, classes)
                return True
            if not len(element):
                display = "block" in attributes or "display" in classes
                return self.out.piece(formula(element.text or "", display, "attribute"))
        if tag == "mjx-container" or "mjx-container" in classes:
            if not self.out.piece(mathjax_formula(element)):
                self.out.text(f" {_visible(element)} ")
            return True
        if "style" in attributes and tag in _BLOCKS and self.out.piece(styled_code(element)):
            return True
        if "data-" in " ".join(attributes) and self._read_attribute(element, tag, classes):
            return True
        return bool(classes) and self._read_by_class(element, tag, classes)

    def _read_image(self, element: Element, classes: str) -> None:
        """Read an image: its formula, else its alternative text."""
        if "mwe-math-fallback" in classes and _has_math_beside(element):
            return  # the MathML beside it carries the formula
        if mathml := element.get("data-mathml"):  # WIRIS writes «math» for <math>
            plain = mathml.translate({0xAB: "<", 0xBB: ">", 0xA8: '"', 0xA7: "&"})
            if self.out.piece(mathml_formula(parsed_mathml(plain))):
                return
        if not self.out.piece(image_formula(element)) and (alt := " ".join((element.get("alt") or "").split())):
            self.out.text(f" {alt[:200]} ")

    def _read_attribute(self, element: Element, tag: str, classes: str) -> bool:
        """Read a formula whose TeX stands in an attribute, such as data-tex."""
        if (value := element.get("data-math")) and value.casefold() not in _NO_FORMULAS:
            drawn = "math" in classes or "katex" in classes or next(element.iter("math"), None) is not None
            if drawn or element.xpath("boolean(*[contains(@class, 'katex') or contains(@class, 'MathJax')])"):
                display = "block" in classes or "display" in classes or tag == "div"
                return self.out.piece(formula(value, display, "attribute"))
        for name in ("data-tex", "data-latex", "data-formula", "data-value", "data-katex", "data-expr"):
            value = element.get(name)
            if value and (name in ("data-tex", "data-latex") or "formula" in classes or "math" in tag):
                display = "block" in classes or "display" in classes or element.get("display") in ("true", "block")
                return self.out.piece(formula(value, display, "attribute"))
        return False

    def _read_by_class(self, element: Element, tag: str, attribute: str) -> bool:
        """Read an element whose class says that it is a formula, a copy of one, a line number or Doxygen's code."""
        known = _known_classes(attribute) if len(attribute) < 500 else _known_classes.__wrapped__(attribute)
        if not known:
            return is_line_numbers(element)
        if known & {"katex", "katex-display"}:
            display = "katex-display" in known or has_class(element.getparent(), "katex-display")
            if "katex-display" in known and len(element) != 1:
                return False  # its children are read: the formula and the text beside it, such as an equation number
            return self.out.piece(katex_formula(element, display))
        if "katex-error" in known:
            return self.out.piece(formula("".join(element.itertext()), False, "katex"))
        if known & {"MathJax_Preview", "katex-html", "katex-mathml", "MJX_Assistive_MathML", "hidden-readable"}:
            return True
        if known & _MATHJAX2:
            # The <script> behind it carries the formula. Without that script, read the rendered formula itself.
            if not _has_script_behind(element) and not self.out.piece(mathjax_formula(element)):
                self.out.text(f" {_visible(element)} ")
            return True
        if "classifier" in known:
            self.out.text(" : ")  # Sphinx leaves this sign to the style sheet: "name : type"
            return False
        if known & HIGHLIGHTERS:
            return self.out.piece(highlighted_code(element))
        if "stemblock" in known:
            text = "".join(element.itertext()).strip()
            is_asciimath = len(text) > 4 and text.startswith(r"\$") and text.endswith(r"\$")
            return is_asciimath and self.out.piece(formula(asciimath_to_tex(text[2:-2]), True, "asciimath"))
        if "fragment" in known:
            return tag == "div" and self.out.piece(doxygen_code(element))
        if len(element) or tag == "img":
            return False
        return self._read_container(element, tag, attribute.split())

    def _read_container(self, element: Element, tag: str, classes: list[str]) -> bool:
        """Read an element for mathematics whose text is a formula, with delimiters or without: <span class="math">."""
        if (tag in _CODE or tag in _BLOCKS_OF_CODE) and not _MATH_AS_CODE.intersection(classes):
            return False  # the page shows TeX as source code
        text = (element.text or "").strip()
        inside, displayed = undelimited(text)
        bare = inside == text
        if bare and not (looks_like_tex(text) or _BARE.fullmatch(text)):
            return False
        display = (
            displayed
            or not {"display", "math-display"}.isdisjoint(classes)
            or (bare and tag in ("div", "pre") and "inline" not in classes)
        )
        display = display or element.get("data-math-style") == "display"
        encoding = "attribute" if bare else "dollars" if text[0] == "$" else "delimited"
        return self.out.piece(formula(text, display, encoding))


# -- classes ----------------------------------------------------------------------------------------------------------

_MATHJAX2 = frozenset(
    ("MathJax", "MathJax_Display", "MathJax_SVG", "MathJax_SVG_Display", "MathJax_CHTML", "MathJax_MathML",
     "MathJax_PlainSource", "MathJax_PlainSource_Display", "mjx-chtml", "MJXc-display", "MathJax_Processed",
     "MathJax_PHTML", "MathJax_PHTML_Display")
)  # fmt: skip
_SPECIAL_CLASSES = (
    _MATHJAX2
    | HIGHLIGHTERS
    | {
        "katex",
        "katex-display",
        "katex-error",
        "katex-html",
        "katex-mathml",
        "MathJax_Preview",
        "MJX_Assistive_MathML",
        "hidden-readable",
        "fragment",
        "stemblock",
        "classifier",
        "language-math",
        "lang-math",
        "math-inline",
        "math-display",
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


@functools.lru_cache(4_096)
def _known_classes(attribute: str) -> frozenset[str]:
    """The classes of a class attribute by which an element is read."""
    return frozenset(_SPECIAL_CLASSES.intersection(attribute.split()))


#: Classes of <code> whose text is a formula: Markdown writes formulas so for scripts that draw them.
_MATH_AS_CODE = frozenset(("math", "js-render-math", "language-math", "lang-math", "math-inline", "math-display"))
#: Values of data-math that say only that there is a formula, or how it is placed.
_NO_FORMULAS = frozenset(("true", "false", "inline", "block", "display", "tex", "latex", "1", "0"))
#: A formula without anything that only TeX has: "x", "3.5", "a < b".
_BARE = re.compile(r"[-+]?\w(?:'{1,3})?|[-+\d.,]+|[\w\s()|<>=+*/.,:;!?'\[\]-]{1,40}(?<![A-Za-z]{4})")


def _math_as_code(element: Element) -> str | None:
    """The TeX of a <pre> whose only content is <code class="language-math">, or that has such a class; else None."""
    holders = [element, *([element[0]] if len(element) == 1 and not (element.text or "").strip() else [])]
    for holder in holders:
        classes = set((holder.get("class") or "").split())
        if classes & {"language-math", "lang-math", "math-display", "js-render-math"} or holder.get("lang") == "math":
            return "".join(holder.itertext())
    return None


def _visible(element: Element) -> str:
    """The text of an element on one line."""
    return " ".join("".join(element.itertext()).split())


def _has_script_behind(element: Element) -> bool:
    """Whether the <script> from which MathJax 2 rendered an element follows it, at most three elements later."""
    following = element
    for _ in range(3):
        following = following.getnext()
        if following is None:
            break
        if following.tag == "script" and (following.get("type") or "").startswith("math/"):
            return True
    parent = element.getparent()
    around = parent is not None and bool(_MATHJAX2.intersection((parent.get("class") or "").split()))
    return around and _has_script_behind(parent)


def _has_math_beside(element: Element) -> bool:
    """Whether MathML stands in the same element as an image: MediaWiki writes the formula in both forms."""
    parent = element.getparent()
    return parent is not None and next(parent.iter("math"), None) is not None


# -- scripts ----------------------------------------------------------------------------------------------------------

_SUPERSCRIPTS = dict(zip("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", strict=True))
_SUBSCRIPTS = dict(zip("0123456789+-=()aeoxhklmnpst", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜ", strict=True))


def _script_text(text: str, tag: str, how: str) -> str:
    """The text of <sup> or <sub>. "unicode" writes ² and _(ij), "tex" writes ^2 and _{ij}, "plain" adds nothing. Texts
    of more than 40 characters stay as they are."""
    text = text.strip()
    if how == "plain" or not text or len(text) > 40:
        return text
    table, sign = (_SUPERSCRIPTS, "^") if tag == "sup" else (_SUBSCRIPTS, "_")
    if how == "unicode" and all(character in table for character in text):
        return "".join(table[character] for character in text)
    return f"{sign}{text}" if len(text) == 1 else f"{sign}({text})" if how == "unicode" else f"{sign}{{{text}}}"
