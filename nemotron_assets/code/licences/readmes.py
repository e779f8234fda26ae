"""Read what a README says about the licence. It grants nothing, but it may state a choice or contradict a licence."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import beside, wording
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.grants import (
    NO_GRANT,
    Doubt,
    DoubtKind,
    Evidence,
    Grant,
    apply_choice,
    families,
    grant_from_findings,
    verdict,
    without_version,
)
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.terms import paths, texts
from nemotron_assets.code.terms.expressions import ALLOWED, REJECTED, judge

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


def find_choices(file: Excerpt, scan: Scanner, recipe: CodeLicences) -> list[str]:
    """The choices between licences ("MIT OR GPL-2.0-only") that a README or NOTICE states at its beginning, at its
    end or under a heading "License"."""
    found = []
    for piece, _ in (*texts.licence_sections(file.whole or ""), *file.pieces):
        if piece and texts.speaks_of_licences(piece):
            scanned = scan(piece)
            grant = apply_choice(grant_from_findings("readme", file.path, scanned, 0, recipe), piece, scanned)
            if " OR " in grant.expression and not grant.doubt and not wording.find_restriction(scanned.rest(piece)):
                found.append(grant.expression)
    return found


def read_licence(file: Excerpt, scan: Scanner, recipe: CodeLicences) -> Grant:
    """The licence that a README names under a heading "License", or else at its beginning ("This is free software")."""
    section, before = texts.licence_section(file.whole or "")
    if not section and file.pieces:
        section, before = file.pieces[0]
    if not section or not texts.speaks_of_licences(section):
        return NO_GRANT
    return grant_from_findings("readme", file.path, scan(section), before, recipe)


def contradict(file: Excerpt, around: Grant, scan: Scanner, recipe: CodeLicences) -> Grant | None:
    """The grant `around` a README with a doubt, if the README's section "License" contradicts it; None if not.

    It contradicts an accepted licence if it adds a restriction, or names a licence that is not accepted and leaves no
    choice. Sentences about the work outside of the section count, too: "This project is free for personal use."
    """
    if verdict(around, recipe) != ALLOWED:
        return None
    readme = file.whole or ""
    pieces = [*texts.licence_sections(readme), *((one, 0) for one in beside.find_licence_sentences(readme))]
    found = (_contradiction(file.path, *piece, around, scan, recipe) for piece in pieces)
    against = next(filter(None, found), None)
    if against is None and (restriction := beside.find_restriction_in_readme(readme)):
        against = repr(restriction), ()
    if against is None:
        return None
    doubt = Doubt(DoubtKind.README_CONTRADICTS_LICENCE, f"{file.path} says {against[0]}")
    return replace(around, doubt=doubt, evidence=(*around.evidence, *against[1]))


def _contradiction(
    path: str, section: str, before: int, around: Grant, scan: Scanner, recipe: CodeLicences
) -> tuple[str, tuple[Evidence, ...]] | None:
    """What a section says against an accepted licence, with its evidence; None if nothing."""
    if not texts.speaks_of_licences(section):
        return None
    scanned = scan(section)
    grant = grant_from_findings("readme", path, scanned, before, recipe)
    if restriction := wording.find_restriction(scanned.rest(section)):
        return repr(restriction), grant.evidence
    if judge(apply_choice(grant, section, scanned).expression, recipe).decision == ALLOWED:
        return None
    lines = section.splitlines()
    sure = [one for one in grant.evidence if one.score >= recipe.min_score]
    sure = [one for one in sure if not _is_of_another_work("\n".join(lines[one.start - before - 1 : one.end - before]))]
    of_around = {without_version(name) for name in families(around.expression)}
    for one in sure:
        agrees = {without_version(name) for name in families(one.expression)} & of_around
        if judge(one.expression, recipe).decision == REJECTED and not agrees:
            return one.expression, grant.evidence
    return None


def _is_of_another_work(line: str) -> bool:
    """Whether a line of a README is about a part, another work or another time: "Logo: CC-BY-SA", "before 2.0: GPL"."""
    return paths.names_a_part(line) or bool(_ANOTHER_WORK.search(line))


_ANOTHER_WORK = re.compile(
    r"(?i)third[- ]part|bundle|vendored|\bdepend|compatible|\bprevious|\bformer|\bprior\b|\bbefore v?[0-9]|"
    r"\b(?:until|up to) (?:version )?v?[0-9]|\bused to be\b|\bearlier\b"
)
