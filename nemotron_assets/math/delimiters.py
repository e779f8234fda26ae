"""Finds formulas between delimiters in running text: \\(…\\), \\[…\\], $…$, $$…$$ and environments.

A formula is what MathJax would typeset. A price, a shell variable or a regular expression is not a formula. The page
decides what counts: if it loads MathJax or KaTeX, its delimiters are taken as delimiters; in any other page, text
between delimiters must look like TeX (`\\alpha`, `x^2`). The time is linear in the length of the text, whatever a page
contains.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from nemotron_assets.math.declared import MAX_TEX, Pair, settings_of
from nemotron_assets.math.declared import delimiters as declared_delimiters

_MAX_DOLLARS = 5_000  # characters between single dollar signs

#: "inline", "display" and "asciimath": between delimiters that the page declares (declared.py).
Kind = Literal["parentheses", "brackets", "dollars", "dollars2", "environment", "inline", "display", "asciimath"]
_DECLARED = frozenset(("inline", "display", "asciimath"))

ENVIRONMENTS = frozenset(
    ("equation", "align", "alignat", "gather", "multline", "eqnarray", "displaymath", "math", "flalign", "aligned",
     "split", "cases", "gathered", "array", "matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "Vmatrix",
     "smallmatrix", "subequations", "dmath")
)  # fmt: skip
_OPENING = re.compile(r"\\\\|\\\$|\\\(|\\\[|\$\$|\$|\\begin\{([A-Za-z]{1,20})(\*?)\}")
_KINDS: dict[str, Kind] = {r"\(": "parentheses", r"\[": "brackets", "$": "dollars", "$$": "dollars2"}
_UNESCAPED = r"(?<!\\)(?:\\\\)*"
_CLOSING = {
    "parentheses": re.compile(_UNESCAPED + r"(\\\))"), "brackets": re.compile(_UNESCAPED + r"(\\\])"),
    "dollars": re.compile(_UNESCAPED + r"(\$)"), "dollars2": re.compile(_UNESCAPED + r"(\$\$)"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Text from an opening delimiter to its closing one. `inside` is the text between them; for an environment it
    includes \\begin{…} and \\end{…}. `start` and `end` are offsets of the whole span in the text."""

    kind: Kind
    inside: str
    start: int
    end: int


def scan(text: str, accept: Callable[[Span], bool], start: int = 0, stop: int | None = None) -> Iterator[Span]:
    """Yield the spans of text[start:stop] that `accept` returns True for, in order, without overlaps. After a rejected
    span the search goes on behind its opening delimiter. The position of the next closing delimiter is cached, so that
    many opening delimiters without a closing one take linear time."""
    stop = len(text) if stop is None else stop
    closings: dict[str, tuple[int, int]] = {}
    while match := _OPENING.search(text, start, stop):
        start = match.end()
        name = match[1]
        kind = _KINDS.get(match[0]) or ("environment" if name in ENVIRONMENTS else None)
        if kind is None:
            continue
        key = match[0] if kind == "environment" else kind
        if key not in closings or closings[key][0] < start:
            closings[key] = _next_closing(text, kind, name and name + match[2], start, stop)
        low, high = closings[key]
        if low - start > (_MAX_DOLLARS if kind == "dollars" else MAX_TEX) or low == start or low >= stop:
            continue
        inside = text[match.start() : high] if kind == "environment" else text[start:low]
        span = Span(kind, inside, match.start(), high)
        if accept(span):
            yield span
            start = high


def _next_closing(text: str, kind: Kind, environment: str | None, start: int, stop: int) -> tuple[int, int]:
    if kind == "environment":
        closing = f"\\end{{{environment}}}"
        low = text.find(closing, start, stop)
        return (low, low + len(closing)) if low >= 0 else (1 << 60, 1 << 60)
    match = _CLOSING[kind].search(text, start, stop)
    return match.span(1) if match else (1 << 60, 1 << 60)


