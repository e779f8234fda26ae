"""Reads images of formulas: the TeX stands in the alternative text, or in the URL of the service that drew the
image."""

from __future__ import annotations

import html
import re
from urllib.parse import unquote, unquote_plus, urlsplit

import lxml.etree

from nemotron_assets.math.formula import MAX_TEX, Formula, formula

_CLASSES = frozenset(
    ("math", "tex", "latex", "formulainl", "formuladsp", "mwe-math-fallback-image-inline", "ltx_math", "equation",
     "mwe-math-fallback-image-display", "mathtex", "texmath", "katex-img", "latex-image", "tex-math", "wp-katex-eq",
     "formula", "equation_image", "inlineformula", "displayformula", "texrender", "ql-img-inline-formula",
     "ql-img-displayed-equation")
)  # fmt: skip
_RENDERERS = re.compile(
    r"codecogs\.com/(?:gif|png|svg|eq|pdf|swf|emf)|latex\.codecogs\.com|latex\.php|/mathtex|/mimetex|"
    r"chart\.(?:apis\.)?google(?:apis)?\.com/chart|math\.now\.sh|i\.upmath\.me|tex\.s2cms|"
    r"render\.githubusercontent\.com/render/math|zhihu\.com/equation|\d?\.wp\.com/latex|wordpress\.com/latex|"
    r"quicklatex|texify|/media/math/render/|latex2png|sciweavers\.org/tex2img|forkosh|/img/latex|/latex/image|"
    r"mathurl\.com/render|/images/math/|upload\.wikimedia\.org/math|texrendr|/cgi-bin/tex|/filter/tex/|"
    r"/equation_images/|math\.jianshu\.com/math"
)
_DISPLAY_CLASSES = ("dsp", "display", "block")
_SOURCES = ("src", "data-src", "data-lazy-src", "data-original")
_PARAMETERS = ("latex", "tex", "chl", "math", "eq", "formula", "from", "equation")
#: Settings that CodeCogs takes before a formula: resolution, background, font, size.
_PREFIXES = re.compile(
    r"(?:\s|\\(?:dpi|bg)(?:\{[^}]{0,40}\}|_\w{1,20})|\\fn_\w{1,10}|\\bg_\w{1,20}"
    r"|\\(?:inline|tiny|small|normal|large|huge|Large|LARGE|Huge)(?![A-Za-z]))+"
)
_ALT = re.compile(
    r"""\balt\s{0,9}=\s{0,9}["']\s{0,9}(?:%[^\n]{0,99}\n\s{0,9})?(?:\$[^$]+\$|\\[(\[]|\\begin\{|\\displaystyle)""",
    re.IGNORECASE,
)
_CLASS = re.compile(r"""\bclass\s{0,9}=\s{0,9}["']([^"']*)""", re.IGNORECASE)
#: Attributes that hold the TeX of an image. Canvas writes data-equation-content.
_TEX_ATTRIBUTES = ("data-tex", "data-latex", "data-formula", "data-equation-content")
#: CodeCogs writes these for characters that have a meaning in an address.
_CODECOGS = (("&space;", " "), ("&plus;", "+"), ("&hash;", "#"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_COMMENT = re.compile(r"<!--\s{0,9}MATH(?:\s|:\s{0,9}(?=[$\\]))", re.IGNORECASE)
_BEFORE_IMAGE = re.compile(r"(?:\s|<(?:span|div|p|a|table|tr|td|br)\b[^<>]{0,200}>){0,20}<img(?=[\s/])", re.IGNORECASE)
_MAX_COMMENT = 20_000  # characters


def shows_formula(tag: str) -> bool:
    """Whether the markup of an <img> tag looks like an image of a formula."""
    classes = _CLASS.search(tag)
    if classes and not _CLASSES.isdisjoint(classes[1].casefold().split()):
        return True
    return bool(_RENDERERS.search(tag) or _ALT.search(tag))


def image_formula(element: lxml.etree._Element) -> Formula | None:
    """The formula that an image shows; None for an image of something else."""
    sources = [element.get(name) for name in _SOURCES if element.get(name)]
    alt = (element.get("alt") or "").strip()
    classes = (element.get("class") or "").casefold()
    tex = next((value for name in _TEX_ATTRIBUTES if (value := element.get(name))), "")
    alt = re.sub(r"^(?:LaTeX:\s|%[^\n]*\n)", "", alt).strip()
    if not tex and (source := next((s for s in sources if _RENDERERS.search(s)), None)):
        tex = tex_of_url(source) or alt
    elif not tex:
        is_formula = not _CLASSES.isdisjoint(classes.split()) or _in_math(element)
        is_formula = is_formula or _delimited(alt) or alt.startswith((r"\begin{", r"\displaystyle", r"{\displaystyle"))
        tex = alt if is_formula else ""
    tex = tex.strip()
    if not tex or len(tex) > MAX_TEX:
        return None
    display = any(word in classes for word in _DISPLAY_CLASSES) or r"\displaystyle" in tex[:40] or _fills_block(element)
    return formula(tex, display and not tex.startswith(r"{\displaystyle"), "image")


def _delimited(alt: str) -> bool:
    """Whether an alternative text is one formula between delimiters: $…$, \\[…\\] or \\(…\\)."""
    if len(alt) > 2 and alt[0] == "$" and alt[-1] == "$":
        return True
    return (alt.startswith(r"\[") and alt.endswith(r"\]")) or (alt.startswith(r"\(") and alt.endswith(r"\)"))


def _in_math(element: lxml.etree._Element) -> bool:
    """Whether an image stands in an element of class "math", at most two levels up: so Sphinx writes displayed
    formulas."""
    parent = element.getparent()
    for _ in range(2):
        if parent is None:
            return False
        if "math" in (parent.get("class") or "").split():
            return True
        parent = parent.getparent()
    return False


def _fills_block(element: lxml.etree._Element) -> bool:
    """Whether an image is the only content of its block element."""
    parent = element.getparent()
    if parent is None or parent.tag not in ("p", "div", "td", "center") or len(parent) != 1:
        return False
    return not (parent.text or "").strip() and not (element.tail or "").strip()


def tex_of_url(url: str) -> str:
    """The TeX in the URL of a rendering service; "" if it has none. For "https://latex.codecogs.com/gif.latex?x%5E2" it
    is "x^2"."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    query = parts.query
    fields = dict(part.split("=", 1) for part in re.split(r"&(?:amp;)?", query) if "=" in part)
    for name in _PARAMETERS:
        if name in fields and "\\" not in query.split("=", 1)[0] and (name != "chl" or fields.get("cht") == "tx"):
            return _without_prefixes(unquote_plus(fields[name]))
    if "/equation_images/" in parts.path:
        return unquote(unquote(parts.path.split("/equation_images/", 1)[1])).strip()
    if (query and "codecogs" in parts.netloc + parts.path) or "mimetex" in parts.path or "mathtex" in parts.path:
        # An unescaped # in a formula ends the query of the URL: what follows it belongs to the formula.
        whole = query + (f"#{parts.fragment}" if parts.fragment else "")
        for name, character in _CODECOGS:
            whole = whole.replace(name, character)
        whole = unquote(whole)
        return _without_prefixes(whole)
    for marker in ("/svg/", "/png/", "/gif/"):
        if marker in parts.path and ("upmath" in parts.netloc or "s2cms" in parts.netloc):
            return unquote(parts.path.split(marker, 1)[1]).strip()
    return ""


def _without_prefixes(tex: str) -> str:
    """TeX without the settings of CodeCogs before it."""
    prefixes = _PREFIXES.match(tex)
    return tex[prefixes.end() if prefixes else 0 :].strip()


def with_comments_of_latex2html(page: str) -> str:
    """A page in which every <!-- MATH … --> of LaTeX2HTML has become the attribute data-tex of the image behind it. The
    alternative text of the image is cut in long formulas: "\\alpha = \\beta_{1} + \\gam... ...a_{3}"."""
    parts, start, closed = [], 0, -1
    for comment in _COMMENT.finditer(page):
        if comment.start() < start:
            continue
        if closed < comment.end():
            closed = page.find("-->", comment.end())
            if closed < 0:
                break
        image = _BEFORE_IMAGE.match(page, closed + 3)
        tex = page[comment.end() : closed].strip()
        if not tex.startswith(("$", "\\")):
            continue  # a comment on something else
        if image is None or len(tex) > _MAX_COMMENT or re.match(r"\\begin\{(?:eqnarray|align)", tex):
            continue  # the rows of an aligned formula are images of their own
        quoted = html.escape(tex.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        parts += [page[start : image.end()], f' data-tex="{quoted}"']
        start = image.end()
    return "".join([*parts, page[start:]]) if parts else page
