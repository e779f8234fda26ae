"""What the words of licence texts and headers say beside the licences in them: restrictions, conditions, choices and
parts. The library knows licences, and not what somebody has put beside them. These are patterns of words, most of them
seen in real packages; a condition in words that nobody thought of passes.
"""

from __future__ import annotations

import functools
import re

_WHERE = r"\b(?:academic|research|educational|evaluation|personal|internal|private|student|hobby|university)\b"
#: What takes back what a permissive licence grants, wherever it stands.
_RESTRICTS = re.compile(
    "(?i)"
    + "|".join(
        (
            r"non[- ]?commercial",
            r"\bnot (?:for )?evil\b",
            r"\bus(?:e|ed|age)\b[^.]{0,80}\b(?:military|weapons?|nuclear)\b",
            rf"\b(?:free|only|solely|exclusively)(?: to be)?(?: used?)? (?:for|in|within|by) (?:\w+ )?{_WHERE}",
            r"(?:proprietary and confidential|confidential and proprietary)",
            r"unauthori[sz]ed (?:copying|use|distribution|reproduction|duplication)",
            r"trade secrets?",
            r"not for (?:commercial|redistribution|distribution)",
            r"(?:may|must|shall) not (?:sell|be sold|use the software (?:for|to)|copy|redistribute)",
            r"(?:may|must|shall) not be used (?:for|in|by) (?!endors|advertis)",
            r"without (?:the )?(?:express|prior|explicit)(?: prior)?(?: written consent| consent| written permission)",
            r"commercial (?:use|purposes?|usage) (?:is|are|requires?|without|only)",
            r"train(?:ing)? (?:of )?(?:any )?(?:ai|machine learning|large language|language models?)",
            r"ethical (?:source|licen)",
            r"interdite?s? sans",
            r"alle rechte vorbehalten",
            r"nicht gestattet",
            r"todos los derechos reservados",
            r"prohibid[ao]",
            r"tous droits r[ée]serv",
            r"все права защищены",
            r"запрещ",
            r"版权所有",
            r"未经.{0,12}许可",
            r"不得",
            r"無断",
            r"禁止",
            r"wszelkie prawa zastrze",
        )
    )
)
#: What does so in a notice, but which documentation also says of objects and servers.
_RESTRICTS_IN_NOTICES = re.compile(
    "(?i)"
    + "|".join(
        (
            r"(?:may|must|shall|can|is) ?not be (?:copied|reproduced|redistributed|disclosed|distributed|sold|shared)",
            r"(?:may|must|shall|can|is) ?not be modified",
            r"(?:may|can|must|shall) only be used",
            # "Internal use only" is said of functions.
            rf"(?!internal|private){_WHERE}(?:[ -]\w+){{0,3}}[ -]only\b",
            r"(?:licen[sc]e|agreement|permission|terms?|we|owner|author)s? (?:do|does) not (?:permit|allow|grant)",
            r"(?:requires?|needs?|without|buy\w*|purchas\w*|obtain\w*) an? (?:separate|commercial|paid|written)\b",
            r"must pay\b",
            r"\b(?:is|are) (?:strictly |expressly )?(?:prohibited|forbidden)\b",
            r"do not (?:re)?distribute",
            r"for commercial use",
            r"commercial licen[sc]e",
        )
    )
)
#: Words that, put into the text of a licence, change what it says.
_CHANGES = re.compile(
    r"(?i)\b(?:not|no|non|only|except|excluding|unless|must|shall|prohibit\w*|forbid\w*|restrict\w*|commercial\w*|"
    r"require[sd]?|fee|royalt\w*|consent|approval|evil|military|government|companies|employees?|compet\w+|sell|"
    r"sale|saas|hosted|service|revoke|terminat\w*|notify|academic|research|personal|private|internal|educational)\b"
)
#: What an added paragraph of a licence file says when it is a condition.
_CONDITIONS = re.compile(
    r"(?i)\b(?:may|must|shall|can) not\b|\bnot (?:permitted|allowed|granted)|prohibit|forbid|restrict|provided that|"
    r"subject to(?! the same| ?\.| (?:its|their) |"
    r" receipt of any required approvals)|additional (?:terms|conditions|restrictions)|on condition|in exchange|"
    r"you (?:must|agree|shall)|"
    r"\bonly (?:if|for|when|to|in|with|be)\b|"
    r"except (?:that|for|where|when)"
    r"(?! (?:[\w-]+ ){0,4}(?:stated|noted|specified|outlined|listed|described|indicated|below))|"
    r"does not (?:apply|cover|extend|include)|is not (?:licensed|covered)|different licen|separate licen|commercial|"
    # A sentence that speaks of use and sets a bound to it.
    r"\b(?:us(?:e|es|ed|ing|age)|(?:re)?distribut\w*|offer\w*|cop(?:y|ies)|sell\w*|modif\w*|permission)\b[^.]{0,160}"
    r"\b(?:only|not|requires?|pay|fees?|agreements?|compan(?:y|ies)|employees|evil|military|government|academic|research|"
    r"personal|evaluation|hosted|hosting|saas|compet\w+|approval|consent|revo\w+|terminat\w+)\b|"
    r"\b(?:no (?:person|one|company|body)|nobody|anyone|whoever|users?)\b[^.]{0,80}\b(?:may|must|shall|will)\b|"
    # Words of a grant, a duty or an end, which titles and names of holders do not have.
    r"\b(?:(?:is|are) granted|this grant|must(?! be applied according to section)|ha(?:s|ve) to|"
    r"needs? (?:to|an?|the|prior|written|permission|approval|consent)|excluded?|denied|expires?|evaluat\w+|students?|"
    r"government|revenue|approval|redistributed|agree|please cite|cite (?:our|the|this))\b|(?<!rights )\breserved\b"
)