def _between(text: str, pairs: tuple[Pair, ...], accept: Callable[[Span], bool]) -> Iterator[Span]:
    """Yield the spans between declared delimiters that `accept` returns True for. As in `scan`, the positions of the
    closing delimiters are cached."""
    by_opening = {pair.opening: pair for pair in pairs}
    opening = re.compile("|".join(re.escape(name) for name in sorted(by_opening, key=len, reverse=True)))
    closings: dict[str, int] = {}
    start = 0
    while match := opening.search(text, start):
        pair, start = by_opening[match[0]], match.end()
        if closings.get(pair.closing, -1) < start:
            found = text.find(pair.closing, start)
            closings[pair.closing] = found if found >= 0 else 1 << 60
        low = closings[pair.closing]
        if low == start or low - start > MAX_TEX:
            continue
        if pair.opening != pair.closing and text.find(pair.opening, start, low) >= 0:
            continue  # a second opening delimiter: the first one belonged to prose
        span = Span(pair.written, text[start:low], match.start(), low + len(pair.closing))
        if accept(span):
            yield span
            start = span.end


# -- what is a formula ------------------------------------------------------------------------------------------------

#: A page that loads a renderer of delimited formulas, or that marks formulas up for one.
_LOADS_RENDERER = re.compile(
    r"MathJax|mathjax|katex|jsMath|LaTeXMathML|tex2jax|texme|class=[\"'](?:[\w -]{0,80} )?math[ \"'-]", re.ASCII
)
#: A page whose settings make single dollar signs delimiters.
_SETS_DOLLARS = re.compile(
    r"""inlineMath["']?\s{0,9}:\s{0,9}\[[^;]{0,200}?["']\$["']|left["']?\s{0,9}:\s{0,9}["']\$["']"""
    r"""|delimiters[^;]{0,200}?["']\$["']"""
)
_TEX = re.compile(
    r"\\[A-Za-z]{2,}|[\^_]\{|(?<![A-Za-z])[A-Za-z]'{0,3}[\^_][A-Za-z0-9\\(*+-]|[)\]}|\d][\^_][A-Za-z0-9\\{(-]|\\[,;{}|]"
)
#: Tags that cut formulas: Markdown made emphasis of underscores.
_EMPHASIS = re.compile(r"</?(?:em|i|strong|b|br)\b[^<>]{0,99}>", re.IGNORECASE)
_COMMAND_WITH_TEXT = re.compile(r"\\[A-Za-z]+\{[^{}]*\}|\\[A-Za-z]+")
_PROSE = re.compile(r"[^\W\d_]{2,},? [^\W\d_]{2,},? [^\W\d_]{2,}")
#: Text between two brackets that a page writes about, as in "use \( and \) for groups".
_CONNECTIVE = re.compile(r"[\s,.;:]*(?:and|or|to|then|with|und|et|ou|oder)?[\s,.;:]*")
#: A formula without TeX commands: "f(x) = 2". Its letters stand alone, unlike those of a regular expression.
_WITHOUT_COMMANDS = re.compile(r"(?=.*[A-Za-z\d])(?:[A-Za-z](?![a-z])|[\d\s()=<>+/.,'!:;-])+")
_AMOUNT = re.compile(r"\s*\d[\d.,]*\s*(?:[kKmMbB]|bn|million|billion|thousand|USD|US)?(?:[\s,;:.)/-]|$)")
_SYMBOLIC = re.compile(
    r"[A-Za-z](?:'{1,3}|_?\d)?|[-+]?[A-Za-z]\s?[=<>+*/|-]\s?[-+]?[A-Za-z\d.]{1,6}|[A-Za-z]\([A-Za-z]\)"
)


