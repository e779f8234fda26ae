"""Which licence each file of a repository is under, and whether the recipe accepts it, with the evidence.

What is nearest decides: the file's own header, then what names the file (a stanza of debian/copyright, REUSE), then the
licence texts and manifest of the nearest folder upwards, then those of the repository. Nothing means no licence. Where
two of these contradict each other, or somebody has changed a text, a person must look: `review`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import debian, manifests, paths, texts
from nemotron_assets.code.licences.expressions import (
    ALLOWED,
    REJECTED,
    REVIEW,
    Verdict,
    binds_the_whole,
    join_all,
    judge,
    licences,
    statement,
)
from nemotron_assets.code.licences.library import Scan

if TYPE_CHECKING:
    from nemotron_assets.recipe.code_licences import CodeLicences

FILE, FOLDER, REPOSITORY, NONE = "file", "folder", "repository", "none"


@dataclass(frozen=True)
class Excerpt:
    """What is needed of one file: `pieces` (with lines before them) are examined for a header of its own, `whole` is
    set for files that speak for others (licence texts, manifests, READMEs)."""

    id: str
    path: str
    pieces: tuple[tuple[str, int], ...] = ()
    whole: str | None = None


@dataclass(frozen=True)
class Evidence:
    """One thing that was found: where it stands, what it says, and by which rule of the library."""

    kind: str
    path: str
    start: int
    end: int
    expression: str
    rule: str = ""
    score: float = 100.0


@dataclass(frozen=True)
class Grant:
    """A licence that somebody gives, with its evidence. `doubt` says why it must not be taken at its word."""

    expression: str
    evidence: tuple[Evidence, ...]
    doubt: str = ""
    faint: bool = False  # the doubt is only that few words of it stand there, a mention in passing

    def verdict(self, recipe: CodeLicences) -> Verdict:
        found = judge(self.expression, recipe)
        return Verdict(REVIEW, self.doubt) if self.doubt and found.decision == ALLOWED else found


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


@dataclass
class Repository:
    """What a repository says about licences beside the headers of its files."""

    folders: dict[str, Grant] = field(default_factory=dict)
    stanzas: list[tuple[str, list[debian.Stanza]]] = field(default_factory=list)  # path of the file, its stanzas
    named: list[tuple[str, str, bool, Grant]] = field(default_factory=list)  # REUSE: folder, pattern, override, grant
    weak: Grant | None = None  # what only a README says
    texts: list[str] = field(default_factory=list)  # paths of licence texts and notices, to be passed on


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
    return [_decide(file, sidecars.get(file.path), repository, scan, recipe) for file in files]


# -- what the repository says ------------------------------------------------------------------------------------------


def survey(files: list[Excerpt], scan: Callable[[str], Scan], recipe: CodeLicences) -> Repository:
    """Read licence texts, manifests, debian/copyright, REUSE and READMEs."""
    repository = Repository()
    found: dict[str, list[Grant]] = {}
    declared: dict[str, list[Grant]] = {}
    general: dict[str, list[Grant]] = {}
    readme: tuple[int, Excerpt] | None = None
    for file in files:
        if file.whole is None:
            continue
        folder = paths.scope(file.path)
        if paths.is_debian(file.path):
            repository.texts.append(file.path)
            _read_debian(file, folder, repository, general, scan, recipe)
        elif paths.is_licence(file.path):
            repository.texts.append(file.path)
            grant = licence_file(file, scan, recipe)
            if grant is not None and (grant.expression or not paths.in_docs(file.path)):
                found.setdefault(folder, []).append(grant)
        elif paths.is_notice(file.path):
            repository.texts.append(file.path)
        elif kind := paths.manifest_kind(file.path):
            if kind == "reuse":
                _read_reuse(file, folder, repository)
            elif grant := _manifest(kind, file, scan, recipe):
                declared.setdefault(folder, []).append(grant)
        elif paths.is_readme(file.path) and "/" not in file.path and (readme is None or len(file.path) < readme[0]):
            readme = len(file.path), file
    _leave_out_pages(found, recipe)
    for folder in {*found, *declared, *general}:
        grant = _combine(found.get(folder, []), declared.get(folder, []), general.get(folder, []), recipe)
        if grant is not None:
            repository.folders[folder] = grant
    if readme is not None:
        _weigh_readme(readme[1], repository, scan, recipe)
    return repository


def _leave_out_pages(found: dict[str, list[Grant]], recipe: CodeLicences) -> None:
    """A page of the manual about the repository's licence is not the licence of the manual's folder."""
    root = {name for grant in found.get("", []) for name in licences(grant.expression)}
    for folder in [folder for folder in found if folder and paths.in_docs(folder + "/x")]:
        found[folder] = [grant for grant in found[folder] if not set(licences(grant.expression)) <= root or not root]
        if not found[folder]:
            del found[folder]


def licence_file(file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant | None:
    """What a licence text grants. None for one that only points elsewhere (R's form, "see ../LICENSE")."""
    text = file.whole or ""
    if texts.TEMPLATE.match(text) or not text.strip():
        return None
    scanned = scan(text)
    grant = _grant("licence_file", file.path, scanned, 0, recipe)
    if not grant.expression:
        pointed = any(match["files"] for detection in scanned.findings for match in detection["matches"])
        if pointed and len(text) < 1_000:
            return None
        line = Evidence("licence_file", file.path, 1, text.count("\n") + 1, "", "", 0.0)
        return Grant("", (line,), scanned.problem or "the licence text is not known")
    covered = [(match["start"], match["end"]) for detection in scanned.findings for match in detection["matches"]]
    if not grant.doubt and (
        words := texts.restriction(_without_known(text, scanned)) or texts.added_condition(text, covered)
    ):
        return replace(grant, doubt=f"the licence text has words of its own: {words!r}")
    return grant


def _without_known(text: str, scanned: Scan) -> str:
    """A text without the lines that are, word for word, those of a licence in the library."""
    lines = text.splitlines()
    for detection in scanned.findings:
        for match in detection["matches"]:
            if match["score"] >= 99.5 and match["coverage"] >= 99.5 and not match["extra"]:
                lines[match["start"] - 1 : match["end"]] = [""] * (match["end"] - match["start"] + 1)
    return "\n".join(lines)


def _grant(kind: str, path: str, scanned: Scan, lines_before: int, recipe: CodeLicences) -> Grant:
    """What the library's findings in a text amount to: all of them apply."""
    expressions, evidence, doubt, faint = [], [], scanned.problem, False
    for detection in scanned.findings:
        said = statement(detection["expression"])
        if not said:
            continue
        expressions.append(said)
        score = min(match["score"] for match in detection["matches"])
        first, last = detection["matches"][0], detection["matches"][-1]
        best = max(detection["matches"], key=lambda match: match["length"])
        evidence.append(
            Evidence(kind, path, lines_before + min(first["start"], best["start"]),
                     lines_before + max(m["end"] for m in detection["matches"]), said, best["rule"], score)
        )  # fmt: skip
        changed = next(filter(None, (texts.change(match["extra"]) for match in detection["matches"])), "")
        if not doubt and score < recipe.min_score and not _tolerable(detection, recipe):
            doubt = f"only {score:.0f}% like {said} (lines {first['start']}-{last['end']})"
            faint = True
        elif not doubt and changed:
            doubt = f"the text of {said} was changed: {changed!r} was put in"
        if changed:
            faint = False
    return Grant(join_all(expressions), tuple(evidence), doubt, faint)


def _tolerable(detection: dict, recipe: CodeLicences) -> bool:
    """Whether a weak match stands beside a strong one of the same licence (a title over the full text, say)."""
    strong = [m for m in detection["matches"] if m["score"] >= recipe.min_score]
    weak = [m for m in detection["matches"] if m["score"] < recipe.min_score]
    return bool(strong) and {m["expression"] for m in weak} <= {m["expression"] for m in strong}


def _manifest(kind: str, file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant | None:
    declared = manifests.read(kind, file.whole or "")
    if declared is None:
        return None
    line = Evidence("manifest", file.path, declared.line, declared.line, declared.expression or declared.words)
    if declared.closed:
        return Grant("LicenseRef-scancode-proprietary-license", (replace(line, expression=declared.words),))
    if declared.expression:
        return Grant(declared.expression, (line,))
    read = _grant("manifest", file.path, scan(declared.words), declared.line - 1, recipe)
    if read.expression:
        return read
    return Grant("", (line,), f"the manifest's licence is not known: {declared.words[:100]!r}")


def _read_debian(
    file: Excerpt, folder: str, repository: Repository, general: dict[str, list[Grant]], scan: Callable[[str], Scan],
    recipe: CodeLicences,
) -> None:  # fmt: skip
    text = file.whole or ""
    stanzas = debian.stanzas(text)
    if stanzas is None:
        grant = _grant("debian_copyright", file.path, scan(debian.free_form(text)), 0, recipe)
        if grant.expression:
            general.setdefault(folder, []).append(grant)
        return
    repository.stanzas.append((folder, stanzas))
    for stanza in stanzas:
        grant = _stanza_grant(file.path, stanza, scan, recipe)
        if stanza.everything:
            general[folder] = [grant]
        else:
            for pattern in stanza.patterns:
                repository.named.append((folder, pattern, False, grant))


def _stanza_grant(path: str, stanza: debian.Stanza, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant:
    """What a stanza says: by its short names, and for names that are not in use everywhere, by their text."""
    doubts: list[str] = []

    def read(name: str) -> str:
        text = stanza.texts.get(name.lower()) or (stanza.text if name.lower() == stanza.name.lower() else "")
        read = _grant("debian_copyright", path, scan(text), stanza.start - 1, recipe) if text.strip() else None
        if read is None or not read.expression:
            doubts.append(f"the licence {name!r} is not known")
            return ""
        doubts.extend(filter(None, (read.doubt,)))
        return read.expression

    expression = debian.expression(stanza.name, read)
    if stanza.text.strip() and not doubts and (words := texts.restriction(stanza.text)):
        doubts.append(f"the licence text has words of its own: {words!r}")
    line = Evidence("debian_copyright", path, stanza.start, stanza.end, expression or stanza.name)
    return Grant(expression, (line,), "; ".join(doubts) or ("" if expression else "the licence is not named"))


def _read_reuse(file: Excerpt, folder: str, repository: Repository) -> None:
    for patterns, expression, override in manifests.reuse(file.whole or ""):
        line = Evidence("reuse", file.path, 1, (file.whole or "").count("\n") + 1, expression)
        for pattern in patterns:
            repository.named.append((folder, pattern, override, Grant(expression, (line,))))


def _combine(
    licence_texts: list[Grant], declared: list[Grant], general: list[Grant], recipe: CodeLicences
) -> Grant | None:
    """What the texts, manifests and debian/copyright of one folder say together."""
    read = [grant for grant in licence_texts if grant.expression]
    unread = [grant for grant in licence_texts if not grant.expression]
    named = [grant for grant in [*declared, *general] if grant.expression]
    said = [statement(grant.expression) for grant in named]
    if not read and not unread:
        if not named:
            rest = [*declared, *general]
            return rest[0] if rest else None
        if not general and not recipe.manifests_decide:
            return Grant(join_all(said), _all(named), "only a manifest names the licence")
        return Grant(join_all(said), _all(named), _doubt(named))
    expression = join_all(grant.expression for grant in read)
    evidence, doubt = _all([*read, *unread, *named]), _doubt([*read, *unread])
    if unread and not read:
        return Grant(join_all(said), evidence, doubt)
    # A manifest that names the licences of the texts says how they go together: "MIT OR Apache-2.0".
    chooses = next((e for e in said if _families(expression) <= _families(e) and " OR " in e), "")
    if chooses:
        return Grant(chooses, evidence, doubt)
    judged = judge(expression, recipe)
    if judged.decision == ALLOWED:
        against = [g for g in named if judge(g.expression, recipe).decision != ALLOWED]
        if against:
            other = against[0]
            doubt = doubt or f"{other.evidence[0].path} says {other.expression}, the licence text {expression}"
        return Grant(expression, evidence, doubt)
    return Grant(expression, evidence, doubt)


def _families(expression: str) -> set[str]:
    return {re.sub(r"-(only|or-later)$", "", name) for name in licences(expression)}


def _all(grants: list[Grant]) -> tuple[Evidence, ...]:
    return tuple(evidence for grant in grants for evidence in grant.evidence)


def _doubt(grants: list[Grant]) -> str:
    return next((grant.doubt for grant in grants if grant.doubt), "")


def _weigh_readme(file: Excerpt, repository: Repository, scan: Callable[[str], Scan], recipe: CodeLicences) -> None:
    """A README alone allows nothing; one that contradicts the licence text makes a case for a person."""
    section, before = texts.licence_section(file.whole or "")
    if not section or not texts.speaks_of_licences(section):
        return
    grant = _grant("readme", file.path, scan(section), before, recipe)
    restricts = texts.restriction(section)
    root = repository.folders.get("")
    if root is None:
        if grant.expression:
            repository.weak = replace(grant, doubt="only a README names the licence")
        return
    if root.doubt or root.verdict(recipe).decision != ALLOWED:
        return
    strong = [e for e in grant.evidence if e.score >= recipe.min_score]
    against = [e for e in strong if judge(e.expression, recipe).decision == REJECTED]
    if restricts or (against and len(against) == len(strong)):
        said = repr(restricts) if restricts else against[0].expression
        repository.folders[""] = replace(
            root, doubt=f"{file.path} says {said}", evidence=(*root.evidence, *grant.evidence)
        )


# -- what holds for a file ---------------------------------------------------------------------------------------------


def _decide(
    file: Excerpt, sidecar: Excerpt | None, repository: Repository, scan: Callable[[str], Scan], recipe: CodeLicences
) -> Decision:
    speaks_for_others = file.whole is not None and is_licence_text(file.path)
    own = Grant("", ()) if speaks_for_others else header(file, scan, recipe)
    if sidecar is not None and sidecar.whole:
        own = _grant("sidecar", sidecar.path, scan(sidecar.whole), 0, recipe)
    around, scope, missing = _around(file.path, repository)
    named, override = _named(file.path, repository)
    if named is not None and (override or not own.expression):
        return _told(file, named, FILE, around, repository, recipe)
    if own.expression and own.faint and around is not None and around.verdict(recipe).decision == ALLOWED:  # noqa: SIM102
        if judge(own.expression, recipe).decision == ALLOWED:  # a mention in passing of what is accepted anyway
            own = Grant("", ())
    if own.expression:
        return _told(file, own, FILE, around, repository, recipe)
    if around is None:
        if own.doubt and own.evidence:
            return Decision(file.id, file.path, "", REVIEW, FILE, own.doubt, own.evidence)
        if missing:
            weak = (repository.folders.get("") or Grant("", ())).evidence
            return Decision(file.id, file.path, "", REVIEW, NONE, missing, weak)
        if repository.weak is not None:
            weak = repository.weak
            found = judge(weak.expression, recipe)
            decision = REJECTED if found.decision == REJECTED else REVIEW
            return Decision(file.id, file.path, weak.expression, decision, REPOSITORY, weak.doubt, weak.evidence)
        return Decision(file.id, file.path, "", REJECTED, NONE, "no licence", ())
    verdict = around.verdict(recipe)
    if own.doubt and verdict.decision == ALLOWED:
        return Decision(
            file.id, file.path, around.expression, REVIEW, FILE, own.doubt, (*own.evidence, *around.evidence)
        )
    return Decision(file.id, file.path, around.expression, verdict.decision, scope, verdict.why, around.evidence)


def header(file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant:
    """What a file says about its own licence, at its beginning and its end."""
    grants = []
    for piece, before in file.pieces:
        scanned = scan(piece)
        grant = _grant("header", file.path, scanned, before, recipe)
        restricts = "" if grant.doubt and not grant.faint else texts.restriction(_without_known(piece, scanned))
        if restricts:
            lines = Evidence("header", file.path, before + 1, before + piece.count("\n") + 1, "")
            grant = replace(grant, doubt=f"the file says {restricts!r}", evidence=(*grant.evidence, lines), faint=False)
        elif grant.doubt and not grant.evidence:
            lines = Evidence("header", file.path, before + 1, before + piece.count("\n") + 1, "")
            grant = replace(grant, evidence=(lines,))
        grants.append(grant)
    faint = all(grant.faint for grant in grants if grant.doubt)
    return Grant(join_all(grant.expression for grant in grants), _all(grants), _doubt(grants), faint)


def _around(path: str, repository: Repository) -> tuple[Grant | None, str, str]:
    """The licence of the nearest folder that has one, its scope, and why none reaches the file though there is one."""
    vendored = paths.vendored_root(path)
    for folder in paths.folders(path):
        if vendored is not None and not (folder + "/").startswith(vendored + "/"):
            if "" in repository.folders:
                return None, NONE, f"{vendored} holds other people's code, whose licence is not there"
            break
        if folder in repository.folders:
            return repository.folders[folder], FOLDER if folder else REPOSITORY, ""
    return None, NONE, ""


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


def _told(
    file: Excerpt, own: Grant, scope: str, around: Grant | None, repository: Repository, recipe: CodeLicences
) -> Decision:
    """Decide by what a file says itself, with a look at what is around it."""
    verdict = own.verdict(recipe)
    decision, why = verdict.decision, verdict.why
    if decision == ALLOWED:
        for grant in filter(None, (around, repository.folders.get(""))):
            if (
                recipe.own_licence_in_rejected == "review"
                and judge(grant.expression, recipe).decision == REJECTED
                and binds_the_whole(grant.expression, recipe)
            ):
                decision = REVIEW
                why = f"the file says {own.expression}, but it is part of a work under {grant.expression}"
                break
    elif decision == REJECTED and own.doubt:
        decision, why = REVIEW, own.doubt
    evidence = own.evidence if decision == verdict.decision or around is None else (*own.evidence, *around.evidence)
    return Decision(file.id, file.path, own.expression, decision, scope, why, evidence)


def is_licence_text(path: str) -> bool:
    """Whether a file is passed on with the files that are kept: licence texts and notices."""
    return paths.is_licence(path) or paths.is_notice(path) or paths.is_debian(path)
