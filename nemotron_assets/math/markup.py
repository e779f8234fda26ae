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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, unquote_plus, urlsplit

import lxml.etree

from nemotron_assets.math.mathml import Node, to_tex

MAX_DEPTH = 250  # elements nested deeper are read as text, without structure
MAX_TEX = 20_000  # characters; longer "formulas" are text

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
    ("script", "style", "noscript", "template", "head", "title", "svg", "object", "embed", "applet", "iframe", "frame",
     "frameset", "noframes", "audio", "video", "canvas", "map", "select", "textarea", "button", "input", "datalist",
     "base", "link", "meta", "param", "area", "source", "track", "xmp", "plaintext", "listing", "marquee", "dialog")
)  # fmt: skip
_CODE = frozenset(("code", "kbd", "samp", "tt", "var"))

# Marks inside running text, from a part of Unicode that no page may use (they are removed from the input).
_BREAK, _EMPHASIS, _STRONG, _DOLLAR, _BACKSLASH, _HELD = "\uf8f0", "\uf8f1", "\uf8f2", "\uf8f3", "\uf8f4", "\uf8f5"
_MARKS = re.compile("[\uf8f0-\uf8f7]")

Encoding = Literal[
    "delimited", "dollars", "environment", "script", "mathml", "annotation", "image", "katex", "mathjax", "attribute"
]


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as TeX without delimiters; `encoding` says how the page carried it."""

    tex: str
    display: bool
    encoding: Encoding

    def text(self) -> str:
        """As it stands in the text: one style of delimiters, $…$ and $$…$$."""
        return f"$${self.tex}$$" if self.display else f"${self.tex}$"


@dataclass(frozen=True, slots=True)
class Code:
    """A code block with its own line breaks and indentation; `language` is "" where the page does not say."""

    text: str
    language: str

    def fenced(self) -> str:
        """As a fenced block, behind a fence longer than any in the code."""
        longest = max((len(run) for run in re.findall(r"`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        return f"{fence}{self.language}\n{self.text}\n{fence}"


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
    page = _encodable(_MARKS.sub("", page))
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml.etree.fromstring(page.encode("utf-8"), parser)
    except lxml.etree.XMLSyntaxError:  # an empty document
        root = None
    if root is None:
        return Prepared("", "", (), salt)
    reader = _Reader(salt, scripts, _dollars_are_formulas(page))
    reader.read(root)
    title = " ".join("".join(t.itertext()) for t in root.iter("title"))
    return Prepared(" ".join(title.split())[:500], reader.markup(), tuple(reader.pieces), salt)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


# -- delimiters in running text ---------------------------------------------------------------------------------------

_ENVIRONMENTS = "equation|align|alignat|gather|multline|eqnarray|displaymath|math|flalign|aligned|split|cases"
_TEXT_FORMULA = re.compile(
    r"(?P<escaped>\\\\[\[\(]|\\\$)"
    r"|\\\[(?P<brackets>.{1,20000}?)\\\]|\\\((?P<parentheses>.{1,20000}?)\\\)"
    r"|\$\$(?P<dollars2>[^$]{1,20000}?)\$\$"
    rf"|(?P<environment>\\begin\{{(?P<name>(?:{_ENVIRONMENTS})\*?)\}}.{{1,20000}}?\\end\{{(?P=name)\}})"
    r"|\$(?P<dollars>(?:[^$\\]|\\.){1,5000}?)\$(?!\d)",
    re.DOTALL,
)
_LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]{2,}|[\^_]\{|[\^_][A-Za-z0-9]|\\[,;{}]")
# Currency and shell variables: "$5 and $", "$HOME/$".
_PROSE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}")
_SETS_DOLLARS = re.compile(
    r"""inlineMath["']?\s*:\s*\[[^;]{0,200}?["']\$["']|left["']?\s*:\s*["']\$["']|delimiters[^;]{0,200}?["']\$["']""",
)


def _dollars_are_formulas(page: str) -> bool:
    """Whether the page tells MathJax or KaTeX that $…$ is a formula."""
    return bool(_SETS_DOLLARS.search(page))


