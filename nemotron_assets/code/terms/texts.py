"""Choose the pieces of a file that the licence library must scan, and skip files without a word about licences.

Scanning is slow (2 to 7 files/s per core), and most files name no licence. The words are chosen so that no licence
which the library would find is missed (benchmarks/licenses.py --missed measures it).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemotron_assets.code.terms import inside

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Parts of words, looked for in the text in lower case: "licens" finds "licensed", "sublicensable" and "unlicense".
_WORDS = (
    "licens", "licenc", "licenz", "licenç", "lizenz", "lizenc", "лиценз", "许可", "許可", "ライセンス", "라이선스",
    "spdx", "copyleft", "redistribut", "warrant", "permission", "permitted", "proprietary", "confidential", "copying",
    "freeware", "shareware", "all rights reserved", "free software", "patent", "trademark", "royalt", "prohibit",
    "freely", "copyright notice", "agreement", "same terms", "tous droits", "alle rechte", "todos los derechos",
    "版权所有", "все права", "wszelkie prawa", "著作権",
)  # fmt: skip
#: Parts of words that other words have, too ("mit" is in "commit"), each with a pattern that must match as well.
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
#: Beginnings of comment lines in most languages.
_COMMENT = re.compile(
    r"^\s*(?:#|//|/\*|\*|--|;|%|\"\"\"|'''|r?\"\"\"|<!--|\(\*|\{-|dnl\b|rem\b|'|!|\.\\\\\"|<\?|@)", re.IGNORECASE
)
_OPENS = (("/*", "*/"), ('"""', '"""'), ("'''", "'''"), ("<!--", "-->"), ("{-", "-}"), ("(*", "*)"), ("=begin", "=end"),
          ("--[[", "]]"), ("=pod", "=cut"))  # fmt: skip


def speaks_of_licences(text: str) -> bool:
    """Whether a text has a word about licences, such as "licensed", "GPL" or "permission"."""
    lowered = text.lower()
    # Looking for fixed strings is fifty times faster than one pattern with all of them.
    if any(word in lowered for word in _WORDS):
        return True
    return any(piece in lowered and pattern.search(lowered) is not None for piece, pattern in _IN_CONTEXT)


def pieces_to_examine(content: str, recipe: CodeLicences, path: str = "") -> list[tuple[str, int]]:
    """The pieces of a file that the library must scan, as (text, number of lines before it); empty for most files."""
    pieces = []
    head = content[: recipe.head_characters]
    comment = leading_comment(head)
    if len(comment) == len(head) < len(content):  # the comment is longer; its licence may stand at its end
        head = comment = leading_comment(content[: _LONGEST_COMMENT * recipe.head_characters])
    if speaks_of_licences(head):
        # Only the comment, if the code below has no word about licences: files with the same comment are scanned once.
        pieces.append((comment if comment and not speaks_of_licences(head[len(comment) :]) else head, 0))
    rest = content[len(head) :]
    if recipe.tail_characters and rest:
        tail = rest[-recipe.tail_characters :]
        lowered = tail.lower()
        if any(piece in lowered for piece in _STRONG_PIECES) and _STRONG.search(tail):
            before = content[: len(content) - len(tail)]
            pieces.append((tail, before.count("\n")))
        else:
            tail = ""
        rest = rest[: len(rest) - len(tail)]
    return pieces + inside.notices(path, head + rest, len(head), recipe)


#: How much of a comment at the beginning is examined, as a multiple of `head_characters`.
_LONGEST_COMMENT = 5
_STRONG_PIECES = ("spdx-license", "permission ", "redistribution and", "licensed under", "under the", "general public",
                  "provided ", "released ")  # fmt: skip
#: Words of a grant or a notice. The end of a file needs one of them: code and prose there often mention licences.
_STRONG = re.compile(
    r"(?i)spdx-license-identifier|permission is hereby granted|permission to use, copy|licensed under|"
    r"redistribution and use in source|under the terms of|general public license|provided .as.is. without|"
    r"released (?:in)?to the public domain|under the (?:mit|bsd|apache|isc|zlib|boost)"
)


def leading_comment(head: str) -> str:
    """The comment at the beginning of a file, with blank lines and a shebang, up to the first line of code."""
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


#: The heading of a section about the licence in a README, and any heading.
_HEADING = re.compile(
    r"(?im)^(?:#{1,6}[ \t]*|=+[ \t]*)?(?:[0-9.]+[ \t]*)?(?:\W{0,3})"
    r"(?:(?:project|software|code|our|the|terms (?:and|of|&))[ \t]+|copyright(?: (?:and|&))?[ \t]+)?"
    r"(?:licen[sc](?:e|es|ing)(?:[ \t]+(?:(?:and|&)[ \t]+)?(?:copyright|terms|information|info|notice|agreement|"
    r"details|conditions|usage))?|copyright|legal)\W{0,3}$"
)
_ANY_HEADING = re.compile(r"(?m)^(?:#{1,6}[ \t]*\S.*|[^\n]{2,60}\n[=~^-]{3,})$")


def licence_sections(readme: str, limit: int = 3_000) -> list[tuple[str, int]]:
    """The sections "License" of a README, each with the number of lines before it and of at most `limit` characters."""
    found, end = [], 0
    for match in _HEADING.finditer(readme):
        if match.start() >= end:
            body = readme[match.start() : match.start() + limit]
            following = _ANY_HEADING.search(body, match.end() - match.start() + 5)
            body = body[: following.start()] if following else body
            found.append((body, readme.count("\n", 0, match.start())))
            end = match.start() + len(body)
    return found


def licence_section(readme: str) -> tuple[str, int]:
    """The first section "License" of a README and the number of lines before it; ("", 0) without one."""
    return next(iter(licence_sections(readme)), ("", 0))
