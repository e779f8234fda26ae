"""What a repository says about licences beside the headers of its files: licence texts, manifests, debian/copyright,
REUSE, READMEs; and what they say together, folder by folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import debian, manifests, paths, texts
from nemotron_assets.code.licences.expressions import (
    ALLOWED,
    REJECTED,
    category,
    join_all,
    judge,
    licences,
    statement,
)
from nemotron_assets.code.licences.grants import (
    MENTION,
    Evidence,
    Grant,
    all_evidence,
    chosen,
    families,
    first_doubt,
    granted,
    kin,
    licence_file,
)
from nemotron_assets.code.licences.library import Scan

if TYPE_CHECKING:
    from nemotron_assets.recipe.code_licences import CodeLicences

#: Score from which terms that are only nearly a licence's are that licence's, when a manifest names it.
_CONFIRMED = 70
#: Kinds of licences (ScanCode's) that parts of a work may be under without a doubt about the rest of it. Full copyleft
#: terms are not among them: who puts the GPL's text behind another licence's may mean the whole work.
_PERMISSIVE = frozenset({"Permissive", "Public Domain"})
_OF_PARTS = _PERMISSIVE | {"Copyleft Limited"}


@dataclass(frozen=True)
class Excerpt:
    """What is needed of one file: `pieces` (with lines before them) are examined for a header of its own, `whole` is
    set for files that speak for others (licence texts, manifests, READMEs)."""

    id: str
    path: str
    pieces: tuple[tuple[str, int], ...] = ()
    whole: str | None = None


@dataclass
class Repository:
    """What a repository says about licences beside the headers of its files."""

    folders: dict[str, Grant] = field(default_factory=dict)
    stanzas: list[tuple[str, list[debian.Stanza]]] = field(default_factory=list)  # path of the file, its stanzas
    named: list[tuple[str, str, bool, Grant]] = field(default_factory=list)  # REUSE: folder, pattern, override, grant
    weak: Grant | None = None  # what only a README says
    others: dict[str, Grant] = field(default_factory=dict)  # licence texts that are not those of the files, by path
    parts: dict[str, frozenset[str]] = field(default_factory=dict)  # folder -> paths that its licence text excepts


@dataclass
class _Folder:
    """What speaks for one folder."""

    texts: list[Grant] = field(default_factory=list)
    bundled: list[Grant] = field(default_factory=list)  # texts of other people's licences, for parts
    declared: list[Grant] = field(default_factory=list)  # manifests
    general: list[Grant] = field(default_factory=list)  # debian/copyright about all files
    choices: list[str] = field(default_factory=list)  # choices between licences that a README states


def survey(files: list[Excerpt], scan: Callable[[str], Scan], recipe: CodeLicences) -> Repository:
    """Read licence texts, manifests, debian/copyright, REUSE and READMEs."""
    repository, folders = Repository(), {}
    readmes: dict[str, Excerpt] = {}
    for file in files:
        if file.whole is None:
            continue
        where = paths.scope(file.path)
        folder = folders.setdefault(where, _Folder())
        if paths.is_debian(file.path):
            _read_debian(file, where, folder, repository, scan, recipe)
        elif paths.is_licence(file.path):
            bundled = paths.is_bundled_licence(file.path)
            named = paths.is_plain_licence(file.path)
            grant = licence_file(file.path, file.whole, scan, recipe, named=named or bundled)
            if grant is not None and (bundled or _of_another(grant, recipe)):
                repository.others[file.path] = grant
            if grant is not None and (grant.expression or (named and not paths.in_docs(file.path))):
                for part in paths.part_folders(file.path):
                    folders.setdefault(part, _Folder()).texts.append(grant)
                (folder.bundled if bundled else folder.texts).append(grant)
        elif kind := paths.manifest_kind(file.path):
            if kind == "reuse":
                _read_reuse(file, where, repository)
            elif grant := _manifest(kind, file, scan, recipe):
                folder.declared.append(grant)
        elif paths.is_readme(file.path) and (where not in readmes or len(file.path) < len(readmes[where].path)):
            readmes[where] = file
    _leave_out_pages(folders)
    for where, file in readmes.items():
        folders[where].choices = _choices(file, scan, recipe)
    for where, folder in sorted(folders.items()):
        grant = _combine(folder, recipe)
        if grant is None or (where and _repeats_a_choice(grant, repository.folders.get(""))):
            continue
        repository.folders[where] = grant
        if grant.about:
            repository.parts[where] = texts.named_files(grant.about)
    for where, grant in list(repository.folders.items()):
        if (package := paths.installed(where)) is not None:
            for place in (package, f"{package}.py") if package else ("",):
                repository.folders.setdefault(place, grant)
    for where in sorted(readmes):
        _weigh_readme(where, readmes[where], repository, scan, recipe)
    return repository


def _of_another(grant: Grant, recipe: CodeLicences) -> bool:
    """Whether a licence text has no accepted licence's terms: the GPL's beside those of the licence that is chosen."""
    return judge(grant.main, recipe).decision == REJECTED and " OR " not in grant.expression


def _repeats_a_choice(grant: Grant, root: Grant | None) -> bool:
    """Whether a folder's text says "under A and B" where the repository leaves the choice between A and B."""
    same = root is not None and set(licences(grant.expression)) == set(licences(root.expression))
    return same and not grant.doubt and " OR " in root.expression


