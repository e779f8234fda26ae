"""Refuses pages with a tag of so many attributes that parsers would need minutes for it.

The HTML parsers (lexbor in resiliparse, libxml2 in lxml) compare every attribute of a tag with all earlier ones of it:
200,000 attributes take minutes, and honest pages have a few dozen. So the attributes are counted before a page is
parsed, in one pass of a regular expression that never goes back.
"""

from __future__ import annotations

import re
from typing import NoReturn

#: Parsing a tag with so many attributes takes a twentieth of a second.
MAX_ATTRIBUTES = 5_000

#: An attribute as the HTML standard reads it, with the white space and slashes before it.
_ATTRIBUTE = r"""[\s/]*+=?+[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?+"""
_NAME = r"[A-Za-z][^\s/>]*+"


def _counted(many: str) -> str:
    """The attributes of a tag; the group `many` is there if they are too many."""
    return rf"(?:(?:{_ATTRIBUTE}){{{MAX_ATTRIBUTES}}}(?P<{many}>)|(?:{_ATTRIBUTE})*+)"


_COMMENT = "!--(?:-?>|(?:[^-]|-(?!-!?>))*+)"
_ROOT = rf"(?P<root>html|body)(?=[\s/>])(?P<of_root>(?:{_ATTRIBUTE})*+)"  # they join those of the first such tag
_TAG = rf"/?(?P<name>{_NAME}){_counted('many')}"
_RAW = (
    rf"(?:script|style)(?=[\s/>]){_counted('many_of_raw')}"
    r"[^>]*+(?:>(?P<held>(?:[^<]|<(?!/(?:script|style)[\s/>]))*+))?+"
)

#: What begins with "<" where <script> and <style> are markup like others, and where they hold text.
_MARKUP = re.compile(f"<(?:{_COMMENT}|{_ROOT}|{_TAG})", re.IGNORECASE)
_TOKEN = re.compile(f"<(?:{_COMMENT}|{_ROOT}|{_RAW}|{_TAG})", re.IGNORECASE)
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_DRAWS = re.compile("<(?:svg|math)", re.IGNORECASE)
#: Characters that so many attributes take at least: a letter each, and a blank or slash before it.
_LEAST = 2 * MAX_ATTRIBUTES
#: A ">" in a quoted value: only there it does not end the tag.
_QUOTED_END = re.compile(r"""=\s*+(?:"[^">]*+>|'[^'>]*+>)""")
#: A page in which a ">" follows each "<" soon.
_SHORT_TAGS = re.compile(rf"(?:[^<]*+<[^>]{{0,{_LEAST - 1}}}+>)*+[^<]*+")
_WHOLE_ROOT = re.compile("<(?:html|body)[^>]*+", re.IGNORECASE)


class TooManyAttributes(ValueError):
    """A tag of a page has more attributes than any honest page has."""


def check_attributes(markup: str) -> None:
    """Raise `TooManyAttributes` if a tag of a page has `MAX_ATTRIBUTES` or more, or all tags <html> and <body> together
    have.

    <script> and <style> hold text, but not inside <svg> and <math>. Which of them are inside is hard to say, so after
    the first <svg> or <math> the text is looked through as well.
    """
    if _has_only_short_tags(markup):
        return
    of_roots, drawn, draws = 0, False, _DRAWS.search(markup) is not None
    for token in _TOKEN.finditer(markup):
        # The group that was closed last: nearly all tags have a name and not too many attributes.
        if (last := token.lastgroup) is None:
            continue
        if last == "name":
            drawn = drawn or (draws and token["name"].lower() in ("svg", "math"))
            continue
        if token["root"]:
            of_roots += sum(1 for _ in _ATTRIBUTES.finditer(token["of_root"]))
        if token["many"] is not None or token["many_of_raw"] is not None or of_roots >= MAX_ATTRIBUTES:
            _refuse(token.start())
        if drawn and token["held"]:
            for inner in _MARKUP.finditer(markup, *token.span("held")):
                if inner["many"] is not None:
                    _refuse(inner.start())


def _has_only_short_tags(markup: str) -> bool:
    """Whether no tag of a page has room for so many attributes. Nearly all pages are so, and it is found out faster
    than attributes are counted."""
    if _QUOTED_END.search(markup) or not _SHORT_TAGS.fullmatch(markup):
        return False
    of_roots = 0
    for tag in _WHOLE_ROOT.finditer(markup):
        of_roots += len(tag[0])
        if of_roots >= _LEAST:
            return False
    return True


def _refuse(at: int) -> NoReturn:
    raise TooManyAttributes(f"a tag has {MAX_ATTRIBUTES:,} attributes or more, at character {at:,}")
