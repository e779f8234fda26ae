"""Reads what a page declares about its mathematics: the delimiters and macros of its MathJax or KaTeX settings.

The settings are JavaScript. Nothing is executed: string literals are read from the lists and objects behind the names
that MathJax 2 to 4 and KaTeX's auto-render know (`inlineMath`, `displayMath`, `delimiters`, `macros`, `Macros`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MAX_TEX = 20_000  # characters of a formula; a longer span between delimiters is text

_SCRIPT = re.compile(r"<(/?)[sS][cC][rR][iI][pP][tT](?=[\s/>])")
_STRING = r"\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'"
_PARTS = re.compile(rf"{_STRING}|[\[\]{{}}]")
_LIST = re.compile(r"(inlineMath|displayMath|delimiters)[\"']?\s{0,9}[:=]\s{0,9}\[")
_MACROS = re.compile(r"[mM]acros[\"']?\s{0,9}[:=]\s{0,9}\{")
_ASCIIMATH_SETTING = re.compile(r"asciimath(?:2jax)?[\"']?\s{0,9}[:=]\s{0,9}\{[^{}]{0,400}$", re.IGNORECASE)
_LEFT_RIGHT = re.compile(
    rf"left[\"']?\s{{0,9}}:\s{{0,9}}({_STRING})\s{{0,9}},\s{{0,99}}[\"']?right[\"']?\s{{0,9}}:\s{{0,9}}({_STRING})"
    r"(?:\s{0,9},\s{0,99}[\"']?display[\"']?\s{0,9}:\s{0,9}(true|false))?"
)
_MACRO = re.compile(
    rf"(?:[{{,\s]|^)[\"']?(?:\\\\)?([A-Za-z]{{1,40}})[\"']?\s{{0,9}}:\s{{0,9}}(?:({_STRING})|\[\s{{0,9}}({_STRING})"
    rf"(?:\s{{0,9}},\s{{0,9}}(\d))?(?:\s{{0,9}},\s{{0,9}}({_STRING}))?)"
)
_MAX_SETTING = 20_000  # characters of a list of delimiters or an object of macros
_MAX_SETTINGS = 20
_MAX_EXPANSIONS = 500

#: A page whose scripts read AsciiMath between backticks.
_READS_ASCIIMATH = re.compile(
    r"ASCIIMath(?:ML|TeXImg)?\.js|asciimath2jax|input/asciimath|[?&]config=[\w,-]{0,60}\bAM_|[-_]AM[-_]",
    re.IGNORECASE,
)
#: One of these stands in such a page; looking for them is fast.
_ASCIIMATH_WORDS = ("ASCIIMath", "AsciiMath", "asciimath", "AM_", "-AM-", "_AM-")
#: Delimiters of forum software. They are read also where the settings are not in the page.
_TAGS = ("itex", "tex", "latex", "math")
_STANDARD = frozenset(("$", "$$", r"\(", r"\["))

Written = Literal["inline", "display", "asciimath"]


@dataclass(frozen=True, slots=True)
class Pair:
    """An opening and a closing delimiter, and what stands between them."""

    opening: str
    closing: str
    written: Written


def settings_of(page: str) -> str:
    """The scripts of a page with their tags: where its settings stand. The whole page if it has no complete script."""
    parts, start = [], -1
    for tag in _SCRIPT.finditer(page):
        if tag[1] and start >= 0:
            parts.append(page[start : tag.end()])
            start = -1
        elif not tag[1] and start < 0:
            start = tag.start()
    return "\n".join(parts) or page


def delimiters(page: str, settings: str) -> tuple[Pair, ...]:
    """The delimiters that a page declares in its `settings` beside the usual ones ($, $$, \\( and \\[), and those of
    forum software that stand in the page."""
    found: dict[str, Pair] = {}
    for tag in _TAGS if "[/" in page else ():
        if f"[/{tag}]" in page:
            found[f"[{tag}]"] = Pair(f"[{tag}]", f"[/{tag}]", "display" if tag == "tex" else "inline")
    if any(word in settings for word in _ASCIIMATH_WORDS) and _READS_ASCIIMATH.search(settings):
        found["`"] = Pair("`", "`", "asciimath")
    for number, setting in enumerate(
        _LIST.finditer(settings) if "Math" in settings or "delimiters" in settings else ()
    ):
        if number == _MAX_SETTINGS:
            break
        body = _enclosed(settings, setting.end())
        is_asciimath = bool(_ASCIIMATH_SETTING.search(settings[max(0, setting.start() - 500) : setting.start()]))
        if is_asciimath:
            found.pop("`", None)
        for pair in _pairs(body, setting[1], is_asciimath):
            if pair.opening not in _STANDARD and not pair.opening.startswith(r"\begin") and _is_sign(pair):
                found[pair.opening] = pair
    return tuple(found.values())


def _pairs(body: str, name: str, is_asciimath: bool) -> Iterator[Pair]:
    """The pairs in the body of a list of delimiters."""
    if name == "delimiters" and not is_asciimath:
        for match in _LEFT_RIGHT.finditer(body):
            yield Pair(_literal(match[1]), _literal(match[2]), "display" if match[3] == "true" else "inline")
        return
    written: Written = "asciimath" if is_asciimath else "display" if name == "displayMath" else "inline"
    strings = [_literal(part[0]) for part in _PARTS.finditer(body) if part[0][0] in "\"'"]
    for opening, closing in zip(strings[::2], strings[1::2], strict=False):
        yield Pair(opening, closing, written)


def _is_sign(pair: Pair) -> bool:
    """Whether delimiters are short and cannot be words of a text."""
    return all(0 < len(part) <= 20 and not part.replace(" ", "").isalnum() for part in (pair.opening, pair.closing))


def _enclosed(page: str, start: int) -> str:
    """The page from `start` to the bracket or brace that closes the one before `start`, at most `_MAX_SETTING`
    characters."""
    depth = 1
    stop = min(len(page), start + _MAX_SETTING)
    for part in _PARTS.finditer(page, start, stop):
        depth += (part[0] in "[{") - (part[0] in "]}")
        if depth == 0:
            return page[start : part.start()]
    return ""


def _literal(quoted: str) -> str:
    """The value of a string literal of JavaScript."""
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])


# -- macros -----------------------------------------------------------------------------------------------------------

_COMMAND = re.compile(r"\\([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class _Macro:
    arguments: int
    body: str
    default: str | None = None


class Macros:
    """The macros of a page's settings: {"RR": "\\mathbb{R}"} makes "x \\in \\RR" to "x \\in \\mathbb{R}"."""

    def __init__(self, settings: str) -> None:
        self._known: dict[str, _Macro] = {}
        for number, setting in enumerate(_MACROS.finditer(settings) if "acros" in settings else ()):
            if number == _MAX_SETTINGS:
                break
            for match in _MACRO.finditer(_enclosed(settings, setting.end())):
                body = _literal(match[2] or match[3])
                stated = [int(place) for place in re.findall(r"#([1-9])", body)]
                arguments = int(match[4]) if match[4] else max(stated, default=0)
                self._known[match[1]] = _Macro(arguments, body, _literal(match[5]) if match[5] else None)

    def expand(self, tex: str) -> str:
        """A formula without the page's macros; unchanged where it would become longer than a formula may be."""
        if not self._known or "\\" not in tex:
            return tex
        text, start = tex, 0
        for _ in range(_MAX_EXPANSIONS):
            match = _COMMAND.search(text, start)
            if match is None:
                return text
            macro = self._known.get(match[1])
            if macro is None:
                start = match.end()
                continue
            made, end = self._applied(macro, text, match.end())
            follows = text[end : end + 1]
            gap = " " if follows.isalpha() and re.search(r"\\[A-Za-z]+$", made) else ""
            # A macro that names itself, such as {"vec": "\\vec{\\boldsymbol #1}"}, is expanded once.
            start = match.start() + (len(made) if f"\\{match[1]}" in made else 0)
            text = text[: match.start()] + made + gap + text[end:]
            if len(text) > MAX_TEX:
                return tex
        return tex

    def _applied(self, macro: _Macro, text: str, at: int) -> tuple[str, int]:
        """(the macro's body with its arguments, the index after them)."""
        values: list[str] = []
        if macro.default is not None and macro.arguments:
            option = re.compile(r"\s*\[([^\[\]]*)\]").match(text, at)
            values.append(option[1] if option else macro.default)
            at = option.end() if option else at
        while len(values) < macro.arguments:
            value, at = _argument(text, at)
            values.append(value)
        return re.sub(r"#([1-9])", lambda m: values[int(m[1]) - 1] if int(m[1]) <= len(values) else "", macro.body), at


def _argument(text: str, at: int) -> tuple[str, int]:
    """(an argument of a command: a group without its braces, a command or a character; the index after it)."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] != "{":
        match = re.compile(r"\\(?:[A-Za-z]+|.)|.", re.DOTALL).match(text, at)
        return (match[0], match.end()) if match else ("", at)
    depth = 0
    for part in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at):
        depth += (part[0] == "{") - (part[0] == "}")
        if depth == 0:
            return text[at + 1 : part.start()], part.end()
    return text[at + 1 :], len(text)
