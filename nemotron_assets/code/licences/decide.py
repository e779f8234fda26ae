"""Which licence each file of a repository is under, and whether the recipe accepts it, with the evidence.

What is nearest decides: the file's own header, then what names the file (a stanza of debian/copyright, REUSE), then the
licence texts and manifest of the nearest folder upwards, then those of the repository. Nothing means no licence. Where
two of these contradict each other, or somebody has changed a text, a person must look: `review`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import debian, manifests, paths, texts
from nemotron_assets.code.licences.expressions import (
    ALLOWED,
    REJECTED,
    REVIEW,
    binds_the_whole,
    category,
    join_all,
    judge,
    licences,
)
from nemotron_assets.code.licences.grants import (
    PUBLIC_DOMAIN,
    Evidence,
    Grant,
    families,
    granted,
)
from nemotron_assets.code.licences.headers import header
from nemotron_assets.code.licences.library import Scan
from nemotron_assets.code.licences.survey import Excerpt, Repository, survey

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Names of files that a repository is not kept for if nothing else in it is.
_ABOUT_LICENCES = re.compile(r"(?i)licen[sc]e|copying|copyright|notice")
FILE, FOLDER, REPOSITORY, NONE = "file", "folder", "repository", "none"


@dataclass(frozen=True)
class Decision:
    """The decision about one file. `evidence` is what decided, the deciding first."""

    id: str
    path: str
    expression: str
    decision: str
    scope: str
    why: str
    evidence: tuple[Evidence, ...] = ()


def excerpt(file_id: str, path: str, content: str, recipe: CodeLicences) -> Excerpt:
    """Cut a file down to what is examined."""
    whole = None
    if (
        paths.is_licence(path)
        or paths.is_debian(path)
        or paths.is_readme(path)
        or paths.is_notice(path)
        or path.endswith(".license")
    ):
        whole = content[: recipe.licence_characters]
    elif paths.manifest_kind(path):
        whole = content[: manifests.MAX_CHARACTERS]
    return Excerpt(file_id, path, tuple(texts.examined(content, recipe)), whole)


def decide(files: Iterable[Excerpt], scan: Callable[[str], Scan], recipe: CodeLicences) -> list[Decision]:
    """Decisions about all files of one repository, in their order. `scan` asks the library about a text."""
    files = list(files)
    repository = survey(files, scan, recipe)
    sidecars = {file.path.removesuffix(".license"): file for file in files if file.path.endswith(".license")}
    decisions = [_decide(file, sidecars.get(file.path), repository, scan, recipe) for file in files]
    if any(one.decision == ALLOWED and not _ABOUT_LICENCES.search(basename(one.path)) for one in decisions):
        return decisions
    why = "nothing but licence texts is accepted"
    return [replace(one, decision=REVIEW, why=why) if one.decision == ALLOWED else one for one in decisions]


def _decide(
    file: Excerpt, sidecar: Excerpt | None, repository: Repository, scan: Callable[[str], Scan], recipe: CodeLicences
) -> Decision:
    own = repository.others.get(file.path) or Grant("", ())
    if paths.is_readme(file.path) or not speaks_for_others(file):
        own = header(file, scan, recipe)
    if paths.is_readme(file.path) or file.path in repository.others:
        own = _against(file, own, recipe)
    if sidecar is not None and sidecar.whole:
        own = granted("sidecar", sidecar.path, scan(sidecar.whole), 0, recipe)
    around, folder, missing = _around(file.path, repository)
    scope = NONE if around is None else FOLDER if folder else REPOSITORY
    named, override = _named(file.path, repository)
    accepted_around = around is not None and around.verdict(recipe).decision == ALLOWED
    if own.expression and accepted_around and _says_the_same(own, around, recipe):
        own = Grant("", ())
    # An accepted licence that a file only mentions (setup.py) does not stand against what names the file, nor against
    # what is not accepted around it.
    mention = own.expression and not _in_comment(file, own) and judge(own.expression, recipe).decision == ALLOWED
    if named is not None and (override or not own.expression or (mention and sidecar is None)):
        return _told(file, named, FILE, around, repository, recipe)
    excepted = _excepted(dirname(file.path) if speaks_for_others(file) else file.path, folder, repository)
    in_doubt = excepted or (around is not None and not accepted_around)
    if own.expression and not (mention and in_doubt and sidecar is None):
        return _told(file, own, FILE, around, repository, recipe)
    if around is None:
        return _alone(file, own, missing, repository, recipe)
    if own.doubt and accepted_around:
        evidence = (*own.evidence, *around.evidence)
        return Decision(file.id, file.path, around.expression, REVIEW, FILE, own.doubt, evidence)
    verdict = around.verdict(recipe)
    if verdict.decision == ALLOWED and excepted:
        why = f"{around.evidence[0].path} names the file among parts under other licences"
        return Decision(file.id, file.path, around.expression, REVIEW, scope, why, around.evidence)
    if scope == FOLDER:
        return _told(file, around, FOLDER, None, repository, recipe)
    return Decision(file.id, file.path, around.expression, verdict.decision, scope, verdict.why, around.evidence)


def _against(file: Excerpt, own: Grant, recipe: CodeLicences) -> Grant:
    """What a text that speaks for others says against itself. A README grants nothing, but that of a folder may say
    that the folder is under another licence, and any may have a tag; a licence text of others' parts is theirs."""
    readme = paths.is_readme(file.path)
    if readme and "/" not in file.path:
        tags = tuple(one for one in own.evidence if one.rule.startswith("spdx-license-identifier"))
        own = Grant(join_all(one.expression for one in tags), tags)
    decision = judge(own.expression, recipe).decision
    return own if decision == REJECTED or (decision == REVIEW and not readme) else Grant("", ())


