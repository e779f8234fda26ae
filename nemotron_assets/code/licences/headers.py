"""Read what a file says about its own licence, in the comment at its beginning and at its end."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.grants import (
    NO_GRANT,
    Doubt,
    DoubtKind,
    Evidence,
    Grant,
    all_evidence,
    apply_choice,
    first_doubt,
    grant_from_findings,
)
from nemotron_assets.code.licences.library import Scan, Scanner
from nemotron_assets.code.terms import texts
from nemotron_assets.code.terms.expressions import REJECTED, join_all, judge

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Length, in words, up to which a rule of the library is only the name of a licence ("GPLv2").
_NAME = 6
#: Words that turn the name of a licence into a statement: "released under the GPLv2".
_STATES = re.compile(r"(?i)licen[sc]|copyright|copyleft|released|distribut|terms|free software|\bunder\b|spdx|rights")
#: A tag with a name of the GPL that the library does not know: "@license GPLWithACException".
_GPL_TAG = re.compile(r"(?i)@licen[sc]e\s+\S{0,20}gpl\S{0,30}")
#: A line that names a licence as a field: "license: CC-BY-SA 4.0", "__license__ = 'GPLv3'".
_CALLED = re.compile(r"(?i)^\W{0,4}(?:__)?licen[sc]e(?:__)?\W{1,4}\w")


def read_header(file: Excerpt, scan: Scanner, recipe: CodeLicences) -> Grant:
    """What a file says about its own licence, at its beginning and its end together."""
    grants = [_read_piece(file, piece, before, scan(piece), recipe) for piece, before in file.pieces]
    doubt = first_doubt(grants)
    if doubt is not None:
        doubt = replace(doubt, weak_match=all(grant.doubt.weak_match for grant in grants if grant.doubt))
    return Grant(join_all(grant.expression for grant in grants), all_evidence(grants), doubt)


def _read_piece(file: Excerpt, piece: str, before: int, scanned: Scan, recipe: CodeLicences) -> Grant:
    """What one piece of a file says; `before` is the number of lines before it."""
    grant = apply_choice(grant_from_findings("header", file.path, scanned, before, recipe), piece, scanned)
    if judge(grant.expression, recipe).decision == REJECTED and _only_names(piece, before, scanned):
        grant = NO_GRANT
    grant = _with_unread_line(grant, file, piece, before, scanned, recipe)
    rest = scanned.rest(piece)
    strong_doubt = grant.doubt is not None and not grant.doubt.weak_match
    restricts = "" if strong_doubt else wording.find_restriction(rest, texts.leading_comment(rest))
    lines = Evidence("header", file.path, before + 1, before + piece.count("\n") + 1, "")
    if restricts:
        doubt = Doubt(DoubtKind.RESTRICTION_BESIDE_LICENCE, f"the file says {restricts!r}")
        return replace(grant, doubt=doubt, evidence=(*grant.evidence, lines))
    if grant.doubt and not grant.evidence:
        return replace(grant, evidence=(lines,))
    return grant


def _with_unread_line(
    grant: Grant, file: Excerpt, piece: str, before: int, scanned: Scan, recipe: CodeLicences
) -> Grant:
    """A grant with a doubt if a line names a licence that is not accepted, but the library does not count the line as a
    statement: `license: [CC-BY-SA 4.0](...)` above a page."""
    if grant.doubt:
        return grant
    lines = piece.splitlines()
    clues = [match for one in scanned.findings if not one["expression"] for match in one["matches"]]
    for match in clues:
        line = lines[match["start"] - 1]
        if _CALLED.match(line) and judge(match["expression"], recipe).decision == REJECTED:
            at = before + match["start"]
            clue = Evidence("header", file.path, at, at, match["expression"], match["rule"], match["score"])
            return _with_line(grant, line.strip()[:80], clue)
    if not grant.expression and (tag := _GPL_TAG.search(texts.leading_comment(piece))):
        at = before + piece.count("\n", 0, tag.start()) + 1
        return _with_line(grant, tag[0], Evidence("header", file.path, at, at, ""))
    return grant


def _with_line(grant: Grant, line: str, evidence: Evidence) -> Grant:
    doubt = Doubt(DoubtKind.UNREAD_LICENCE_LINE, f"the file says {line!r}")
    return replace(grant, doubt=doubt, evidence=(*grant.evidence, evidence))


def _only_names(piece: str, before: int, scanned: Scan) -> bool:
    """Whether a piece only mentions names of licences in code or prose, as in `KNOWN = ["GPLv2"]`: no match is longer
    than a name, stands in the first comment, or stands beside a word such as "licensed" or "under"."""
    lines = piece.splitlines()
    comment = 0 if before else texts.leading_comment(piece).count("\n")
    return all(
        match["length"] <= _NAME
        and match["start"] > comment
        and not _STATES.search(" ".join(lines[max(0, match["start"] - 2) : match["end"]]))
        for detection in scanned.findings
        for match in detection["matches"]
    )
