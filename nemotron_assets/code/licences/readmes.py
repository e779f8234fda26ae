"""Read what a README says about the licence. It grants nothing, but it may state a choice or contradict a licence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.grants import (
    NO_GRANT,
    Doubt,
    DoubtKind,
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
    """The choices between licences ("MIT OR GPL-2.0-only") that a README states at its beginning, at its end or under a
    heading "License"."""
    section, _ = texts.licence_section(file.whole or "")
    found = []
    for piece in (section, *(piece for piece, _ in file.pieces)):
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

    It contradicts an accepted licence if it adds a restriction, or names only licences that are not accepted.
    """
    section, before = texts.licence_section(file.whole or "")
    if not section or not texts.speaks_of_licences(section):
        return None
    scanned = scan(section)
    if verdict(around, recipe) != ALLOWED:
        return None
    grant = grant_from_findings("readme", file.path, scanned, before, recipe)
    restriction = wording.find_restriction(scanned.rest(section))
    lines = section.splitlines()
    sure = [one for one in grant.evidence if one.score >= recipe.min_score]
    sure = [one for one in sure if not paths.names_a_part(lines[one.start - before - 1])]  # "Logo: CC-BY-SA"
    against = [one for one in sure if judge(one.expression, recipe).decision == REJECTED]
    of_around = {without_version(name) for name in families(around.expression)}
    agrees = any({without_version(name) for name in families(one.expression)} & of_around for one in grant.evidence)
    if not restriction and (not against or len(against) < len(sure) or agrees):
        return None
    said = repr(restriction) if restriction else against[0].expression
    doubt = Doubt(DoubtKind.README_CONTRADICTS_LICENCE, f"{file.path} says {said}")
    return replace(around, doubt=doubt, evidence=(*around.evidence, *grant.evidence))
