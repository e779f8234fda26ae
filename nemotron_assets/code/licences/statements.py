"""Finds the three statements about a file's licence: in the file, in an entry that names it, in a folder above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemotron_assets.code.licences import debian
from nemotron_assets.code.licences.excerpts import Excerpt, speaks_for_others
from nemotron_assets.code.licences.grants import NO_GRANT, PUBLIC_DOMAIN, Grant, grant_from_findings
from nemotron_assets.code.licences.headers import read_header
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.licences.survey import Repository
from nemotron_assets.code.terms import paths, texts
from nemotron_assets.code.terms.expressions import ALLOWED, REJECTED, REVIEW, join_all, judge, licences

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


def read_own(
    file: Excerpt, sidecar: Excerpt | None, repository: Repository, scan: Scanner, recipe: CodeLicences
) -> Grant:
    """What a file says about its own licence: its sidecar, its own text if it is the licence text of a part, or its
    header."""
    if sidecar is not None and sidecar.whole:
        return grant_from_findings("sidecar", sidecar.path, scan(sidecar.whole), 0, recipe)
    own = repository.part_texts.get(file.path, NO_GRANT)
    if paths.is_readme(file.path) or not speaks_for_others(file):
        own = read_header(file, scan, recipe)
    if paths.is_readme(file.path) or file.path in repository.part_texts:
        return _only_against(file, own, recipe)
    return own


def _only_against(file: Excerpt, own: Grant, recipe: CodeLicences) -> Grant:
    """What a README or the licence text of a part says about itself, if that speaks against it; otherwise nothing.

    A README at the root speaks for the repository, so that only a tag (SPDX-License-Identifier) is about the README. A
    README in a folder may name a rejected licence of that folder.
    """
    readme = paths.is_readme(file.path)
    if readme and "/" not in file.path:
        tags = tuple(one for one in own.evidence if one.rule.startswith("spdx-license-identifier"))
        own = Grant(join_all(one.expression for one in tags), tags)
    decision = judge(own.expression, recipe).decision
    return own if decision == REJECTED or (decision == REVIEW and not readme) else NO_GRANT


def adds_nothing(own: Grant, around: Grant, recipe: CodeLicences) -> bool:
    """Whether a header adds nothing to the accepted licence around the file.

    It is a mention in passing of an accepted licence, the licence around it with "public domain", or "A AND B" where
    the repository leaves the choice between A and B.
    """
    if own.doubt:
        return own.doubt.weak_match and judge(own.expression, recipe).decision == ALLOWED
    of_own, of_around = licences(own.expression), set(licences(around.expression))
    names = set(of_own) - PUBLIC_DOMAIN
    if names <= of_around and len(names) < len(of_own):
        return True
    return set(of_own) == of_around and " OR " in around.expression


def find_around(path: str, repository: Repository) -> tuple[Grant | None, str, str]:
    """The grant of the nearest folder that has one, and that folder.

    The search does not leave a folder of third-party code (third_party/x). If it ends there without a grant and the
    repository has one at its root, the third value is the folder of third-party code; otherwise it is empty.
    """
    vendored = paths.vendored_root(path)
    for folder in (path, *paths.folders(path)):  # an installed module, six.py, has a grant of its own
        if vendored is not None and not (folder + "/").startswith(vendored + "/"):
            return None, "", vendored if "" in repository.folders else ""
        if folder in repository.folders:
            return repository.folders[folder], folder, ""
    return None, "", ""


def find_named(path: str, repository: Repository) -> tuple[Grant | None, bool]:
    """What debian/copyright or REUSE.toml says about exactly this file, and whether that overrides its header."""
    for folder, grants in repository.stanzas:
        if not folder or path.startswith(folder + "/"):
            stanza = debian.find_stanza(grants, path.removeprefix(folder + "/") if folder else path)
            if stanza is not None and not stanza.everything:
                return grants[stanza], False
    matching = [one for one in repository.annotations if one.matches(path)]
    return (matching[-1].grant, matching[-1].override) if matching else (None, False)


def in_first_comment(file: Excerpt, own: Grant) -> bool:
    """Whether a header stands in the comment at the beginning of the file."""
    at_start = bool(file.pieces) and file.pieces[0][1] == 0
    comment = texts.leading_comment(file.pieces[0][0]) if at_start else ""
    return own.evidence[0].kind == "header" and own.evidence[0].end <= comment.count("\n")