def looks_like_tex(text: str) -> bool:
    """Whether a text has a TeX command, such as \\alpha, or a script, such as x^2."""
    return bool(_TEX.search(text))


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a page writes formulas: whether it `renders` text between delimiters, whether its settings make single
    `dollars` delimiters, and the further delimiters that it `declares`."""

    renders: bool = False
    dollars: bool = False
    declares: tuple[Pair, ...] = ()

    @classmethod
    def of(cls, page: str) -> Conventions:
        """The conventions of a page, from its source."""
        return cls.declared_in(page, settings_of(page))

    @classmethod
    def declared_in(cls, page: str, settings: str) -> Conventions:
        """The conventions of a page, from its source and its scripts (see `declared.settings_of`)."""
        renders = bool(_LOADS_RENDERER.search(page))
        may_set = renders and ("$'" in page or '$"' in page)  # fast to look for
        return cls(renders, may_set and bool(_SETS_DOLLARS.search(page)), declared_delimiters(page, settings))

    def declared(self, text: str) -> Iterator[Span]:
        """Yield the formulas between declared delimiters in a text or in markup, where <<tex>> stands as
        &lt;&lt;tex&gt;&gt;."""
        escaped = (Pair(html.escape(p.opening, False), html.escape(p.closing, False), p.written) for p in self.declares)
        pairs = tuple(dict.fromkeys((*self.declares, *escaped)))

        def accept(span: Span) -> bool:
            inside = _EMPHASIS.sub("_", span.inside)
            return "<" not in inside and self.accept(replace(span, inside=inside), text)

        return _between(text, pairs, accept)

    def spans(self, text: str, accept: Callable[[Span], bool]) -> Iterator[Span]:
        """Yield the formulas in running text that `accept` returns True for, in order, without overlaps."""
        start = 0
        for span in _between(text, self.declares, accept) if self.declares else ():
            yield from scan(text, accept, start, span.start)
            yield span
            start = span.end
        yield from scan(text, accept, start)

    def accept(self, span: Span, text: str) -> bool:
        """Whether a span of the running text `text` is a formula."""
        inside = span.inside
        if not inside.strip():
            return False
        if span.kind == "environment":
            return True
        if span.kind in _DECLARED:
            return "\n\n" not in inside and (looks_like_tex(inside) or (self.renders and not _is_prose(inside)))
        if span.kind in ("parentheses", "brackets"):
            opening = "\\(" if span.kind == "parentheses" else "\\["
            if opening in inside.replace("\\\\", ""):
                return False  # a second opening delimiter: the first one belonged to prose
            if looks_like_tex(inside):
                return True
            return not _CONNECTIVE.fullmatch(inside) if self.renders else bool(_WITHOUT_COMMANDS.fullmatch(inside))
        if span.kind == "dollars2":
            return _dollars_in_braces(inside) and (self.renders or looks_like_tex(inside)) and not _is_prose(inside)
        return self._accept_dollars(span, text)

    def _accept_dollars(self, span: Span, text: str) -> bool:
        inside = span.inside
        before, after = text[span.start - 1 : span.start], text[span.end : span.end + 1]
        if after.isdigit() or "\n\n" in inside or _is_prose(inside):
            return False
        tex = looks_like_tex(inside)
        if _AMOUNT.match(inside) and not tex and not (self.dollars and re.fullmatch(r"[\d.,\s/+*=<>()-]+", inside)):
            return False
        if self.dollars:
            return tex or not _is_prose(inside, 2)
        if inside[0].isspace() or inside[-1].isspace() or after.isalnum() or before.isalnum():
            return False
        return tex or bool(_SYMBOLIC.fullmatch(inside))


def _is_prose(text: str, words: int = 3) -> bool:
    """Whether `words` words follow each other outside commands and their arguments: "of the sum" are three."""
    if text.count(" ") < words - 1:
        return False
    plain = _COMMAND_WITH_TEXT.sub(" 0 ", text)
    return bool(_PROSE.search(plain)) if words == 3 else bool(re.search(r"[^\W\d_]{3,},? [^\W\d_]{2,}", plain))


def _dollars_in_braces(text: str) -> bool:
    """Whether every $ stands inside balanced braces and so belongs to a text in the formula: \\text{if $x$}."""
    if "$" not in text:
        return True
    depth = 0
    for token in re.finditer(r"\\.|[{}$]", text, re.DOTALL):
        depth += (token[0] == "{") - (token[0] == "}")
        if token[0] == "$" and depth <= 0:
            return False
    return depth == 0
