"""Find notices of licences in the middle of a file: what concatenated scripts and copied functions bring along.

Only licences that may bind the file are looked for (GPL and the like, Creative Commons, tags that are not accepted),
and only in comments: a program that prints or compares names of licences states nothing about itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from posixpath import basename
from typing import TYPE_CHECKING

from nemotron_assets.code.terms.expressions import ALLOWED, judge

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Parts of words, one of which every notice has; looked for first, because that is fifty times faster than a pattern.
_PIECES = ("spdx-license", "gpl", "general public", "mozilla public", "eclipse public", "common development and",
           "creative commons", "cc-by", "cc by", "server side public", "business source", "proprietary and conf",
           "confidential and prop", "unauthorized copying", "cecill", "eupl", "european union public",
           "not evil")  # fmt: skip
_TAG = re.compile(r"(?i)spdx-license-identifier:[ \t]*([^\n]{1,200})")
_NAME = re.compile(
    r"(?i)\b[al]?gpl(?:[ -]?v?[0-9][0-9.]*)?\b|\b(?:affero |lesser |library )?general\s+public\s|\bmozilla\s+public\s|"
    r"\beclipse\s+public\s|\bcommon\s+development\s+and\s+distribution\s|\bcreative\s+commons\b|"
    r"\bcc[ -]by-(?:nc|sa|nd)\b|\bserver\s+side\s+public\s|\bbusiness\s+source\s+licen|"
    r"\bproprietary\s+and\s+confidential\b|\bconfidential\s+and\s+proprietary\b|\bunauthorized\s+copying\b|"
    r"\bcecill\b|\beupl\b|\beuropean\s+union\s+public\s|\bgood,?\s+not\s+evil\b"
)
#: Words that make the name of a licence a statement: "released under the GPL".
_STATES = re.compile(r"(?i)licen[sc]|copyright|releas|distribut|terms|\bunder\b|rights|copying|shall be used")
#: Signs at the beginning of comment lines, and pairs of signs around comments, by the endings of files. A "#" begins a
#: comment in all other files.
_C_LIKE = (
    "c h cc cpp cxx hpp hxx hh inl ipp cu cuh mm java js jsx mjs cjs ts tsx mts cts vue cs go rs swift kt kts scala "
    "groovy dart php css scss less v sv vh d proto thrift glsl vert frag hlsl y l as idl"
)
_LEADERS = {
    r"//": _C_LIKE + " m pas dpr", r"'": "vb bas vbs cls frm", r"%": "tex sty cls ltx dtx m erl hrl bib ps pro",
    r";": "el lisp lsp cl clj cljs scm rkt asm s nsi ahk", r"!": "f for f77 f90 f95 f03 f08",
    r"--": "sql lua hs adb ads vhd vhdl elm", r"dnl\b": "m4 ac", r"rem\b": "bat cmd bas",
}  # fmt: skip
_PAIRS = {
    ("/*", "*/"): _C_LIKE + " m sql", ("<!--", "-->"): "html htm xhtml xml svg vue xsl xslt jsp php",
    ("{-", "-}"): "hs elm purs", ("(*", "*)"): "ml mli pas nb wl fs", ("--[[", "]]"): "lua",
    ("=pod", "=cut"): "pl pm t", ("=begin", "=end"): "rb",
}  # fmt: skip
_DOCSTRINGS = ("py", "pyi", "pyx")
#: Endings of texts and data, in which a line that begins with "#" is not a comment.
_TEXTS = frozenset(
    ("md", "markdown", "mdx", "rst", "txt", "text", "adoc", "org", "json", "po", "pot", "csv", "tsv", "log", "diff",
     "patch", "ipynb")
)  # fmt: skip
#: Beginnings of the names of programs without an ending.
_SCRIPTS = ("makefile", "gnumakefile", "dockerfile", "rakefile", "gemfile", "sconstruct", "configure", "jenkinsfile")
#: How far an opening sign of a comment is looked for before a name, and how much text around the name is examined, in
#: characters.
_OPENED, _AROUND = 20_000, 1_500
#: The most lines with a name that are looked at, and the most comments that are examined.
_MOST_LINES, _MOST = 1_000, 8


def notices(path: str, content: str, start: int, recipe: CodeLicences) -> list[tuple[str, int]]:
    """The comments behind the first `start` characters that may name a licence which is not accepted, as (text, number
    of lines before it), at most eight, each text once."""
    rest = content[start:].lower()
    ending = _ending(path, content)
    if not ending or ending in _TEXTS or not any(piece in rest for piece in _PIECES):
        return []
    found: dict[str, int] = {}
    end = start
    for first, last in _places(content, start, ending, recipe):
        if last > end and len(found) < _MOST:
            end = last
            found.setdefault(content[first:last], content.count("\n", 0, first))
    return list(found.items())


def _ending(path: str, content: str) -> str:
    """The ending of a file's name in lower case; "sh" for scripts and Makefiles without one, empty for texts."""
    name = basename(path).lower()
    if "." in name:
        return name.rpartition(".")[2]
    return "sh" if content.startswith("#!") or name.startswith(_SCRIPTS) else ""