@functools.lru_cache(4_096)
def restriction(text: str, notice: str | None = None) -> str:
    """Words that take back a permissive licence; empty if there are none. `notice` is the part of a text that is a
    notice, if not all of it."""
    match = _RESTRICTS.search(_flat(text)) or _RESTRICTS_IN_NOTICES.search(_flat(text if notice is None else notice))
    return match[0][:80] if match else ""


def _flat(text: str) -> str:
    """A text on one line, without the signs that comments begin their lines with."""
    return " ".join(re.sub(r"(?m)^[\s*#/;%!-]+", " ", text).split())


def change(inserted: str) -> str:
    """Among words that somebody put into a licence's text, the first that may change it."""
    match = _CHANGES.search(_DISCLAIMER.sub(" ", inserted))
    return match[0] if match else ""


#: With a name put before it, still the disclaimer that it was: "THE AUTHORS MAKE NO REPRESENTATIONS". And what is
#: otherwise indicated is found where it is.
_DISCLAIMER = re.compile(r"\bMAKES? NO\b|(?i:\bexcept where (?:otherwise )?(?:indicated|noted|stated|specified)\b)")
#: Words that leave a choice. "One of" alone does not: each file may be under another. Nor does the GPL's "(at your
#: option) any later version".
_NAME = r"(?:L?GPL|GNU|MIT|Expat|BSD|Apache|Artistic|MPL|Mozilla|ISC|zlib)"
_CHOICE = re.compile(
    r"(?i)\b(?:under|terms of|conditions of) (?:the (?:terms|conditions) of )?(?:either\b|any (?:one )?of\b)|"
    r"\b(?:can|may) be (?:used|distributed|copied|licensed)[^.]{0,60} under one of\b|"
    r"\bchoose (?:either|any|one|which|between|the one)\b|\byou may choose\b|\byour choice of\b|"
    r"\b(?:dual|tri|triple|multi)[- ]?licen[sc]ed\b|"
    r"\bat (?:your|(?:the )?users?'?s?|the licensee's) (?:own )?(?:choice|discretion|option)\b(?!\)? any later)|"
    r"\bat the (?:discretion|choice|option) of the (?:user|licensee)|"
    # "BSD-2-Clause OR LGPL-2.1-or-later"; "LGPLv2.1 or Apache License 2.0".
    r"(?-i:\b[A-Z][\w.]*-[\w.+-]+ OR [A-Z][\w.]*-[\w.+-]+)|"
    rf"\b{_NAME}[\w.+-]*(?: public)?(?: licen[sc]e)?(?:,? (?:version |v)?[0-9][0-9.]*\+?)?,? or (?:the |under )?{_NAME}"
)
#: What makes of a choice a list of which part is under what.
_OF_PARTS = re.compile(
    r"(?i)\b(?:files|parts?|portions?|components?|modules?|depend\w*|documentation|docs|respective(?:ly)?|each|headers?|"
    r"libraries|except|commercial)\b"
)
_BELOW = re.compile(r"(?i)\blicen[sc]es (?:listed |given )?below\b")
_LIST = re.compile(r"\s*(?:[-*•]|\(?[0-9a-z][.)])\s")


def choice(text: str) -> tuple[int, int] | None:
    """The lines (from 1, both included) of the paragraph in which a text leaves the choice between licences, with the
    list that follows it, or with all that follows if it speaks of the licenses below; None if none does."""
    start, paragraphs = 1, []
    for paragraph in re.split(r"\n[ \t*#/;%!-]*\n", text):
        end = start + paragraph.count("\n")
        paragraphs.append((paragraph, start, end))
        start = end + 2
    for place, (paragraph, first, last) in enumerate(paragraphs):
        words = _flat(paragraph)
        if _CHOICE.search(words) and not _OF_PARTS.search(words):
            if _BELOW.search(words):
                return first, text.count("\n") + 1
            for following, _, end in paragraphs[place + 1 :]:
                if not _LIST.match(following) or _OF_PARTS.search(following):
                    break
                last = end
            return first, last
    return None