# -- images -----------------------------------------------------------------------------------------------------------

_IMAGE_CLASSES = frozenset(
    ("math", "tex", "latex", "formulainl", "formuladsp", "mwe-math-fallback-image-inline", "ltx_math", "equation",
     "mwe-math-fallback-image-display", "mathtex", "texmath", "katex-img", "ee_img", "latex-image", "tex-math",
     "wp-katex-eq", "formula", "inlineformula", "displayformula")
)  # fmt: skip
_RENDERERS = re.compile(
    r"latex\.codecogs\.com|codecogs\.com/(?:gif|png|svg|eq)|latex\.php|/mathtex\.cgi|/mimetex(?:\.cgi)?|/cgi-bin/mimetex|"
    r"chart\.(?:apis\.)?google(?:apis)?\.com/chart|math\.now\.sh|i\.upmath\.me|render\.githubusercontent\.com/render/math|"
    r"zhihu\.com/equation|s\d?\.wp\.com/latex|wordpress\.com/latex|quicklatex|texify|/media/math/render/|"
    r"latex2png|sciweavers\.org/tex2img|forkosh|/img/latex|/latex/image|mathurl\.com/render|tex\.s2cms|/images/math/"
)
_DISPLAY_CLASSES = ("dsp", "display", "block", "mathblock", "equation-display")


def _image(element: lxml.etree._Element) -> Formula | None:
    """The formula an image shows, from its address or its alternative text."""
    source = element.get("src") or element.get("data-src") or ""
    alt = (element.get("alt") or "").strip()
    classes = (element.get("class") or "").casefold()
    tex = element.get("data-tex") or element.get("data-latex") or element.get("data-formula") or ""
    if not tex and (known := bool(_RENDERERS.search(source))):
        tex = _tex_of_address(source) or alt
    elif not tex:
        known = not _IMAGE_CLASSES.isdisjoint(classes.split()) or _in_math(element)
        known = known or _delimited(alt) or alt.startswith(r"\begin{") or alt.startswith(r"\displaystyle")
        tex = alt if known else ""
    tex = tex.strip()
    if not tex or len(tex) > MAX_TEX:
        return None
    display = any(word in classes for word in _DISPLAY_CLASSES) or r"\displaystyle" in tex[:40] or _alone(element)
    return _formula(tex, display and not tex.startswith(r"{\displaystyle"), "image")


def shows_formula(tag: str) -> bool:
    """Whether the source of an <img> tag looks like a formula's."""
    classes = re.search(r"""\bclass\s*=\s*["']([^"']*)""", tag)
    if classes and not _IMAGE_CLASSES.isdisjoint(classes[1].casefold().split()):
        return True
    return bool(
        _RENDERERS.search(tag) or re.search(r"""\balt\s*=\s*["'](?:\$[^$]+\$|\\[(\[]|\\begin\{|\\displaystyle)""", tag)
    )


def _delimited(alt: str) -> bool:
    if len(alt) > 2 and alt[0] == "$" and alt[-1] == "$":
        return True
    return (alt.startswith(r"\[") and alt.endswith(r"\]")) or (alt.startswith(r"\(") and alt.endswith(r"\)"))


def _in_math(element: lxml.etree._Element) -> bool:
    """Whether the image is all there is in an element of class math (as Sphinx writes displayed formulas)."""
    parent = element.getparent()
    for _ in range(2):
        if parent is None:
            return False
        if "math" in (parent.get("class") or "").split():
            return True
        parent = parent.getparent()
    return False


def _alone(element: lxml.etree._Element) -> bool:
    """Whether an image is the only thing in its block."""
    parent = element.getparent()
    if parent is None or parent.tag not in ("p", "div", "td", "center") or len(parent) != 1:
        return False
    return not (parent.text or "").strip() and not (element.tail or "").strip()


