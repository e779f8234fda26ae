"""What of a file is examined, and the cheap look that spares most files the library.

A file without any licence-like word in what is examined states nothing: the library is not asked. The words are
chosen so that nothing the library finds gets lost (measured in benchmarks/licenses.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: In the lower-cased text. Parts of words on purpose: "licens" is in "licensed", "sublicensable" and "unlicense".
_WORDS = (
    "licens", "licenc", "licenz", "licenç", "lizenz", "lizenc", "лиценз", "许可", "許可", "ライセンス", "라이선스",
    "spdx", "copyleft", "redistribut", "warrant", "permission", "permitted", "proprietary", "confidential", "copying",
    "freeware", "shareware", "all rights reserved", "free software", "patent", "trademark", "royalt", "prohibit",
    "freely", "copyright notice", "agreement", "same terms", "tous droits", "alle rechte", "todos los derechos",
    "版权所有", "все права", "wszelkie prawa", "著作権",
)  # fmt: skip
#: Pieces that other words have as well ("commit", "openssl"), with what they must be part of.
_IN_CONTEXT = tuple(
    (piece, re.compile(pattern, re.DOTALL))
    for piece, pattern in (
        ("public", r"public.?domain"),
        ("creative", r"creative.?commons"),
        ("as is", r"as is\b"),
        ("as-is", r"as-is\b"),
        ("open", r"open.?source"),
        ("gnu ", r"gnu (?:general|lesser|library|affero|free)"),
        ("gpl", r"\b(?:a|l)?gplv?[0-9]?\b"),
        ("cc by", r"\bcc by\b"),
        ("cc-by", r"\bcc-by\b"),
        ("terms ", r"terms (?:of|and)"),
        ("trade", r"trade.?secret"),
        *(
            (name, rf"\b{name}\b")
            for name in (
                "mozilla",
                "mpl",
                "apache",
                "bsd",
                "mit",
                "isc",
                "boost",
                "zlib",
                "wtfpl",
                "cc0",
                "artistic",
                "eclipse",
                "cddl",
                "ofl",
                "eula",
            )
        ),
    )
)
#: Lines of a leading comment, in most languages. What comes behind is code, and differs in every file.
_COMMENT = re.compile(
    r"^\s*(?:#|//|/\*|\*|--|;|%|\"\"\"|'''|r?\"\"\"|<!--|\(\*|\{-|dnl\b|rem\b|'|!|\.\\\\\"|<\?|@)", re.IGNORECASE
)
_OPENS = (("/*", "*/"), ('"""', '"""'), ("'''", "'''"), ("<!--", "-->"), ("{-", "-}"), ("(*", "*)"), ("=begin", "=end"),
          ("--[[", "]]"), ("=pod", "=cut"))  # fmt: skip


def speaks_of_licences(text: str) -> bool:
    """Whether a text has a word that a licence statement would have."""
    lowered = text.lower()
    # Finding fixed pieces is fifty times faster than a pattern with all of them.
    if any(word in lowered for word in _WORDS):
        return True
    return any(piece in lowered and pattern.search(lowered) is not None for piece, pattern in _IN_CONTEXT)


def examined(content: str, recipe: CodeLicences) -> list[tuple[str, int]]:
    """The pieces of a file to ask the library about, each with the number of lines before it; none for most files."""
    pieces = []
    head = content[: recipe.head_characters]
    comment = leading_comment(head)
    if len(comment) == len(head) < len(content):  # the comment goes on, and some have their licence at its end
        head = comment = leading_comment(content[: _LONGEST_COMMENT * recipe.head_characters])
    if speaks_of_licences(head):
        # Files that share their header share the library's answer, if the code below says nothing of licences.
        pieces.append((comment if comment and not speaks_of_licences(head[len(comment) :]) else head, 0))
    rest = content[len(head) :]
    if recipe.tail_characters and rest:
        tail = rest[-recipe.tail_characters :]
        lowered = tail.lower()
        if any(piece in lowered for piece in _STRONG_PIECES) and _STRONG.search(tail):
            before = content[: len(content) - len(tail)]
            pieces.append((tail, before.count("\n")))
    return pieces


#: How much of a comment at the beginning is examined, in sizes of a head.
_LONGEST_COMMENT = 5
_STRONG_PIECES = ("spdx-license", "permission ", "redistribution and", "licensed under", "under the", "general public",
                  "provided ", "released ")  # fmt: skip
#: Words of an actual grant or notice, for the end of files, where code and prose mention licences in passing.
_STRONG = re.compile(
    r"(?i)spdx-license-identifier|permission is hereby granted|permission to use, copy|licensed under|"
    r"redistribution and use in source|under the terms of|general public license|provided .as.is. without|"
    r"released (?:in)?to the public domain|under the (?:mit|bsd|apache|isc|zlib|boost)"
)


def leading_comment(head: str) -> str:
    """The comment that a file begins with (blank lines and a shebang included), up to the first line of code."""
    end, closing = 0, ""
    for line in head.splitlines(keepends=True):
        text = line.strip()
        if closing:
            if closing in text:
                closing = ""
        elif text and not _COMMENT.match(text):
            opening = next(((a, b) for a, b in _OPENS if text.startswith(a)), None)
            if opening is None:
                break
            closing = "" if opening[1] in text[len(opening[0]) :] else opening[1]
        else:
            for a, b in _OPENS:
                if text.startswith(a) and b not in text[len(a) :]:
                    closing = b
                    break
        end += len(line)
    return head[:end]


#: A licence section of a README, from its heading to the next.
_HEADING = re.compile(
    r"(?im)^(?:#{1,6}[ \t]*|=+[ \t]*)?(?:[0-9.]+[ \t]*)?(?:\W{0,3})"
    r"(?:licen[sc](?:e|es|ing)|copyright(?: (?:and|&) licen[sc]e)?|legal)\W{0,3}$"
)
_ANY_HEADING = re.compile(r"(?m)^(?:#{1,6}[ \t]*\S.*|[^\n]{2,60}\n[=~^-]{3,})$")


def licence_section(readme: str, limit: int = 3_000) -> tuple[str, int]:
    """What a README says under a heading "License", with the number of lines before it; empty if it has none."""
    match = _HEADING.search(readme)
    if not match:
        return "", 0
    body = readme[match.start() : match.start() + limit]
    following = _ANY_HEADING.search(body, match.end() - match.start() + 5)
    return body[: following.start()] if following else body, readme.count("\n", 0, match.start())