def _leave_out_pages(folders: dict[str, _Folder]) -> None:
    """A page of the manual about the repository's licence is not the licence of the manual's folder."""
    root = {name for grant in folders.get("", _Folder()).texts for name in licences(grant.expression)}
    if root:
        for where, folder in folders.items():
            if where and paths.in_docs(where + "/x"):
                folder.texts = [grant for grant in folder.texts if not set(licences(grant.expression)) <= root]


# -- manifests, debian/copyright, REUSE --------------------------------------------------------------------------------


def _manifest(kind: str, file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant | None:
    declared = manifests.read(kind, file.whole or "")
    if declared is None:
        return None
    line = Evidence("manifest", file.path, declared.line, declared.line, declared.expression or declared.words)
    if declared.closed:
        return Grant("LicenseRef-scancode-proprietary-license", (replace(line, expression=declared.words),))
    if declared.expression:
        return Grant(declared.expression, (line,))
    scanned = scan(declared.words)
    read = granted("manifest", file.path, scanned, declared.line - 1, recipe)
    if not read.expression:
        return Grant("", (line,), f"the manifest's licence is not known: {declared.words[:100]!r}")
    if not read.doubt and (words := texts.restriction(scanned.rest(declared.words))):
        return replace(read, doubt=f"the manifest's licence has words of its own: {words!r}")
    return read


def _read_debian(
    file: Excerpt, where: str, folder: _Folder, repository: Repository, scan: Callable[[str], Scan],
    recipe: CodeLicences,
) -> None:  # fmt: skip
    text = file.whole or ""
    stanzas = debian.stanzas(text)
    if stanzas is None:
        grant = granted("debian_copyright", file.path, scan(debian.free_form(text)), 0, recipe)
        if grant.expression:
            folder.general.append(grant)
        return
    repository.stanzas.append((where, stanzas))
    for stanza in stanzas:
        grant = _stanza_grant(file.path, stanza, scan, recipe)
        if stanza.everything:
            folder.general = [grant]
        else:
            for pattern in stanza.patterns:
                repository.named.append((where, pattern, False, grant))


def _stanza_grant(path: str, stanza: debian.Stanza, scan: Callable[[str], Scan], recipe: CodeLicences) -> Grant:
    """What a stanza says: by its short names, and for names that are not in use everywhere, by their text."""
    doubts: list[str] = []

    def read(name: str) -> str:
        text = stanza.texts.get(name.lower()) or (stanza.text if name.lower() == stanza.name.lower() else "")
        read = granted("debian_copyright", path, scan(text), stanza.start - 1, recipe) if text.strip() else None
        if read is None or not read.expression:
            doubts.append(f"the licence {name!r} is not known")
            return ""
        doubts.extend(filter(None, (read.doubt,)))
        return read.expression

    expression = debian.expression(stanza.name, read)
    # Words of the licence itself (the Unlicense's "commercial or non-commercial") are none of the author's.
    if stanza.text.strip() and not doubts and texts.restriction(stanza.text):
        words = texts.restriction(scan(stanza.text).rest(stanza.text))
        doubts.extend([f"the licence text has words of its own: {words!r}"] if words else [])
    line = Evidence("debian_copyright", path, stanza.start, stanza.end, expression or stanza.name)
    return Grant(expression, (line,), "; ".join(doubts) or ("" if expression else "the licence is not named"))


def _read_reuse(file: Excerpt, where: str, repository: Repository) -> None:
    for patterns, expression, override in manifests.reuse(file.whole or ""):
        line = Evidence("reuse", file.path, 1, (file.whole or "").count("\n") + 1, expression)
        for pattern in patterns:
            repository.named.append((where, pattern, override, Grant(expression, (line,))))


# -- what a folder's sources say together ------------------------------------------------------------------------------


def _combine(folder: _Folder, recipe: CodeLicences) -> Grant | None:
    """What the texts, manifests and debian/copyright of one folder say together."""
    own = _terms(folder.texts) or folder.bundled
    bundled = folder.bundled if folder.texts else []
    read = [grant for grant in own if grant.expression]
    unread = [grant for grant in own if not grant.expression]
    named = [grant for grant in [*folder.declared, *folder.general] if grant.expression]
    said = [statement(grant.expression) for grant in named]
    if not read and not unread:
        if not named:
            rest = [*folder.declared, *folder.general]
            return rest[0] if rest else None
        if not folder.general and not recipe.manifests_decide:
            return Grant(join_all(said), all_evidence(named), "only a manifest names the licence")
        return Grant(join_all(said), all_evidence(named), first_doubt(named))
    evidence = all_evidence([*read, *unread, *bundled, *named])
    if unread and not read:
        return Grant(join_all(said), evidence, first_doubt(unread))
    readable = [grant for grant in bundled if grant.expression]
    expression, doubt = join_all(grant.expression for grant in [*read, *readable]), first_doubt([*read, *unread])
    doubt = doubt or first_doubt(readable)
    # A manifest that names the licences of the texts says how they go together: "MIT OR Apache-2.0".
    stated = [grant.expression for grant in read if " OR " in grant.expression and not grant.doubt]
    chooses = next(
        (e for e in [*said, *stated, *folder.choices] if " OR " in e and _of_the_choice(expression, read, e)), ""
    )
    if chooses and not any(_contradicts(e, chooses, recipe) for e in said):
        return Grant(chooses, evidence, doubt)
    if (doubt or judge(expression, recipe).decision != ALLOWED) and not unread:
        main = _main_licence(read, bundled, named, recipe)
        if main is not None:
            return replace(main, evidence=evidence)
    if judge(expression, recipe).decision == ALLOWED:
        against = [g for g in named if judge(g.expression, recipe).decision != ALLOWED]
        if against:
            other = against[0]
            doubt = doubt or f"{other.evidence[0].path} says {other.expression}, the licence text {expression}"
    return Grant(expression, evidence, doubt, main=read[0].main if len(read) == 1 else "")


def _terms(read: list[Grant]) -> list[Grant]:
    """Licence texts without those that only mention, nearly, the licence whose terms are another's: COPYRIGHT beside
    LICENSE."""
    stated = {name for grant in read if grant.main and not grant.doubt for name in families(grant.main)}

    def mentions(grant: Grant) -> bool:
        short = all(length <= MENTION for _, length in grant.found)
        return grant.faint and short and families(grant.expression) <= stated

    return [grant for grant in read if not mentions(grant)]


def _contradicts(declared: str, choice: str, recipe: CodeLicences) -> bool:
    """Whether a manifest does not leave a choice that a text leaves. A list of both sides, as classifiers are, does."""
    names = set(licences(declared))
    return judge(declared, recipe).decision != ALLOWED and not (
        len(names) > 1 and {kin(name) for name in names} <= {kin(name) for name in licences(choice)}
    )


def _of_the_choice(expression: str, read: list[Grant], choice: str) -> bool:
    """Whether licence texts are those of a choice. A mention may get the version wrong, terms may not."""
    offered = families(choice)
    if families(expression) <= offered:
        return True
    terms = {name for grant in read for said, length in grant.found if length > MENTION for name in families(said)}
    return bool(terms) and terms <= offered and {kin(name) for name in families(expression)} <= set(map(kin, offered))


def _main_licence(read: list[Grant], bundled: list[Grant], named: list[Grant], recipe: CodeLicences) -> Grant | None:
    """The licence of the work itself, where the licence text also has those of what is bundled with it: the manifests
    name it, every text begins with its terms, and what follows are licences that parts may have. Without a manifest the
    text itself must speak of parts, and their licences be permissive. None elsewhere."""
    if not recipe.bundled_in_texts or first_doubt(named):
        return None
    declared = join_all(statement(grant.expression) for grant in named)
    kinds = _OF_PARTS
    if not named:
        declared = read[0].main if read else ""
        kinds = _PERMISSIVE
        if not declared or any(grant.doubt for grant in bundled) or not all(g.lists for g in read):
            return None
    if judge(declared, recipe).decision != ALLOWED:
        return None
    for grant in read:
        confirmed = _same(grant.main, declared) and (not grant.doubt or (grant.faint and grant.near >= _CONFIRMED))
        if not confirmed:
            return None
    parts = [found for grant in [*read, *bundled] for found in grant.found if not _same(found[0], declared)]
    if not all(_of_a_part(expression, length, kinds) for expression, length in parts):
        return None
    return Grant(declared, (), about="\n".join(grant.about for grant in [*read, *bundled]) if parts else "")


def _same(main: str, declared: str) -> bool:
    """Whether a manifest names the licence that a text has. "BSD" of a classifier leaves open which of two it is, and
    the PSF's licence is the last of those that Python's text has."""
    names = {"Python-2.0": "PSF-2.0", "Python-2.0.1": "PSF-2.0", "BSD-2-Clause": "BSD-3-Clause"}
    mine, theirs = ({names.get(name, name) for name in families(e)} for e in (main, declared))
    return bool(mine) and mine <= theirs


def _of_a_part(expression: str, length: int, accepted: frozenset[str]) -> bool:
    kinds = {category(name) for name in licences(expression)}
    return kinds <= accepted or (accepted == _OF_PARTS and kinds <= {*accepted, "Copyleft"} and length <= MENTION)


# -- READMEs -----------------------------------------------------------------------------------------------------------


def _choices(file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> list[str]:
    """The choices between licences that a README states at its beginning or under a heading "License"."""
    section, _ = texts.licence_section(file.whole or "")
    found = []
    for piece in (section, *(piece for piece, _ in file.pieces)):
        if piece and texts.speaks_of_licences(piece):
            scanned = scan(piece)
            grant = chosen(granted("readme", file.path, scanned, 0, recipe), piece, scanned, recipe)
            if " OR " in grant.expression and not grant.doubt and not texts.restriction(scanned.rest(piece)):
                found.append(grant.expression)
    return found


def _weigh_readme(
    where: str, file: Excerpt, repository: Repository, scan: Callable[[str], Scan], recipe: CodeLicences
) -> None:
    """A README alone allows nothing; one that contradicts what holds for its folder makes a case for a person."""
    section, before = texts.licence_section(file.whole or "")
    if not section or not texts.speaks_of_licences(section):
        return
    scanned = scan(section)
    grant = granted("readme", file.path, scanned, before, recipe)
    restricts = texts.restriction(scanned.rest(section))
    around = next((f for f in paths.folders(file.path) if f in repository.folders), None)
    if around is None:
        if grant.expression and not where:
            repository.weak = replace(grant, doubt="only a README names the licence")
        return
    root = repository.folders[around]
    if root.doubt or root.verdict(recipe).decision != ALLOWED:
        return
    strong = [e for e in grant.evidence if e.score >= recipe.min_score]
    against = [e for e in strong if judge(e.expression, recipe).decision == REJECTED]
    of_root = {kin(name) for name in families(root.expression)}
    agrees = any({kin(name) for name in families(e.expression)} & of_root for e in grant.evidence)
    if restricts or (against and len(against) == len(strong) and not agrees):
        said = repr(restricts) if restricts else against[0].expression
        repository.folders[where] = replace(
            root, doubt=f"{file.path} says {said}", evidence=(*root.evidence, *grant.evidence)
        )