def _says_the_same(own: Grant, around: Grant, recipe: CodeLicences) -> bool:
    """Whether a header adds nothing to the accepted licence around it: a mention in passing of what is accepted too,
    "under A and B" where the repository leaves the choice between A and B, or "public domain", which asks for less."""
    if own.faint:
        return judge(own.expression, recipe).decision == ALLOWED
    names = set(licences(own.expression)) - PUBLIC_DOMAIN
    if not own.doubt and names <= set(licences(around.expression)) and len(names) < len(licences(own.expression)):
        return True
    same = set(licences(own.expression)) == set(licences(around.expression))
    return not own.doubt and same and " OR " in around.expression


def _alone(file: Excerpt, own: Grant, missing: str, repository: Repository, recipe: CodeLicences) -> Decision:
    """Decide about a file that neither says anything itself nor has a licence around it."""
    if own.doubt and own.evidence:
        return Decision(file.id, file.path, "", REVIEW, FILE, own.doubt, own.evidence)
    if missing:
        weak = (repository.folders.get("") or Grant("", ())).evidence
        return Decision(file.id, file.path, "", REVIEW, NONE, missing, weak)
    if repository.weak is not None:
        weak = repository.weak
        decision = REJECTED if judge(weak.expression, recipe).decision == REJECTED else REVIEW
        return Decision(file.id, file.path, weak.expression, decision, REPOSITORY, weak.doubt, weak.evidence)
    return Decision(file.id, file.path, "", REJECTED, NONE, "no licence", ())


def _around(path: str, repository: Repository) -> tuple[Grant | None, str, str]:
    """The licence of the nearest folder that has one, the folder, and why none reaches the file though there is one."""
    vendored = paths.vendored_root(path)
    for folder in (path, *paths.folders(path)):  # an installed module has one of its own
        if vendored is not None and not (folder + "/").startswith(vendored + "/"):
            if "" in repository.folders:
                return None, "", f"{vendored} holds other people's code, whose licence is not there"
            break
        if folder in repository.folders:
            return repository.folders[folder], folder, ""
    return None, "", ""


def _named(path: str, repository: Repository) -> tuple[Grant | None, bool]:
    """What debian/copyright or REUSE says about exactly this file, and whether that beats its header."""
    for folder, stanzas in repository.stanzas:
        inside = path.removeprefix(folder + "/") if folder else path
        stanza = debian.of_file(stanzas, inside) if not folder or path.startswith(folder + "/") else None
        if stanza is not None and not stanza.everything:
            for where, pattern, _, grant in repository.named:
                if where == folder and pattern == stanza.patterns[0]:
                    return grant, False
    best: tuple[Grant | None, bool] = None, False
    for folder, pattern, override, grant in repository.named:
        if grant.evidence and grant.evidence[0].kind == "reuse":
            inside = path.removeprefix(folder + "/") if folder else path
            if (not folder or path.startswith(folder + "/")) and _reuse_pattern(pattern).fullmatch(inside):
                best = grant, override
    return best