def _tex_of_address(address: str) -> str:
    """The TeX inside the address of a rendering service."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    query = parts.query
    fields = dict(part.split("=", 1) for part in re.split(r"&(?:amp;)?", query) if "=" in part)
    for name in ("latex", "tex", "chl", "math", "eq", "formula"):
        if name in fields and "\\" not in query.split("=", 1)[0]:
            return unquote_plus(fields[name]).strip()
    if (query and "codecogs" in parts.netloc + parts.path) or "mimetex" in parts.path or "mathtex" in parts.path:
        # A fragment sign in a formula ends the query in a careless address.
        whole = query + (f"#{parts.fragment}" if parts.fragment else "")
        return re.sub(
            r"^(?:\\(?:dpi|bg)(?:\{[^}]*\}|_\w+)\s*|\\(?:inline|small|large|fn_\w+|bg_\w+)\s+)+", "", unquote(whole)
        ).strip()
    for marker in ("/svg/", "/png/", "/gif/"):
        if marker in parts.path and ("upmath" in parts.netloc or "s2cms" in parts.netloc):
            return unquote(parts.path.split(marker, 1)[1]).strip()
    return ""


def _formula(tex: str, display: bool, encoding: Encoding) -> Formula | None:
    """A formula without its delimiters; None where nothing is left."""
    tex = tex.strip()
    for opening, closing, shown in (("$$", "$$", True), (r"\[", r"\]", True), (r"\(", r"\)", False), ("$", "$", False)):
        if len(tex) > len(opening) + len(closing) and tex.startswith(opening) and tex.endswith(closing):
            tex, display = tex[len(opening) : -len(closing)].strip(), display or shown
            break
    # A formula inside a formula's text is written \(…\) there, which every TeX reads: delimiters stay unambiguous.
    tex = re.sub(r"(?<!\\)\$([^$]*)(?<!\\)\$", r"\\(\1\\)", tex)
    tex = re.sub(r"\s*\n\s*", "\n", re.sub(r"(?<!\\)%[^\n]*\n", "\n", tex)).replace("\n", " ").strip()
    if tex.startswith(r"{\displaystyle") and tex.endswith("}"):
        tex = tex[len(r"{\displaystyle") : -1].strip()  # how MediaWiki writes every formula
    elif tex.startswith(r"\displaystyle") and not tex[13:14].isalpha():
        tex = tex[len(r"\displaystyle") :].strip()
    if tex.endswith("\\") and not tex.endswith("\\\\"):
        tex += " "
    return (
        Formula(tex, display, encoding) if tex and len(tex) <= MAX_TEX and "$" not in tex.replace(r"\$", "") else None
    )


# -- reading a page ---------------------------------------------------------------------------------------------------


class _Reader:
    """One walk over a page's elements. Running text is collected until its block ends, and only then searched for
    delimiters, because a formula may be cut by emphasis, line breaks and links."""

    def __init__(self, salt: str, scripts: str, dollars: bool) -> None:
        self.salt, self.scripts, self.dollars = salt, scripts, dollars
        self.pieces: list[Formula | Code] = []
        self._out: list[str] = []
        self._run: list[str] = []
        self._shielded = 0  # inside inline code, where delimiters are none

    def markup(self) -> str:
        self._flush()
        return "".join(self._out)

    def read(self, element: lxml.etree._Element, depth: int = 0) -> None:
        """Read an element with everything in it, but not the text behind it."""
        tag = element.tag
        if not isinstance(tag, str):
            return
        if depth > MAX_DEPTH:
            self._text(" ".join(element.itertext()))
            return
        if tag in ("script", "math", "img", "amp-mathml", "amp-img") or element.attrib:
            if self._special(element, tag):
                return
        if tag in _UNREAD or "hidden" in element.attrib:
            return
        if tag in ("pre", "textarea"):
            self._code(element)
            return
        if tag == "br":
            self._run.append(_BREAK)
            return
        if tag in ("sup", "sub"):
            self._script(element, tag, depth)
            return
        block = tag in _BLOCKS
        if block:
            self._flush()
            name = _WRITTEN_AS.get(tag, tag)
            if tag == "hr":
                self._out.append("<hr>")
                return
            self._out.append(f"<{name}>")
        mark = _EMPHASIS if tag in ("em", "i") else _STRONG if tag in ("strong", "b") else ""
        shield = tag in _CODE
        self._shielded += shield
        if mark:
            self._run.append(mark)
        if element.text:
            self._text(element.text)
        for child in element:
            self.read(child, depth + 1)
            if child.tail:
                self._text(child.tail)
        if mark:
            self._run.append(mark)
        self._shielded -= shield
        if block:
            self._flush()
            self._out.append(f"</{name}>")

    # -- pieces ---------------------------------------------------------------------------------------------------

    def _hold(self, piece: Formula | Code | None) -> None:
        """Put a placeholder for the piece at this place."""
        if piece is None:
            return
        if isinstance(piece, Code) or piece.display:
            self._flush()
            self._out.append(f"<p>{placeholder(self.salt, len(self.pieces))}</p>")
        else:
            self._run.append(f"{_HELD}{len(self.pieces)}{_HELD}")
        self.pieces.append(piece)

    def _special(self, element: lxml.etree._Element, tag: str) -> bool:
        """Formulas and code in elements of their own; whether this element is read."""
        if tag == "script":
            self._hold(_script_formula(element))
            return True
        if tag == "math":
            self._hold(_mathml(element, _has_class(element.getparent(), "mwe-math-mathml-display")))
            return True
        classes = element.get("class")
        if tag in ("img", "amp-img"):
            if classes and "mwe-math-fallback" in classes and _math_beside(element):
                return True
            if formula := _image(element):
                self._hold(formula)
                return True
            if alt := " ".join((element.get("alt") or "").split()):
                self._text(f" {alt[:200]} ")
            return True
        if tag == "mjx-container" or (classes and "mjx-container" in classes):
            self._hold(_mathjax3(element))
            return True
        if tag in ("mjx-assistive-mml",):
            return True
        for name in ("data-tex", "data-latex", "data-formula", "data-value", "data-katex", "data-expr"):
            value = element.get(name)
            if value and (name in ("data-tex", "data-latex") or (classes and "formula" in classes) or "math" in tag):
                display = "block" in (classes or "") or "display" in (classes or "") or element.get("display") == "true"
                self._hold(_formula(value, display, "attribute"))
                return True
        return bool(classes) and self._by_class(element, tag, classes.split())

    def _by_class(self, element: lxml.etree._Element, tag: str, classes: list[str]) -> bool:
        known = _SPECIAL_CLASSES.intersection(classes)
        if not known:
            return False
        if "katex-display" in known or "katex" in known:
            if formula := _katex(element, "katex-display" in known or _has_class(element.getparent(), "katex-display")):
                self._hold(formula)
                return True
            return False
        if "katex-error" in known:
            self._hold(_formula("".join(element.itertext()), False, "katex"))
            return True
        if "katex-html" in known or "MathJax_Preview" in known:
            return True
        if known & _MATHJAX2:
            # The script behind carries the formula; without it, the frame's own copy does.
            if not _script_of(element) and (mathml := _attribute_mathml(element)) is not None:
                display = "Display" in " ".join(classes) or _has_class(element.getparent(), "MathJax_Display")
                self._hold(_mathml(mathml, display))
            return True
        if known & {"linenos", "lineno", "linenodiv", "gutter", "line-numbers-rows"} and tag in ("td", "span", "div"):
            return True
        if known & {"fragment"} and tag == "div" and element.find("div[@class='line']") is not None:
            lines = [
                "".join(line.itertext()) for line in element.iter("div") if "line" in (line.get("class") or "").split()
            ]
            self._hold(_code("\n".join(lines), ""))
            return True
        if known & {"math", "tex", "MathTex"} and not len(element):
            # jsMath and old Sphinx: the element's text is the formula.
            text = (element.text or "").strip()
            if text and not re.match(r"\\[\[(]|\$", text) and _LOOKS_LIKE_TEX.search(text):
                self._hold(_formula(text, tag == "div", "attribute"))
                return True
        return False

    def _code(self, element: lxml.etree._Element) -> None:
        for gutter in element.xpath(
            ".//*[contains(@class,'lineno') or contains(@class,'gutter') or @data-line-number]"
        ):
            gutter.text = ""
            for child in list(gutter):
                gutter.remove(child)
        for line_break in element.iter("br"):
            line_break.tail = "\n" + (line_break.tail or "")
        self._hold(_code("".join(element.itertext()), _language(element)))

    def _script(self, element: lxml.etree._Element, tag: str, depth: int) -> None:
        if any(child.tag in ("math", "img", "a", "span") and len(child) for child in element):
            before, self._run = self._run, []
            if element.text:
                self._text(element.text)
            for child in element:
                self.read(child, depth + 1)
                if child.tail:
                    self._text(child.tail)
            self._run = before + self._run
            return
        self._text(_scripted("".join(element.itertext()), tag, self.scripts))

    # -- running text ---------------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if self._shielded:
            text = text.replace("$", _DOLLAR).replace("\\", _BACKSLASH)
        self._run.append(text)

    def _flush(self) -> None:
        """Write the running text, its formulas taken out."""
        if not self._run:
            return
        text = "".join(self._run)
        self._run = []
        if "$" in text or "\\" in text:
            self._take_formulas(text)
        else:
            self._write(text)

    def _take_formulas(self, text: str) -> None:
        start = 0
        for match in _TEXT_FORMULA.finditer(text):
            if match.start() < start or (formula := self._delimited(match)) is None:
                continue
            self._write(text[start : match.start()])
            if formula.display:
                self._out.append(f"<p>{placeholder(self.salt, len(self.pieces))}</p>")
            else:
                self._out.append(placeholder(self.salt, len(self.pieces)))
            self.pieces.append(formula)
            start = match.end()
        self._write(text[start:])

    def _delimited(self, match: re.Match[str]) -> Formula | None:
        kind = match.lastgroup if match.lastgroup != "name" else "environment"
        if kind == "escaped" or (
            kind in ("brackets", "parentheses") and match.start() and match.string[match.start() - 1] == "\\"
        ):
            return None
        inside = _as_tex(match[kind])
        if _HELD in inside:
            return None
        if kind in ("dollars", "dollars2"):
            if kind == "dollars" and not self.dollars:
                if not _LOOKS_LIKE_TEX.search(inside) or _PROSE.search(re.sub(r"\\\w+\{[^}]*\}", "", inside)):
                    return None
                if inside[:1].isspace() or inside[-1:].isspace() or "\n\n" in inside:
                    return None
            elif (
                kind == "dollars"
                and _PROSE.search(re.sub(r"\\\w+\{[^}]*\}", "", inside))
                and not _LOOKS_LIKE_TEX.search(inside)
            ):
                return None
            return _formula(inside, kind == "dollars2", "dollars")
        if kind == "environment":
            return _formula(inside, True, "environment")
        return _formula(inside, kind == "brackets", "delimited")

    def _write(self, text: str) -> None:
        text = text.replace(_EMPHASIS, "").replace(_STRONG, "")
        text = html.escape(text.replace(_DOLLAR, "$").replace(_BACKSLASH, "\\"), quote=False)
        if _HELD in text:
            text = re.sub(f"{_HELD}(\\d+){_HELD}", lambda m: placeholder(self.salt, int(m[1])), text)
        self._out.append(text.replace(_BREAK, "<br>"))


def _as_tex(text: str) -> str:
    """A stretch of running text as the TeX its author typed: Markdown has made emphasis of underscores."""
    return text.replace(_EMPHASIS, "_").replace(_STRONG, "__").replace(_BREAK, "\n").replace("\u00a0", " ")


# -- formulas in elements ---------------------------------------------------------------------------------------------

_MATHJAX2 = frozenset(
    ("MathJax", "MathJax_Display", "MathJax_SVG", "MathJax_SVG_Display", "MathJax_CHTML", "MathJax_MathML",
     "MathJax_PlainSource", "MathJax_PlainSource_Display", "mjx-chtml", "MJXc-display", "MathJax_Processed",
     "MathJax_PHTML", "MathJax_PHTML_Display")
)  # fmt: skip
_SPECIAL_CLASSES = _MATHJAX2 | {
    "katex", "katex-display", "katex-error", "katex-html", "MathJax_Preview", "linenos", "lineno", "linenodiv",
    "gutter", "line-numbers-rows", "fragment", "math", "tex", "MathTex",
}  # fmt: skip


def _has_class(element: lxml.etree._Element | None, name: str) -> bool:
    return element is not None and name in (element.get("class") or "").split()


def _script_formula(element: lxml.etree._Element) -> Formula | None:
    kind = (element.get("type") or "").casefold().replace(" ", "")
    text = (element.text or "").strip()
    text = text.removeprefix("% <![CDATA[").removesuffix("%]]>").removeprefix("<![CDATA[").removesuffix("]]>").strip()
    if kind.startswith("math/tex"):
        return _formula(text, "mode=display" in kind, "script")
    if kind.startswith("math/mml") and text:
        return _mathml(_parsed(text), "mode=display" in kind)
    return None


def _parsed(markup: str) -> lxml.etree._Element | None:
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml.etree.fromstring(_encodable(markup).encode("utf-8"), parser)
    except lxml.etree.XMLSyntaxError:
        return None
    return None if root is None else next(root.iter("math"), None)


def _mathml(element: lxml.etree._Element | None, display: bool = False) -> Formula | None:
    """A <math> element: its TeX annotation or alternative text, else converted."""
    if element is None:
        return None
    display = display or element.get("display") == "block" or element.get("mode") == "display"
    for annotation in element.iter("annotation"):
        if (annotation.get("encoding") or "").casefold() in (
            "application/x-tex",
            "tex",
            "latex",
            "application/x-latex",
        ) and (formula := _formula("".join(annotation.itertext()), display, "annotation")):
            return formula
    for name in ("alttext", "data-latex", "data-tex"):
        if (value := element.get(name)) and (formula := _formula(value, display, "annotation")):
            return formula
    return _formula(to_tex(_node(element)), display, "mathml")


def _node(element: lxml.etree._Element, depth: int = 0) -> Node:
    tag = element.tag.rpartition(":")[2] if isinstance(element.tag, str) else ""
    if depth > MAX_DEPTH:
        return Node(tag, text="".join(element.itertext()))
    children = [_node(child, depth + 1) for child in element if isinstance(child.tag, str)]
    text = element.text or ""
    if children and tag in ("mtext", "mi", "mn", "mo", "ms"):
        return Node(tag, dict(element.attrib), [], "".join(element.itertext()))
    return Node(tag, dict(element.attrib), children, text)


def _katex(element: lxml.etree._Element, display: bool) -> Formula | None:
    math = next(element.iter("math"), None)
    formula = _mathml(math, display)
    return Formula(formula.tex, formula.display, "katex") if formula else None


def _mathjax3(element: lxml.etree._Element) -> Formula | None:
    """MathJax 3 and 4 output: TeX where it is kept, the assistive MathML, else the elements of the glyphs."""
    display = element.get("display") in ("true", "block")
    for name in ("data-latex", "data-tex", "data-original"):
        holder = element if element.get(name) else element.find(f".//*[@{name}]")
        if name != "data-latex" and holder is not None and (formula := _formula(holder.get(name), display, "mathjax")):
            return formula
    math = next(element.iter("math"), None)
    if math is not None:
        display = display or math.get("display") == "block"
        formula = _mathml(math, display)
    else:
        glyphs = next(element.iter("mjx-math"), None)
        formula = _formula(to_tex(_glyph_node(glyphs)), display, "mathjax") if glyphs is not None else None
    return Formula(formula.tex, formula.display, "mathjax") if formula else None


def _glyph_node(element: lxml.etree._Element, depth: int = 0) -> Node:
    """MathJax 3's own elements as the MathML they mirror; characters stand in classes, as mjx-c1D465."""
    tag = element.tag.removeprefix("mjx-")
    if tag in ("c", "utext"):
        codes = re.findall(r"mjx-c([0-9A-F]{1,6})\b", element.get("class") or "")
        return Node("#text", text="".join(map(_character, codes)) or element.text or "")
    if depth > MAX_DEPTH:
        return Node(tag)
    children = [_glyph_node(child, depth + 1) for child in element if isinstance(child.tag, str)]
    if tag in ("mi", "mn", "mo", "mtext", "ms"):
        return Node(tag, {}, [], "".join(_glyphs(children)))
    if tag in ("script", "over", "under", "base", "box", "num", "den", "dbox", "dtable", "frac", "row", "sqrt", "root",
               "surd", "texatom", "TeXAtom", "itable", "table", "munder", "mover"):  # fmt: skip
        # Boxes of the layout; those that MathML knows keep their name.
        tag = {"texatom": "mrow", "TeXAtom": "mrow", "sqrt": "mrow"}.get(tag, tag)
    if tag == "mfrac":
        parts = [n for n in _deep(children) if n.tag in ("num", "den")]
        parts.sort(key=lambda n: n.tag == "den")
        return Node("mfrac", {}, [Node("mrow", {}, p.children) for p in parts])
    if tag in ("msup", "msub", "munder", "mover"):
        scripts = [n for n in _deep(children) if n.tag in ("script", "over", "under")]
        base = [n for n in children if n not in scripts]
        if scripts:
            return Node(tag, {}, [Node("mrow", {}, base), Node("mrow", {}, scripts[0].children)])
    if tag in ("msubsup", "munderover"):
        scripts = [n for n in _deep(children) if n.tag == "script"]
        if scripts and len(inner := [c for c in scripts[0].children if c.tag != "spacer"]) >= 2:
            base = [n for n in children if n.tag != "script"]
            return Node(tag, {}, [Node("mrow", {}, base), inner[-1], inner[0]])
    if tag in ("surd", "spacer", "line", "strut", "nstrut", "dstrut", "tstrut", "mark"):
        return Node("none")
    return Node(tag if tag.startswith("m") else "mrow", {}, children)


