"""Which pages write mathematics: evidence in their markup, found without parsing it.

The published pipeline takes pages from URL lists alone. The detector finds them in any snapshot: it counts the traces
that the systems for mathematics on the web leave (MathJax, KaTeX, MathML, images of formulas, TeX between delimiters).
Loading MathJax is weak evidence: most pages of a site that loads it everywhere have no formula.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import polars as pl

from nemotron_assets.math.images import shows_formula
from nemotron_assets.recipe.math.pages import MathCandidates
from nemotron_assets.snapshots.charset import decode

_MOST = 8  # hits beyond this say nothing more

_TAG = re.compile(r"<(/?)(script|style|noscript|pre|code|textarea)\b(?![^<>]{0,200}math/)", re.IGNORECASE)
_SCRIPTS = frozenset(("script", "style", "noscript"))
_CODE = frozenset(("pre", "code", "textarea"))
_IMAGE = re.compile(r"<(?:img|amp-img)\b[^<>]{1,4000}", re.IGNORECASE)

#: {signal: (pattern, weight)}. A weight is the evidence of many hits; one hit is three quarters of it.
SIGNALS: Mapping[str, tuple[re.Pattern[str], float]] = {
    "mathml": (re.compile(r"<(?:\w{1,8}:)?math[\s>]"), 1.0),
    "tex_script": (re.compile(r"<script[^<>]{0,200}?type\s*=\s*[\"']?math/(?:tex|mml|asciimath)", re.IGNORECASE), 1.0),
    "mathjax": (re.compile(r"<mjx-container|\bclass=[\"'](?:[\w -]{0,80} )?(?:MathJax(?:_\w+)?|mjx-chtml)\b"), 1.0),
    "katex": (re.compile(r"\bclass=[\"'](?:[\w -]{0,80} )?katex(?:-display|-mathml)?[\"' ]"), 1.0),
    "wiki": (re.compile(r"\bclass=[\"'][^\"']{0,80}\b(?:mwe-math|ltx_Math|ltx_equation)"), 1.0),
    "image": (_IMAGE, 1.0),
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
#: These are looked for outside code, where they would be somebody's source.
_IN_PROSE = frozenset(("tex", "dollars", "math_class", "symbols"))
_IN_SCRIPTS = frozenset(("loads",))


def detect(markup: str) -> tuple[float, list[str]]:
    """(evidence from 0 to 1, signals by weight) of a decoded page. Several signals add up as independent ones do."""
    read = _without(markup, _SCRIPTS)
    prose = _without(read, _CODE)
    found: dict[str, float] = {}
    for name, (pattern, weight) in SIGNALS.items():
        text = prose if name in _IN_PROSE else markup if name in _IN_SCRIPTS else read
        matches = pattern.finditer(text)
        if name == "image":
            matches = (match for match in matches if shows_formula(match[0]))
        if hits := sum(1 for _ in itertools.islice(matches, _MOST)):
            found[name] = weight * (1 - 0.25**hits)
    doubt = 1.0
    for evidence in found.values():
        doubt *= 1 - evidence
    return 1 - doubt, sorted(found, key=lambda name: (-found[name], name))


def _without(markup: str, elements: frozenset[str]) -> str:
    """The markup without these elements and what is in them; one that is not closed is left."""
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
    """Rows of `snapshots.pages` (html, charset and whatever else) with score and signals."""
    results = [
        detect(decode(html, charset)[: recipe.max_html_characters])
        for html, charset in pages.select("html", "charset").iter_rows()
    ]
    return pages.with_columns(
        score=pl.Series([score for score, _ in results], dtype=pl.Float64),
        signals=pl.Series([signals for _, signals in results], dtype=pl.List(pl.String)),
    )
