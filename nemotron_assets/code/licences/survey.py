"""What a repository says about licences beside the headers of its files: licence texts, manifests, debian/copyright,
REUSE, READMEs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import debian, manifests, paths, texts, wording
from nemotron_assets.code.licences.expressions import ALLOWED, REJECTED, judge, licences
from nemotron_assets.code.licences.folders import Folder, combine
from nemotron_assets.code.licences.grants import Evidence, Grant, chosen, families, granted, kin, licence_file
from nemotron_assets.code.licences.library import Scan

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


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


def survey(files: list[Excerpt], scan: Callable[[str], Scan], recipe: CodeLicences) -> Repository:
    """Read licence texts, manifests, debian/copyright, REUSE and READMEs."""
    repository, folders = Repository(), {}
    readmes: dict[str, Excerpt] = {}
    for file in files:
        if file.whole is None:
            continue
        where = paths.scope(file.path)
        folder = folders.setdefault(where, Folder())
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
                    folders.setdefault(part, Folder()).texts.append(grant)
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
        grant = combine(folder, recipe)
        if grant is None or (where and _repeats_a_choice(grant, repository.folders.get(""))):
            continue
        repository.folders[where] = grant
        if grant.about:
            repository.parts[where] = wording.named_files(grant.about)
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


def _leave_out_pages(folders: dict[str, Folder]) -> None:
    """A page of the manual about the repository's licence is not the licence of the manual's folder."""
    root = {name for grant in folders.get("", Folder()).texts for name in licences(grant.expression)}
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
    if not read.doubt and (words := wording.restriction(scanned.rest(declared.words))):
        return replace(read, doubt=f"the manifest's licence has words of its own: {words!r}")
    return read


def _read_debian(
    file: Excerpt,
    where: str,
    folder: Folder,
    repository: Repository,
    scan: Callable[[str], Scan],
    recipe: CodeLicences,
) -> None:
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
    if stanza.text.strip() and not doubts and wording.restriction(stanza.text):
        words = wording.restriction(scan(stanza.text).rest(stanza.text))
        doubts.extend([f"the licence text has words of its own: {words!r}"] if words else [])
    line = Evidence("debian_copyright", path, stanza.start, stanza.end, expression or stanza.name)
    return Grant(expression, (line,), "; ".join(doubts) or ("" if expression else "the licence is not named"))


def _read_reuse(file: Excerpt, where: str, repository: Repository) -> None:
    for patterns, expression, override in manifests.reuse(file.whole or ""):
        line = Evidence("reuse", file.path, 1, (file.whole or "").count("\n") + 1, expression)
        for pattern in patterns:
            repository.named.append((where, pattern, override, Grant(expression, (line,))))


# -- READMEs -----------------------------------------------------------------------------------------------------------


def _choices(file: Excerpt, scan: Callable[[str], Scan], recipe: CodeLicences) -> list[str]:
    """The choices between licences that a README states at its beginning or under a heading "License"."""
    section, _ = texts.licence_section(file.whole or "")
    found = []
    for piece in (section, *(piece for piece, _ in file.pieces)):
        if piece and texts.speaks_of_licences(piece):
            scanned = scan(piece)
            grant = chosen(granted("readme", file.path, scanned, 0, recipe), piece, scanned)
            if " OR " in grant.expression and not grant.doubt and not wording.restriction(scanned.rest(piece)):
                found.append(grant.expression)
    return found


def _weigh_readme(
    where: str, file: Excerpt, repository: Repository, scan: Callable[[str], Scan], recipe: CodeLicences
) -> None:
    """A README alone allows nothing; one that contradicts what holds for its folder makes a case for a person."""
    around = next((f for f in paths.folders(file.path) if f in repository.folders), None)
    section, before = texts.licence_section(file.whole or "")
    if around is None and not section and file.pieces:  # "This is free software ..." somewhere at its beginning
        section, before = file.pieces[0]
    if not section or not texts.speaks_of_licences(section):
        return
    scanned = scan(section)
    grant = granted("readme", file.path, scanned, before, recipe)
    restricts = wording.restriction(scanned.rest(section))
    if around is None:
        if grant.expression and not where:
            repository.weak = replace(grant, doubt="only a README names the licence")
        return
    root = repository.folders[around]
    if root.doubt or root.verdict(recipe).decision != ALLOWED:
        return
    strong = [e for e in grant.evidence if e.score >= recipe.min_score]
    lines = section.splitlines()
    strong = [e for e in strong if not paths.names_a_part(lines[e.start - before - 1])]  # "Logo: CC-BY-SA"
    against = [e for e in strong if judge(e.expression, recipe).decision == REJECTED]
    of_root = {kin(name) for name in families(root.expression)}
    agrees = any({kin(name) for name in families(e.expression)} & of_root for e in grant.evidence)
    if restricts or (against and len(against) == len(strong) and not agrees):
        said = repr(restricts) if restricts else against[0].expression
        repository.folders[where] = replace(
            root, doubt=f"{file.path} says {said}", evidence=(*root.evidence, *grant.evidence)
        )