def _places(content: str, start: int, ending: str, recipe: CodeLicences) -> Iterator[tuple[int, int]]:
    """Begin and end of the comments with a tag or a notice, in their order."""
    hits = {match.start(): match for pattern in (_NAME, _TAG) for match in pattern.finditer(content, start)}
    leaders, pairs = _signs(ending)
    for place in sorted(hits)[:_MOST_LINES]:
        line = content.rfind("\n", 0, place) + 1
        if not _in_comment(content, line, place, ending, leaders, pairs):
            continue
        if hits[place].re is _TAG:
            expression = re.sub(r"(?:\*/|-->|\*\)|\"\"\").*|[\s;]+$", "", hits[place][1]).strip()
            if judge(expression, recipe).decision != ALLOWED:
                yield max(line, place - 20), hits[place].end()
        elif _STATES.search(content, max(line, place - 200), place + 200):
            yield _pair_around(content, place, pairs) or _lines_around(content, line, place, leaders)


@functools.cache
def _signs(ending: str) -> tuple[re.Pattern[str], tuple[tuple[str, str], ...]]:
    """How comment lines begin in files with an ending, and the pairs of signs around comments there."""
    leaders = [sign for sign, endings in _LEADERS.items() if ending in endings.split()]
    # Lines inside of /* */ begin with a star.
    leaders += ["/?\\*"] if ending in _C_LIKE.split() else ["#"]
    pairs = tuple(pair for pair, endings in _PAIRS.items() if ending in endings.split())
    return re.compile(rf"[ \t]*(?:{'|'.join(leaders)})", re.IGNORECASE), pairs


def _in_comment(
    content: str, line: int, place: int, ending: str, leaders: re.Pattern[str], pairs: tuple[tuple[str, str], ...]
) -> bool:
    """Whether a place stands in a comment or docstring; `line` is the start of its line."""
    if leaders.match(content, line, place + 1) or re.search(r"\s(?:#|//)\s", content[line:place]):
        return True
    first = max(0, place - _OPENED)
    if any(content.rfind(opens, first, place) > content.rfind(closes, first, place) for opens, closes in pairs):
        return True
    return ending in _DOCSTRINGS and any(content.count(quotes, 0, place) % 2 for quotes in ('"""', "'''"))


def _pair_around(content: str, place: int, pairs: tuple[tuple[str, str], ...]) -> tuple[int, int] | None:
    """Begin and end of the comment between signs (/* */) around a place, at most `_AROUND` characters on each side;
    None if no such comment is around it."""
    least, most = max(0, place - _OPENED), place + _AROUND
    for opens, closes in pairs:
        first = content.rfind(opens, least, place)
        if first > content.rfind(closes, least, place):
            last = content.find(closes, place, most)
            return max(first, place - _AROUND), min(most if last < 0 else last + len(closes), len(content))
    return None


def _lines_around(content: str, line: int, place: int, leaders: re.Pattern[str]) -> tuple[int, int]:
    """Begin and end of the lines around a place that go on with its comment, at most `_AROUND` characters on each
    side."""
    first, least = line, max(0, place - _AROUND)
    while first > least:
        above = content.rfind("\n", 0, first - 1) + 1
        if not leaders.match(content, above, first):
            break
        first = above
    last, most = _line_end(content, place), min(len(content), place + _AROUND)
    while last < most and leaders.match(content, last + 1):
        last = _line_end(content, last + 1)
    return max(first, least), min(max(last, place + 300), most)


def _line_end(content: str, place: int) -> int:
    end = content.find("\n", place)
    return len(content) if end < 0 else end
