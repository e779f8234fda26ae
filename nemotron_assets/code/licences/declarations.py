"""Turn manifests, debian/copyright and REUSE.toml into grants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import debian, globs, manifests, wording
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.grants import Doubt, DoubtKind, Evidence, Grant, grant_from_findings
from nemotron_assets.code.licences.library import Scanner

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


@dataclass(frozen=True)
class Annotation:
    """One path pattern of a REUSE.toml in `folder` with its licence. `override` is set if the annotation beats what
    the files say themselves."""

    folder: str
    pattern: str
    override: bool
    grant: Grant

    def matches(self, path: str) -> bool:
        """Whether the annotation holds for the file at `path` (from the root of the repository)."""
        inside = path.removeprefix(self.folder + "/") if self.folder else path
        below = not self.folder or path.startswith(self.folder + "/")
        return below and globs.reuse(self.pattern).matches(inside)


def read_annotations(file: Excerpt, folder: str) -> list[Annotation]:
    """The annotations of a REUSE.toml in `folder`."""
    text = file.whole or ""
    found = []
    for patterns, expression, override in manifests.read_reuse(text):
        evidence = Evidence("reuse", file.path, 1, text.count("\n") + 1, expression)
        found += [Annotation(folder, pattern, override, Grant(expression, (evidence,))) for pattern in patterns]
    return found


def read_manifest(kind: str, file: Excerpt, scan: Scanner, recipe: CodeLicences) -> Grant | None:
    """The licence that a package manifest declares; None if it names none."""
    declared = manifests.read(kind, file.whole or "")
    if declared is None:
        return None
    line = Evidence("manifest", file.path, declared.line, declared.line, declared.expression or declared.words)
    if declared.closed:
        return Grant("LicenseRef-scancode-proprietary-license", (replace(line, expression=declared.words),))
    if declared.expression:
        return Grant(declared.expression, (line,))
    scanned = scan(declared.words)
    grant = grant_from_findings("manifest", file.path, scanned, declared.line - 1, recipe)
    if not grant.expression:
        reason = f"the manifest says {declared.words[:100]!r}, which is not a known licence"
        return Grant("", (line,), Doubt(DoubtKind.UNKNOWN_LICENCE_NAME, reason))
    if not grant.doubt and (words := wording.find_restriction(scanned.rest(declared.words))):
        reason = f"the manifest adds {words!r} to the licence"
        return replace(grant, doubt=Doubt(DoubtKind.RESTRICTION_BESIDE_LICENCE, reason))
    return grant


def read_free_form(file: Excerpt, scan: Scanner, recipe: CodeLicences) -> Grant:
    """What a debian/copyright without stanzas says about all files."""
    scanned = scan(debian.without_packaging(file.whole or ""))
    return grant_from_findings("debian_copyright", file.path, scanned, 0, recipe)


def read_stanza(path: str, stanza: debian.Stanza, scan: Scanner, recipe: CodeLicences) -> Grant:
    """The licence of one stanza of the debian/copyright at `path`: by its name, or by its text if the name is not a
    common one."""
    doubts: list[Doubt] = []

    def read_text_of(name: str) -> str:
        text = stanza.texts.get(name.lower()) or (stanza.text if name.lower() == stanza.name.lower() else "")
        scanned = scan(text) if text.strip() else None
        grant = scanned and grant_from_findings("debian_copyright", path, scanned, stanza.start - 1, recipe)
        if not grant or not grant.expression:
            doubts.append(Doubt(DoubtKind.UNKNOWN_LICENCE_NAME, f"debian/copyright names the unknown licence {name!r}"))
            return ""
        doubts.extend([grant.doubt] if grant.doubt else [])
        return grant.expression

    expression = debian.to_spdx(stanza.name, read_text_of)
    if stanza.text.strip() and not doubts and (words := _restriction_beside(stanza.text, scan)):
        doubts.append(Doubt(DoubtKind.RESTRICTION_BESIDE_LICENCE, f"debian/copyright adds {words!r} to the licence"))
    if not doubts and not expression:
        doubts.append(Doubt(DoubtKind.UNKNOWN_LICENCE_NAME, "the stanza of debian/copyright names no licence"))
    line = Evidence("debian_copyright", path, stanza.start, stanza.end, expression or stanza.name)
    doubt = Doubt(doubts[0].kind, "; ".join(one.reason for one in doubts)) if doubts else None
    return Grant(expression, (line,), doubt)


def _restriction_beside(text: str, scan: Scanner) -> str:
    """The restriction that somebody added to a licence's text. Words of the licence itself do not count: the Unlicense
    says "commercial or non-commercial"."""
    return wording.find_restriction(scan(text).rest(text)) if wording.find_restriction(text) else ""
