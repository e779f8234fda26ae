"""Detects pages with formulas from evidence in their markup, without parsing it.

The published pipeline takes pages from URL lists alone. The detector finds such pages in any snapshot: it counts what
the ways of writing formulas leave in the markup (MathJax, KaTeX, MathML, images of formulas, TeX between delimiters).
A page that only loads MathJax has weak evidence: sites often load it on every page, and most pages have no formula.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import polars as pl

from nemotron_assets.math.delimiters import Conventions
from nemotron_assets.math.images import shows_formula
from nemotron_assets.recipe.math.pages import MathCandidates
from nemotron_assets.warc.charset import decode

_MAX_HITS = 8  # of one signal; more hits add no evidence

_TAG = re.compile(r"<(/?)(script|style|noscript|pre|code|textarea)\b(?![^<>]{0,200}math/)", re.IGNORECASE)
_SCRIPTS = frozenset(("script", "style", "noscript"))
_CODE = frozenset(("pre", "code", "textarea"))
_IMAGE = re.compile(r"<(?:img|amp-img)\b[^<>]{1,4000}", re.IGNORECASE)

#: {signal: (pattern, weight)}. The weight is the evidence, 0 to 1, of many hits; one hit gives three quarters of it.
SIGNALS: Mapping[str, tuple[re.Pattern[str], float]] = {
    "mathml": (re.compile(r"<(?:\w{1,8}:)?math[\s>]", re.IGNORECASE), 1.0),
    "tex_script": (re.compile(r"<script[^<>]{0,200}?type\s*=\s*[\"']?math/(?:tex|mml|asciimath)", re.IGNORECASE), 1.0),
    "mathjax": (re.compile(r"<mjx-container|\bclass=[\"'](?:[\w -]{0,80} )?(?:MathJax(?:_\w+)?|mjx-chtml)\b"), 1.0),
    "katex": (re.compile(r"\bclass=[\"'](?:[\w -]{0,80} )?katex(?:-display|-mathml|-error)?[\"' ]"), 1.0),
    "wiki": (re.compile(r"\bclass=[\"'][^\"']{0,80}\b(?:mwe-math|ltx_Math|ltx_equation)"), 1.0),
    "image": (_IMAGE, 1.0),
    "latex2html": (re.compile(r"<!--\s{0,9}MATH[\s:]\s{0,9}[$\\]", re.IGNORECASE), 1.0),
    "attribute": (re.compile(r"\bdata-(?:tex|latex|math|katex|equation-content)\s{0,9}=\s{0,9}[\"'][^\"']{2}"), 0.9),
    "math_code": (
        re.compile(r"\bclass=[\"'](?:[\w -]{0,80} )?(?:lang(?:uage)?-math|js-render-math|stemblock)[\"' ]"),
        1.0,
    ),
    "math_class": (re.compile(r"\bclass=[\"'](?:[\w -]{0,80} )?(?:math|MathTex|tex2jax_process|texmath)[\"' ]"), 0.7),
    "tex": (
        re.compile(
            r"(?<!\\)\\\((?=[^<]{0,200}?\\\))|(?<!\\)\\\[(?=[^<]{0,500}?\\\])"
            r"|\\begin\{(?:equation|align|gather|multline|eqnarray|displaymath|cases|[pbv]?matrix)\*?\}"
        ),
        0.9,
    ),
    "dollars": (re.compile(r"\$[^$<>\n]{0,200}?(?:\\[A-Za-z]{2,}|[\w)}][_^][\w{\\])[^$<>\n]{0,200}\$(?!\d)"), 0.9),
    "loads": (
        re.compile(r"MathJax\.js|mathjax@\d|mathjax/\d|katex(?:\.min)?\.(?:js|css)|jsMath|ASCIIMathML", re.I),
        0.2,
    ),
    "symbols": (re.compile(r"[∑∫∏√∂∇≤≥≠≈∈∀∃∞⇒⊂⊆∪∩]|&(?:sum|int|prod|radic|part|nabla|forall|exist|isin|infin);"), 0.3),
}
#: Signals that count only outside code: inside code they are usually source code.
_IN_PROSE = frozenset(("tex", "dollars", "math_class", "symbols"))
#: Signals that count also inside <script> and <style>.
_IN_SCRIPTS = frozenset(("loads",))


#: The signal of formulas between delimiters that the page declares, such as [itex]…[/itex], and its weight.
_DECLARED = ("declared", 0.9)


def detect(markup: str) -> tuple[float, list[str]]:
    """(evidence from 0 to 1, names of the signals found, the strongest first) of a decoded page.

    Signals are combined as independent evidence: 0.5 and 0.5 give 0.75.
    """
    visible = _without_elements(markup, _SCRIPTS)
    prose = _without_elements(visible, _CODE)
    found: dict[str, float] = {}
    for name, (pattern, weight) in SIGNALS.items():
        text = prose if name in _IN_PROSE else markup if name in _IN_SCRIPTS else visible
        matches = pattern.finditer(text)
        if name == "image":
            matches = (match for match in matches if shows_formula(match[0]))
        if hits := sum(1 for _ in itertools.islice(matches, _MAX_HITS)):
            found[name] = weight * (1 - 0.25**hits)
    conventions = Conventions.of(markup)
    if conventions.declares and (hits := sum(1 for _ in itertools.islice(conventions.declared(prose), _MAX_HITS))):
        found[_DECLARED[0]] = _DECLARED[1] * (1 - 0.25**hits)
    doubt = 1.0
    for evidence in found.values():
        doubt *= 1 - evidence
    return 1 - doubt, sorted(found, key=lambda name: (-found[name], name))


def _without_elements(markup: str, elements: frozenset[str]) -> str:
    """The markup without the named elements and their content. An element that is not closed stays."""
    kept, start, inside = [], 0, ""
    opened = 0
    for tag in _TAG.finditer(markup):
        name = tag[2].lower()
        if name not in elements:
            continue
        if not inside and not tag[1]:
            inside, opened = name, tag.start()
        elif tag[1] and name == inside:
            kept.append(markup[start:opened])
            start, inside = tag.end(), ""
    kept.append(markup[start:])
    return " ".join(kept)


def detect_pages(pages: pl.DataFrame, recipe: MathCandidates) -> pl.DataFrame:
    """Rows of `snapshots.pages` with the columns score and signals added; html and charset are read."""
    results = [
        detect(decode(html, charset)[: recipe.max_html_characters])
        for html, charset in pages.select("html", "charset").iter_rows()
    ]
    return pages.with_columns(
        score=pl.Series([score for score, _ in results], dtype=pl.Float64),
        signals=pl.Series([signals for _, signals in results], dtype=pl.List(pl.String)),
    )