def _reuse_pattern(pattern: str) -> re.Pattern[str]:
    """REUSE's globs: `*` stops at slashes, `**` does not."""
    pieces = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces))


def _excepted(path: str, folder: str, repository: Repository) -> bool:
    """Whether the licence text of `folder`, which holds for a file, names it, or a folder it is in, among other
    people's parts."""
    parts = repository.parts.get(folder, frozenset())
    inside = (path.removeprefix(folder + "/") if folder else path).lower().split("/")
    # "src/greenlet/platform" excepts what is in there, "thread.c" any file of that name.
    ends = ("/".join(inside[start:stop]) for stop in range(1, len(inside) + 1) for start in range(stop))
    return any(end in parts for end in ends)


def _told(
    file: Excerpt, own: Grant, scope: str, around: Grant | None, repository: Repository, recipe: CodeLicences
) -> Decision:
    """Decide by what a file, or its folder, says itself, with a look at what is around it."""
    verdict = own.verdict(recipe)
    decision, why = verdict.decision, verdict.why
    if decision == ALLOWED:
        enclosing = (repository.folders.get(folder) for folder in paths.folders(file.path))
        for grant in filter(None, (around, *enclosing, repository.weak)):
            if (
                scope == FOLDER
                and grant.doubt
                and _only_declared(own)
                and families(own.expression) <= families(grant.expression)
            ):
                decision, why = REVIEW, grant.doubt  # the manifest means the text that is in doubt
                break
            if _must_look(file, own, grant, recipe):
                decision = REVIEW
                why = f"the {scope} says {own.expression}, but it is part of a work under {grant.expression}"
                break
    elif decision == REJECTED and own.doubt:
        decision, why = REVIEW, own.doubt
    evidence = own.evidence if decision == verdict.decision or around is None else (*own.evidence, *around.evidence)
    return Decision(file.id, file.path, own.expression, decision, scope, why, evidence)


def _only_declared(own: Grant) -> bool:
    return all(one.kind == "manifest" for one in own.evidence)


def _in_comment(file: Excerpt, own: Grant) -> bool:
    """Whether what a file says of its licence stands in the comment it begins with: a notice, and no mention."""
    comment = texts.leading_comment(file.pieces[0][0]) if file.pieces and file.pieces[0][1] == 0 else ""
    return own.evidence[0].kind == "header" and own.evidence[0].end <= comment.count("\n")


def _must_look(file: Excerpt, own: Grant, around: Grant, recipe: CodeLicences) -> bool:
    """Whether what is accepted by itself is not kept because of the licence of the work it is part of."""
    rule = recipe.own_licence_in_rejected
    expression = join_all([around.expression, around.claimed])
    if rule == "allowed" or judge(expression, recipe).decision != REJECTED:
        return False
    off = [name for name in licences(expression) if judge(name, recipe).decision == REJECTED]
    if " OR " in own.expression and families(expression) <= families(own.expression):
        # What is around are the texts of the choice that the file leaves; others of a work under the GPL may not.
        return any(category(name) == "Copyleft" for name in off)
    # A text that begins with what the file says in its first comment, or with accepted terms, and goes on with other
    # permissive ones does not bind the file.
    begins = families(own.expression) <= families(around.main) or judge(around.main, recipe).decision == ALLOWED
    permissive = all(category(name) in ("Permissive", "Public Domain") for name in off)
    if around.main and begins and permissive and _in_comment(file, own):
        return False
    return rule == "review" or binds_the_whole(expression, recipe)


def speaks_for_others(file: Excerpt) -> bool:
    """Whether what a file says of licences is about the folder it stands in, not about the file: licence texts,
    READMEs, and manifests that are no programs."""
    if file.whole is None:
        return False
    kind = paths.manifest_kind(file.path)
    return is_licence_text(file.path) or paths.is_readme(file.path) or (kind or "") in manifests.ONLY_DATA


def is_licence_text(path: str) -> bool:
    """Whether a file is passed on with the files that are kept: licence texts and notices."""
    return paths.is_licence(path) or paths.is_notice(path) or paths.is_debian(path)
