"""Read what stands beside a licence: texts with terms (TERMS.md, LICENSE_EE.md), a NOTICE, sentences of a README.

Such a text grants nothing. It may take back what the licence beside it grants; then a person must look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.grants import Doubt, DoubtKind, Evidence, Grant, apply_choice, grant_from_findings
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.terms.expressions import ALLOWED, REJECTED, judge

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


def read_terms(file: Excerpt, scan: Scanner, recipe: CodeLicences) -> Grant | None:
    """What a text with terms says against the licence of its folder, as a grant of nothing with a doubt; None if it
    only repeats accepted licences or names another file."""
    text = file.whole or ""
    if not text.strip() or wording.is_pointer(text):
        return None
    scanned = scan(text)
    grant, rest = grant_from_findings("licence_file", file.path, scanned, 0, recipe), scanned.rest(text)
    words = wording.find_restriction(rest) or wording.find_condition(rest)
    if not words and judge(grant.expression, recipe).decision == ALLOWED:
        return None
    said = repr(words) if words else grant.expression or "terms that the licence library does not know"
    return _against(file, f"{file.path} stands beside the licence and says {said}")


def read_notice(file: Excerpt, scan: Scanner, recipe: CodeLicences) -> Grant | None:
    """What a NOTICE says against the licence of its folder; None if it only credits the authors of parts."""
    text = file.whole or ""
    if not wording.find_restriction(text) and wording.mentions_parts(text):
        return None  # most notices; the library need not be asked
    scanned = scan(text)
    words = wording.find_restriction(scanned.rest(text))
    grant = apply_choice(grant_from_findings("licence_file", file.path, scanned, 0, recipe), text, scanned)
    rejected = judge(grant.expression, recipe).decision == REJECTED and not wording.mentions_parts(text)
    if not words and not rejected:
        return None
    return _against(file, f"{file.path} says {words!r}" if words else f"{file.path} says {grant.expression}")


def _against(file: Excerpt, reason: str) -> Grant:
    lines = Evidence("licence_file", file.path, 1, (file.whole or "").count("\n") + 1, "", "", 0.0)
    return Grant("", (lines,), Doubt(DoubtKind.TERMS_BESIDE_LICENCE, reason))


# -- sentences of a README ---------------------------------------------------------------------------------------------

#: What separates blocks of text: blank lines, items of lists, headings.
_BLOCK = re.compile(r"\n\s*\n|\n(?=[ \t]*(?:[-*+•]|[0-9]{1,3}[.)])\s)|\n(?=#)|\n(?=[=~-]{3,}\n)")
_FENCED = re.compile(r"(?ms)^[ \t]*(```|~~~).*?^[ \t]*\1")
_WORK = (
    "project|software|code|codebase|library|repository|repo|package|tool|program|app|application|plugin|extension|theme|"
    "module|work|source|script|framework|content|contents|material"
)
#: A sentence about the whole work: "this project", "use of our code", "the contents of this repository".
_OF_WORK = re.compile(rf"(?i)\b(?:this|the|our|my|all|entire)\s(?:[\w-]+\s){{0,2}}?(?:{_WORK})s?\b")
_LICENSED = re.compile(
    r"(?i)\b(?:is|are)\s(?:\w+\s)?(?:[\w-]*licen[sc]ed|released|distributed|available|published|covered)\s(?:\w+\s)?"
    r"(?:under|by)\b"
)
_COMMERCIAL = r"commercial(?:ly)?\s(?:use|usage|purposes?|users?|customers?|products?|projects?|compan|organi[sz]ation)"
#: Sentences that restrict the work, whether they name it or not.
_RESTRICTS = re.compile(
    "(?i)"
    + "|".join(
        (
            r"(?:non-?\s?commercial|personal)\s(?:use|usage|purposes?|projects?|applications?)\sonly",
            r"\bnot?\s(?:for\s)?(?:any\s)?commercial\s(?:use|usage|purposes?)\b(?!\srestrict)",
            r"^\W*(?:licensed\s|intended\s)?for\s(?:\w+\s){0,2}non-?\s?commercial",
            r"\b(?:only|solely|exclusively)\sfor\s(?:\w+,?\s){0,3}non-?\s?commercial",
            r"\bfree\s(?:to\suse\s)?for\s(?:\w+,?\s){0,3}non-?\s?commercial",
            r"\bfree\sfor\s(?:personal|academic|private|student|evaluation)\suse\b(?!\s(?:and|or)\scommercial)",
            r"\bnot\s(?:be\s)?(?:used?|permitted|allowed|free|licensed|available)\s(?:\w+\s){0,2}?(?:for|in)\s(?:any\s)?"
            + _COMMERCIAL,
            rf"\b{_COMMERCIAL}\w*\b[^.]{{0,40}}\b(?:prohibited|forbidden|not\s(?:allowed|permitted)|requires?\s(?:an?|the)\s|"
            r"must\s(?:buy|purchase|obtain|pay|acquire|contact)|needs?\sto\s(?:buy|purchase|obtain|pay|acquire))",
            r"\b(?:compan(?:y|ies)|business(?:es)?|enterprises?)\s(?:must|need\sto|have\sto|are\srequired\sto)\s"
            r"(?:buy|purchase|obtain|pay|acquire|get)\b",
        )
    )
)
#: Sentences that restrict the work if they are about it.
_RESTRICTS_WORK = re.compile(
    r"(?i)\bnon-?\s?commercial\b|\b(?:for|to)\s(?:academic|research|personal|evaluation)\s(?:use|purposes?)\sonly\b|"
    r"\b(?:only|solely|exclusively)\s(?:be\sused\s)?(?:for|in)\s(?:academic|research|personal|evaluation)\b|"
    r"proprietary and confidential|unauthori[sz]ed\s(?:copying|use|distribution|reproduction)|"
    r"\b(?:may|must|shall)\snot\sbe\s(?:sold|redistributed|copied|used\s(?:for|in|by))"
)
#: Words about models that learn from the work. `_FORBIDS` and `_OF_WORK` must stand in the same sentence.
_TRAINING = re.compile(
    r"(?i)\b(?:train|fine-?tun)\w*\b|"
    r"\b(?:for|in|by)\s(?:generative\s)?(?:ai|artificial intelligence|machine learning)\b"
)
_FORBIDS = re.compile(
    r"(?i)\bnot\s(?:be\s)?(?:permitted|allowed|used?|granted|licensed)\b|prohibited|forbidden|\b(?:may|must|shall)\snot\b|"
    r"\bdo(?:es)?\snot\s(?:use|train|permit|allow|consent)|\bwithout\s(?:\w+\s){0,3}(?:permission|consent)"
)
#: Both kinds of use are named: "for commercial and non-commercial use".
_BOTH = re.compile(
    r"(?i)\bcommercial(?:ly)?\W+(?:(?:use|and|or|as|well|purposes?|projects?)\W+){0,4}non-?\s?commercial|"
    r"\bnon-?\s?commercial(?:ly)?\W+(?:(?:use|and|or|as|well|purposes?|projects?)\W+){1,4}commercial"
)
#: Sentences about something else than the code: a service, data, pictures, another work.
_OTHER_THING = re.compile(
    r"(?i)\b(?:apis?|api keys?|datasets?|data|models?|weights|fonts?|icons?|images?|logos?|pictures|music|sounds?|"
    r"service|accounts?|plan|tier|subscription|maps?|tiles|dependenc\w+|third[- ]part\w+|competitors?|"
    r"alternatives?|unlike)\b"
)


def find_restriction_in_readme(readme: str) -> str:
    """The first sentence of a README, outside of its code, that restricts the work; empty if no sentence does. At most
    160 characters."""
    return next((one[:160] for one in _sentences(readme) if _restricts(one)), "")


def find_licence_sentences(readme: str) -> list[str]:
    """The sentences of a README that say under which licence the work is: "This project is licensed under the GPL"."""
    return [one for one in _sentences(readme) if _OF_WORK.search(one) and _LICENSED.search(one)]


def _restricts(sentence: str) -> bool:
    if _BOTH.search(sentence):
        return False
    of_work = bool(_OF_WORK.search(sentence))
    if of_work and (_RESTRICTS_WORK.search(sentence) or (_TRAINING.search(sentence) and _FORBIDS.search(sentence))):
        return True
    return bool(_RESTRICTS.search(sentence)) and (of_work or not _OTHER_THING.search(sentence))


def _sentences(readme: str) -> Iterator[str]:
    """The sentences of a text in Markdown or reStructuredText, each on one line; blocks of code are left out."""
    for block in _BLOCK.split(_FENCED.sub("\n\n", readme)):
        flat = " ".join(block.replace("*", "").replace("`", "").split())
        yield from (one for one in re.split(r"(?<=[.!?;])\s+(?=\S)", flat[:20_000]) if one)