def _glyphs(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        yield node.text
        yield from _glyphs(node.children)


def _deep(nodes: list[Node]) -> Iterator[Node]:
    """Nodes and those inside layout boxes, down to the first that mean something."""
    for node in nodes:
        yield node
        if node.tag in ("mrow", "frac", "row", "dbox", "dtable", "box"):
            yield from _deep(node.children)


def _character(code: str) -> str:
    number = int(code, 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else ""


def _script_of(element: lxml.etree._Element) -> bool:
    """Whether the script a rendered frame was made from stands behind it (MathJax 2 leaves it there)."""
    following = element
    for _ in range(3):
        following = following.getnext()
        if following is None:
            break
        if following.tag == "script" and (following.get("type") or "").startswith("math/"):
            return True
    parent = element.getparent()
    return (
        parent is not None and bool(_MATHJAX2.intersection((parent.get("class") or "").split())) and _script_of(parent)
    )


def _attribute_mathml(element: lxml.etree._Element) -> lxml.etree._Element | None:
    holder = element if element.get("data-mathml") else element.find(".//*[@data-mathml]")
    if holder is not None:
        return _parsed(holder.get("data-mathml"))
    return next(element.iter("math"), None)


def _math_beside(element: lxml.etree._Element) -> bool:
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


def _language(element: lxml.etree._Element) -> str:
    """The language a page names for a code block: on the block, inside it, or up to two elements around it."""
    around: list[lxml.etree._Element] = [element, *element.iter("code")]
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
            return (
                ""
                if name in _NO_LANGUAGES
                else {"python3": "python", "py": "python", "ipython3": "python", "pycon": "python"}.get(name, name)
            )
    return ""


def _code(text: str, language: str) -> Code | None:
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
