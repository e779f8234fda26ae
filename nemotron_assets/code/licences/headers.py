"""What a file says about its own licence, in the comment it begins with and at its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import texts, wording
from nemotron_assets.code.licences.expressions import REJECTED, join_all, judge
from nemotron_assets.code.licences.grants import Evidence, Grant, all_evidence, chosen, first_doubt, granted
from nemotron_assets.code.licences.library import Scan
from nemotron_assets.code.licences.survey import Excerpt

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


def header(file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant:
    """What a file says about its own licence, at its beginning and its end."""
    grants = []
    for piece, before in file.pieces:
        scanned = scan(piece)
        grant = chosen(granted("header", file.path, scanned, before, recipe), piece, scanned)
        if judge(grant.expression, recipe).decision == REJECTED and _in_passing(piece, before, scanned):
            grant = Grant("", ())
        grant = _with_clues(grant, file, piece, before, scanned, recipe)
        rest = scanned.rest(piece)
        restricts = "" if grant.doubt and not grant.faint else wording.restriction(rest, texts.leading_comment(rest))
        if restricts:
            lines = Evidence("header", file.path, before + 1, before + piece.count("\n") + 1, "")
            grant = replace(grant, doubt=f"the file says {restricts!r}", evidence=(*grant.evidence, lines), faint=False)
        elif grant.doubt and not grant.evidence:
            lines = Evidence("header", file.path, before + 1, before + piece.count("\n") + 1, "")
            grant = replace(grant, evidence=(lines,))
        grants.append(grant)
    doubted = [grant for grant in grants if grant.doubt]
    faint = bool(doubted) and all(grant.faint for grant in doubted)
    return Grant(join_all(grant.expression for grant in grants), all_evidence(grants), first_doubt(grants), faint)


def _with_clues(grant: Grant, file: Excerpt, piece: str, before: int, scanned: Scan, recipe: CodeLicences) -> Grant:
    """A grant with a doubt where the library takes for a mere clue what a line calls a licence that is not accepted:
    "license: [CC-BY-SA 4.0](...)" above a page."""
    lines = piece.splitlines()
    for detection in () if grant.doubt else scanned.findings:
        for match in () if detection["expression"] else detection["matches"]:
            line = lines[match["start"] - 1]
            if _CALLED.match(line) and judge(match["expression"], recipe).decision == REJECTED:
                at = before + match["start"]
                clue = Evidence("header", file.path, at, at, match["expression"], match["rule"], match["score"])
                return replace(grant, doubt=f"the file says {line.strip()[:80]!r}", evidence=(*grant.evidence, clue))
    if not grant.expression and not grant.doubt and (said := _GPL_TAG.search(texts.leading_comment(piece))):
        at = before + piece.count("\n", 0, said.start()) + 1
        return replace(grant, doubt=f"the file says {said[0]!r}", evidence=(Evidence("header", file.path, at, at, ""),))
    return grant


#: "@license GPLWithACException", which is no name that the library knows.
_GPL_TAG = re.compile(r"(?i)@licen[sc]e\s+\S{0,20}gpl\S{0,30}")
#: A line that says what a licence is.
_CALLED = re.compile(r"(?i)^\W{0,4}(?:__)?licen[sc]e(?:__)?\W{1,4}\w")


def _in_passing(piece: str, before: int, scanned: Scan) -> bool:
    """Whether all that is found are names of licences in code or prose ("GPLv2" in a list), on lines that do not say
    that anything is under them."""
    lines = piece.splitlines()
    comment = 0 if before else texts.leading_comment(piece).count("\n")
    return all(
        match["length"] <= _NAME
        and match["start"] > comment
        and not _STATES.search(" ".join(lines[max(0, match["start"] - 2) : match["end"]]))
        for detection in scanned.findings
        for match in detection["matches"]
    )


#: Words of a rule up to which it is a licence's name, and words that make a statement of the name.
_NAME = 6
_STATES = re.compile(r"(?i)licen[sc]|copyright|copyleft|released|distribut|terms|free software|\bunder\b|spdx|rights")
