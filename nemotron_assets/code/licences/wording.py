"""Find restrictions, conditions, choices and names of parts in the words that stand beside a licence.

The library recognises licences, but not what an author adds to them ("MIT, for academic use only"). These patterns were
mostly seen in real packages. A condition in words that no pattern has is missed.
"""

from __future__ import annotations

import functools
import re

_WHERE = r"\b(?:academic|research|educational|evaluation|personal|internal|private|student|hobby|university)\b"
#: Words that take back what a permissive licence grants, wherever they stand: "non-commercial".
_RESTRICTS = re.compile(
    "(?i)"
    + "|".join(
        (
            # "Free for commercial and non-commercial use" restricts nothing.
            r"(?<!commercial and )(?<!commercial or )(?<!commercial/)(?<!commercial as well as )non[- ]?commercial"
            r"(?! (?:and|or|as well as) (?:for )?commercial|/commercial)",
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
            r"train(?:ing)? (?:of )?(?:any )?(?:generative )?(?:ai\b|machine learning|large language|language models?)",
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
#: Words that restrict use in a notice only. Documentation says the same of objects and servers ("must not be shared").
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
#: Words that change a licence if somebody puts them into its text: "not", "only", "fee".
_CHANGES = re.compile(
    r"(?i)\b(?:not|no|non|only|except|excluding|unless|must|shall|prohibit\w*|forbid\w*|restrict\w*|commercial\w*|"
    r"require[sd]?|fee|royalt\w*|consent|approval|evil|military|government|companies|employees?|compet\w+|sell|"
    r"sale|saas|hosted|service|revoke|terminat\w*|notify|academic|research|personal|private|internal|educational)\b"
)
#: Words that make an added paragraph of a licence text a condition: "provided that", "you must".
_CONDITIONS = re.compile(
    # "Some files may not be the copyright of the author" is a remark.
    r"(?i)\b(?:may|must|shall|can) not\b(?! be (?:the )?(?:copyright|property) of\b)|"
    r"\bnot (?:permitted|allowed|granted)|prohibit|forbid|restrict|provided that|"
    r"subject to(?! the same| ?\.| (?:its|their) |"
    r" receipt of any required approvals)|additional (?:terms|conditions|restrictions)|on condition|in exchange|"
    r"you (?:must|agree|shall)|"
    r"\bonly (?:if|for|when|to|in|with|be)\b|"
    r"except (?:that|for|where|when)"
    r"(?! (?:[\w-]+ ){0,4}(?:stated|noted|specified|outlined|listed|described|indicated|below))|"
    r"does not (?:apply|cover|extend|include)|is not (?:licensed|covered)|different licen|separate licen|commercial|"
    # A sentence about use, copying or sale with a limit: "use by companies requires an agreement".
    r"\b(?:us(?:e|es|ed|ing|age)|(?:re)?distribut\w*|offer\w*|cop(?:y|ies)|sell\w*|modif\w*|permission)\b[^.]{0,160}"
    r"\b(?:only|not|requires?|pay|fees?|agreements?|compan(?:y|ies)|employees|evil|military|government|academic|research|"
    r"personal|evaluation|hosted|hosting|saas|compet\w+|approval|consent|revo\w+|terminat\w+)\b|"
    r"\b(?:no (?:person|one|company|body)|nobody|anyone|whoever|users?)\b[^.]{0,80}\b(?:may|must|shall|will)\b|"
    # Words of grants and duties. Titles and names of copyright holders do not have them.
    r"\b(?:(?:is|are) granted|this grant|must(?! be applied according to section)|ha(?:s|ve) to|"
    r"needs? (?:to|an?|the|prior|written|permission|approval|consent)|excluded?|denied|expires?|evaluat\w+|students?|"
    r"government|revenue|approval|redistributed|agree|please cite|cite (?:our|the|this))\b|(?<!rights )\breserved\b"
)


@functools.lru_cache(4_096)
def find_restriction(text: str, notice: str | None = None) -> str:
    """The first words that take back a permissive licence, at most 80 characters; empty if there are none.

    `notice` is the part of the text that is a notice (the comment at the top); without it, the whole text is one.
    """
    match = _RESTRICTS.search(_flat(text)) or _RESTRICTS_IN_NOTICES.search(_flat(text if notice is None else notice))
    return match[0][:80] if match else ""


def _flat(text: str) -> str:
    """A text on one line, without the signs at the beginning of comment lines."""
    return " ".join(re.sub(r"(?m)^[\s*#/;%!-]+", " ", text).split())


def find_change(inserted: str) -> str:
    """The first of the words inserted into a licence's text that may change its meaning; empty if there is none."""
    match = _CHANGES.search(_DISCLAIMER.sub(" ", inserted))
    return match[0] if match else ""


#: Inserted words that change nothing: the disclaimer with a name in it ("THE AUTHORS MAKE NO REPRESENTATIONS"), and
#: "except where otherwise indicated": the file with the other licence says so itself.
_DISCLAIMER = re.compile(r"\bMAKES? NO\b|(?i:\bexcept where (?:otherwise )?(?:indicated|noted|stated|specified)\b)")
#: Words that leave a choice: "under either", "dual-licensed". "One of" alone is not a choice, because each file may be
#: under a different licence; nor is the GPL's "(at your option) any later version".
_NAME = r"(?:L?GPL|GNU|MIT|Expat|BSD|Apache|Artistic|MPL|Mozilla|ISC|zlib)"
_CHOICE = re.compile(
    r"(?i)\b(?:under|terms of|conditions of) (?:the (?:terms|conditions) of )?(?:either\b|any (?:one )?of\b)|"
    r"\b(?:can|may) be (?:used|distributed|copied|licensed)[^.]{0,60} under (?:the terms of )?one of\b|"
    # "Whichever is least restrictive", "whichever you prefer".
    r"\bwhichever\b|"
    r"\bchoose (?:either|any|one|which|between|the one)\b|\byou may choose\b|\byour choice of\b|"
    r"\b(?:dual|tri|triple|multi)[- ]?licen[sc]ed\b|"
    r"\bat (?:your|(?:the )?users?'?s?|the licensee's) (?:own )?(?:choice|discretion|option)\b(?!\)? any later)|"
    r"\bat the (?:discretion|choice|option) of the (?:user|licensee)|"
    # "BSD-2-Clause OR LGPL-2.1-or-later"; "LGPLv2.1 or Apache License 2.0".
    r"(?-i:\b[A-Z][\w.]*-[\w.+-]+ OR [A-Z][\w.]*-[\w.+-]+)|"
    rf"\b{_NAME}[\w.+-]*(?: public)?(?: licen[sc]e)?(?:,? (?:version |v)?[0-9][0-9.]*\+?)?,? or (?:the |under )?{_NAME}"
)
#: Words that show that a sentence says which part is under which licence, and leaves no choice.
_OF_PARTS = re.compile(
    r"(?i)\b(?:files|parts?|portions?|components?|modules?|depend\w*|documentation|docs|respective(?:ly)?|each|headers?|"
    r"libraries|except|commercial)\b"
)
#: Words that say that the licences follow: "the licenses below", "one of the following licenses", "2 licenses --
#: choose whichever you prefer". And the beginning of an item of a list.
_BELOW = re.compile(
    r"(?i)\b(?:licen[sc]es|alternatives) (?:listed |given )?below\b|\bfollowing (?:\w+ )?licen[sc]es\b|"
    r"\b(?:two|three|2|3) (?:\w+ )?licen[sc]es\b"
)
_LIST = re.compile(r"\s*(?:[-*•]|\(?[0-9a-z][.)])\s")


def find_choice(text: str) -> tuple[int, int] | None:
    """The first and last line (from 1) of the paragraph that leaves a choice between licences; None if there is none.

    A list behind the paragraph belongs to it. If the paragraph says "the licenses below", the rest of the text does.
    """
    start, paragraphs = 1, []
    for paragraph in re.split(r"\n[ \t*#/;%!-]*\n", text):
        end = start + paragraph.count("\n")
        paragraphs.append((paragraph, start, end))
        start = end + 2
    for place, (paragraph, first, last) in enumerate(paragraphs):
        words = _flat(paragraph)
        if _CHOICE.search(words) and not _OF_PARTS.search(words):
            if _BELOW.search(words):
                of_part = (start for said, start, _ in paragraphs[place + 1 :] if _is_of_part(said))
                return first, next(of_part, text.count("\n") + 2) - 1
            for following, _, end in paragraphs[place + 1 :]:
                if not _LIST.match(following) or _OF_PARTS.search(following):
                    break
                last = end
            return first, last
    return None


def _is_of_part(paragraph: str) -> bool:
    """Whether a short paragraph names a licence of single files: "src/a.c is under the LGPL"."""
    return len(paragraph) < 600 and bool(_ANY_NAME.search(paragraph)) and bool(find_parts(paragraph))


_ANY_NAME = re.compile(rf"(?i)licen[sc]|\b{_NAME}")


#: Words by which a licence text says that the next terms are those of a part of the work: "bundled", "lib/thread.c".
_PART_FOLLOWS = re.compile(
    r"(?i)\b(?:third[- ]part(?:y|ies)|bundl\w+|includ(?:es|ed|ing)|incorporat\w+|contains?|derived|based on|taken|"
    r"adapted|originat\w+|external(?:ly)?|parts?|portions?|components?|documentation|docs|subdirectory|directory|folder|"
    r"files?|librar(?:y|ies)|dependenc\w+|vendored|copied|ported|borrowed|fonts|icons|examples)\b|\w/\w|\.[ch]\b"
)


def mentions_parts(rest: str) -> bool:
    """Whether words between licences mention a part of the work, such as a file, a folder or a bundled library."""
    return bool(_PART_FOLLOWS.search(rest))


def find_condition(rest: str) -> str:
    """The first condition in the words of a licence text that belong to no licence; empty if there is none."""
    # The name of a copyright holder is not a condition: "Copyright 2020 Personal Use Software".
    lines = [line if _FORBIDS.search(line) else _HOLDER.sub("", line) for line in rest.splitlines()]
    kept = (_OF_A_PART.sub(" ", part) if find_parts(part) else part for part in re.split(r"\n\s*\n", "\n".join(lines)))
    match = _CONDITIONS.search(_WHICHEVER.sub(" ", " ".join(" ".join(kept).split())))
    return match[0][:80] if match else ""


#: Words about a choice: "whichever is least restrictive".
_WHICHEVER = re.compile(r"(?i)\bwhichever (?:\w+ ){0,3}(?:least|less|most|more) (?:restrictive|permissive)")
#: What a paragraph that names a file may say of it without a condition for the others: "except for src/a.c, which is
#: under a different license".
_OF_A_PART = re.compile(
    r"(?i)\bexcept (?:that|for|where|when)|does not (?:apply|cover|extend|include)|is not (?:licensed|covered)|"
    r"(?:different|separate) licen"
)
_FORBIDS = re.compile(
    r"(?i)\b(?:may|must|shall|can) not\b(?! be (?:the )?(?:copyright|property) of\b)|\bcannot\b|"
    r"prohibited|forbidden|\brequires? an?\b|\bwithout\b"
)
_HOLDER = re.compile(r"(?i)^\W*(?:portions )?(?:copyright|\(c\)|©)[^.\n]*")


#: Passages of Python's licence that state no terms: the history, which mentions the GPL ("GPL-compatible"), and the
#: remark on software that is part of the interpreter.
_HISTORY = re.compile(
    r"A\. HISTORY OF THE SOFTWARE.*?(?=B\. TERMS AND CONDITIONS FOR ACCESSING)|"
    r"Some software incorporated into Python is under different licenses\.\s+The licenses are listed with code falling "
    r"under that license\.",
    re.DOTALL,
)


#: Conditions that somebody may have put into those passages.
_BINDS = re.compile(
    r"(?i)\b(?:may|must|shall) (?:not|only)\b|\bno (?:person|one|company)\b|\brequires? an?\b|prohibited|forbidden"
)


def drop_history(text: str) -> str:
    """A licence text without the history before Python's terms; all other lines keep their numbers."""
    return _HISTORY.sub(lambda match: match[0] if _BINDS.search(match[0]) else "\n" * match[0].count("\n"), text)


def find_paths(text: str) -> frozenset[str]:
    """The words of a text that look like paths, in lower case: src/a.c, docs/, thread.c, the "docs" directory."""
    words = (word.strip("`'\"()[]<>{},;:.*").removeprefix("./").rstrip("*").lower() for word in text.split())
    folders = (match[1].lower().strip("/") for match in _FOLDER.finditer(text))
    paths = (word.rstrip("/") for word in words if _PATH.fullmatch(word) and "//" not in word)
    return frozenset(folders).union(paths) - {""}


def find_parts(text: str) -> frozenset[str]:
    """The paths in a text without those of licence texts and READMEs: the files and folders that it speaks about."""
    return frozenset(path for path in find_paths(text) if not _ABOUT_ALL.search(path))


#: Names of files that speak for all others, and words that only look like paths: "and/or", "Version/2.0".
_ABOUT_ALL = re.compile(
    r"(?i)(?:^|/)(?:licen[sc]e|copying|copyright|notice|readme|authors|credits)|^(?:and/or|\w+/2\.0|n/a)$|"
    r"\.(?:com|org|net|io|edu|html?|txt|md)$|^www\.|@|^[a-z]+\.(?:inc|ltd|co)$"
)
#: A folder in quotes: `the "docs" directory`.
_FOLDER = re.compile(r"""(?i)["'`]([\w./-]{2,60})["'`]\s+(?:sub)?(?:director(?:y|ies)|folders?)\b""")
#: A whole word that looks like a path.
_PATH = re.compile(r"[\w.+@-]+(?:/[\w.+@-]+)+/?|[\w.+@-]{2,}/|[\w+@-]+(?:\.[\w+@-]+)*\.[a-z]\w{0,5}")


def is_pointer(text: str) -> bool:
    """Whether a licence text only names another file: "See COPYING", "../LICENSE"."""
    return len(text) < 200 and bool(_POINTER.match(text))


#: A text that is only the name of a licence file, perhaps with "see" before it.
_POINTER = re.compile(
    r"(?i)\W*(?:(?:please )?(?:see|refer to|read)\b[\w ]{0,40}?)?[\w./-]{0,80}(?:copying|licen[sc]e|copyright)"
    r"[\w.-]{0,20}(?: file| for details| for more information)?\W*\Z"
)


def points_to_a_licence(text: str) -> bool:
    """Whether a short text without conditions sends its readers to the licence of the work: "The license is the same as
    that of the project. See the LICENSE file at the root." """
    flat = _flat(text)
    if len(flat) > 500 or not _POINTS.search(flat) or _OWNED.search(flat):
        return False
    return not find_restriction(flat) and not find_condition(flat)


_POINTS = re.compile(
    r"(?i)\b(?:see|refer to|read|consult|(?:found|given|described|contained|included|stated|located) (?:in|at))\b"
    r"[^.]{0,60}?(?<![\w-])(?:copying|licen[sc]e|copyright)(?:\.(?:txt|md|rst))?(?![\w-])"
)
#: Words of texts that keep rights: they are no mere pointers.
_OWNED = re.compile(
    r"(?i)proprietary|confidential|rights reserved|commercial|agreement|customer|internal|trial|enterprise|subscri"
)


def is_r_form(text: str) -> bool:
    """Whether a text is the LICENSE of an R package under MIT or BSD: a form with year and copyright holder ("YEAR:
    2019"). The file DESCRIPTION names the licence."""
    return bool(_R_FORM.match(text)) and not _CONDITIONS.search(text)


_R_FORM = re.compile(r"(?i)\A\s*(?:(?:year|copyright holder|organization|initialyear|cran.*)\s*:[^\n]*\n?\s*){2,5}\Z")