#: Words by which a licence text says that what follows is of a part of the work, or of somebody else's.
_PART_FOLLOWS = re.compile(
    r"(?i)\b(?:third[- ]part(?:y|ies)|bundl\w+|includ(?:es|ed|ing)|incorporat\w+|contains?|derived|based on|taken|"
    r"adapted|originat\w+|external(?:ly)?|parts?|portions?|components?|documentation|docs|subdirectory|directory|folder|"
    r"files?|librar(?:y|ies)|dependenc\w+|vendored|copied|ported|borrowed|fonts|icons|examples)\b|\w/\w|\.[ch]\b"
)


def speaks_of_parts(rest: str) -> bool:
    """Whether the words of a licence text that belong to no licence say that some of it is about parts."""
    return bool(_PART_FOLLOWS.search(rest))


def added_condition(rest: str) -> str:
    """The first condition in what no match takes in of a licence file; empty if there is none."""
    # Names of holders are no conditions: "Copyright 2020 Personal Use Software".
    lines = (line if _FORBIDS.search(line) else _HOLDER.sub("", line) for line in rest.splitlines())
    match = _CONDITIONS.search(" ".join(" ".join(lines).split()))
    return match[0][:80] if match else ""


_FORBIDS = re.compile(
    r"(?i)\b(?:may|must|shall|can) not\b|\bcannot\b|prohibited|forbidden|\brequires? an?\b|\bwithout\b"
)
_HOLDER = re.compile(r"(?i)^\W*(?:portions )?(?:copyright|\(c\)|©)[^.\n]*")


#: The history before Python's licences speaks of the GPL ("GPL-compatible") and states no terms; nor does the remark on
#: what is part of the interpreter.
_HISTORY = re.compile(
    r"A\. HISTORY OF THE SOFTWARE.*?(?=B\. TERMS AND CONDITIONS FOR ACCESSING)|"
    r"Some software incorporated into Python is under different licenses\.\s+The licenses are listed with code falling "
    r"under that license\.",
    re.DOTALL,
)


#: What somebody may have put into the history.
_BINDS = re.compile(
    r"(?i)\b(?:may|must|shall) (?:not|only)\b|\bno (?:person|one|company)\b|\brequires? an?\b|prohibited|forbidden"
)


def without_history(text: str) -> str:
    """A licence text without the history that stands before its terms; lines keep their numbers."""
    return _HISTORY.sub(lambda match: match[0] if _BINDS.search(match[0]) else "\n" * match[0].count("\n"), text)


def named_files(text: str) -> frozenset[str]:
    """What in a text looks like a path: words with a slash, a folder's at their end too, or with a dot inside and an
    ending of letters."""
    words = (word.strip("`'\"()[]<>{},;:.*").removeprefix("./").rstrip("*").lower() for word in text.split())
    folders = (match[1].lower().strip("/") for match in _FOLDER.finditer(text))
    paths = (word.rstrip("/") for word in words if _PATH.fullmatch(word) and "//" not in word)
    return frozenset(folders).union(paths) - {""}


#: The "docs" directory, the directory docs/.
_FOLDER = re.compile(r"""(?i)["'`]([\w./-]{2,60})["'`]\s+(?:sub)?(?:director(?:y|ies)|folders?)\b""")
_PATH = re.compile(r"[\w.+@-]+(?:/[\w.+@-]+)+/?|[\w.+@-]{2,}/|[\w+@-]+(?:\.[\w+@-]+)*\.[a-z]\w{0,5}")


def points_elsewhere(text: str) -> bool:
    """Whether a licence text is only the name of another file: "See COPYING", "../LICENSE"."""
    return len(text) < 200 and bool(_POINTER.match(text))


_POINTER = re.compile(
    r"(?i)\W*(?:(?:please )?(?:see|refer to|read)\b[\w ]{0,40}?)?[\w./-]{0,80}(?:copying|licen[sc]e|copyright)"
    r"[\w.-]{0,20}(?: file| for details| for more information)?\W*\Z"
)


def is_template(text: str) -> bool:
    """Whether a text is R's LICENSE of a package under MIT or BSD, a form that names year and holder: DESCRIPTION names
    the licence."""
    return bool(_TEMPLATE.match(text)) and not _CONDITIONS.search(text)


_TEMPLATE = re.compile(r"(?i)\A\s*(?:(?:year|copyright holder|organization|initialyear|cran.*)\s*:[^\n]*\n?\s*){2,5}\Z")
