"""Refuses pages with a tag of so many attributes that parsers would need minutes for it.

The HTML parsers (lexbor in resiliparse, libxml2 in lxml) compare every attribute of a tag with all earlier ones of it:
200,000 attributes take minutes, and honest pages have a few dozen. So the attributes are counted before a page is
parsed, in one pass of a regular expression that never goes back.
"""

from __future__ import annotations

import re

#: Parsing a tag with so many attributes takes a twentieth of a second.
MAX_ATTRIBUTES = 5_000

#: An attribute as the HTML standard reads it, with the white space and slashes before it.
_ATTRIBUTE = r"""[\s/]*+=?+[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?+"""
_NAME = r"[A-Za-z][^\s/>]*+"
_TOKEN = re.compile(
    rf"""<(?:
      !--(?:-?>|(?:[^-]|-(?!-!?>))*+)                              # a comment
    | (?:script|style)(?=[\s/>])(?:{_ATTRIBUTE})*+[^>]*+           # its attributes, and what it holds
        (?:>(?:[^<]|<(?!/(?:script|style)[\s/>]))*+)?+
    | (?P<root>html|body)(?=[\s/>])(?P<of_root>(?:{_ATTRIBUTE})*+) # its attributes join those of the first such tag
    | /?{_NAME}(?:(?P<many>(?:{_ATTRIBUTE}){{{MAX_ATTRIBUTES}}})|(?:{_ATTRIBUTE})*+)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_ATTRIBUTES = re.compile(_ATTRIBUTE)


class TooManyAttributes(ValueError):
    """A tag of a page has more attributes than any honest page has."""


def check_attributes(markup: str) -> None:
    """Raise `TooManyAttributes` if a tag of a page has `MAX_ATTRIBUTES` or more, or all tags <html> and <body> together
    have."""
    of_roots = 0
    for token in _TOKEN.finditer(markup):
        if token["root"]:
            of_roots += sum(1 for _ in _ATTRIBUTES.finditer(token["of_root"]))
        if token["many"] or of_roots >= MAX_ATTRIBUTES:
            raise TooManyAttributes(f"a tag has {MAX_ATTRIBUTES:,} attributes or more, at character {token.start():,}")
