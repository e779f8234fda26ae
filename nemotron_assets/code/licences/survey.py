"""Survey a repository: read its licence texts, manifests, debian/copyright, REUSE.toml and READMEs.

The result says which licence holds for each folder, and for files that one of them names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import beside, debian, declarations, readmes, wording
from nemotron_assets.code.licences.declarations import Annotation
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.folder_rules import combine
from nemotron_assets.code.licences.folders import Folder
from nemotron_assets.code.licences.grants import Doubt, DoubtKind, Grant, verdict
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.licences.licence_texts import read_licence_text
from nemotron_assets.code.terms import paths
from nemotron_assets.code.terms.expressions import ALLOWED, REJECTED, judge, licences

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


@dataclass
class Repository:
    """What a repository says about licences, apart from the headers of its files. Folders are paths, "" is the root."""

    #: {folder: the grant for all files in it that no nearer folder has a grant for}
    folders: dict[str, Grant] = field(default_factory=dict)
    #: (folder, {stanza: its grant}) for each debian/copyright with stanzas
    stanzas: list[tuple[str, dict[debian.Stanza, Grant]]] = field(default_factory=list)
    #: annotations of REUSE.toml
    annotations: list[Annotation] = field(default_factory=list)
    #: the licence that only the README at the root names
    readme: Grant | None = None
    #: {path: grant} of licence texts that are those of a part, or have another licence than the accepted one
    part_texts: dict[str, Grant] = field(default_factory=dict)
    #: {folder: paths that its licence text names among parts under other licences}, in lower case
    named_parts: dict[str, frozenset[str]] = field(default_factory=dict)


def survey(files: list[Excerpt], scan: Scanner, recipe: CodeLicences) -> Repository:
    """Read everything in a repository that speaks for other files; `scan` asks the licence library about a text."""
    reading = _Reading(scan, recipe)
    for file in files:
        if file.whole is not None:
            reading.read(file)
    repository, folders = reading.repository, reading.folders
    _drop_pages_about_the_licence(folders)
    for where, file in (*reading.readmes.items(), *reading.notices):
        folders[where].choices += readmes.find_choices(file, scan, recipe)
    tree = frozenset(file.path.lower() for file in files)
    for where, folder in sorted(folders.items()):
        folder.tree = tree
        grant = combine(folder, recipe)
        if grant is None or (where and _has_both_sides(grant, repository.folders.get(""))):
            continue
        repository.folders[where] = grant
        if grant.own_words:
            repository.named_parts[where] = wording.find_paths(grant.own_words)
    _add_installed_packages(repository)
    for where, against in reading.against:
        _add_terms(where, against, repository, recipe)
    for where in sorted(reading.readmes):
        _add_readme(where, reading.readmes[where], repository, scan, recipe)
    return repository


class _Reading:
    """Reads the files of one repository, in any order, and sorts what they say by folder."""

    def __init__(self, scan: Scanner, recipe: CodeLicences) -> None:
        self.scan, self.recipe = scan, recipe
        self.repository = Repository()
        self.folders: dict[str, Folder] = {}
        self.readmes: dict[str, Excerpt] = {}
        self.notices: list[tuple[str, Excerpt]] = []
        #: (folder, grant of nothing with a doubt) for texts that speak against the licence of their folder
        self.against: list[tuple[str, Grant]] = []

    def read(self, file: Excerpt) -> None:
        where = paths.scope(file.path)
        folder = self.folders.setdefault(where, Folder())
        if paths.is_debian(file.path):
            self._read_debian(file, where, folder)
        elif paths.is_licence(file.path):
            self._read_licence_text(file, where, folder)
        elif paths.adds_terms(file.path):
            self._add_against(where, beside.read_terms(file, self.scan, self.recipe))
        elif paths.is_credits(file.path):
            self.notices.append((where, file))
            self._add_against(where, beside.read_notice(file, self.scan, self.recipe))
        elif kind := paths.manifest_kind(file.path):
            if kind == "reuse":
                self.repository.annotations += declarations.read_annotations(file, where)
            elif grant := declarations.read_manifest(kind, file, self.scan, self.recipe):
                folder.declared.append(grant)
        elif paths.is_readme(file.path):
            # Of several READMEs in a folder the one with the shortest name counts: README before README.de.
            self.readmes[where] = min(self.readmes.get(where, file), file, key=lambda readme: len(readme.path))

    def _add_against(self, where: str, grant: Grant | None) -> None:
        if grant is not None:
            self.against.append((where, grant))

    def _read_licence_text(self, file: Excerpt, where: str, folder: Folder) -> None:
        bundled, plain = paths.is_bundled_licence(file.path), paths.is_plain_licence(file.path)
        grant = read_licence_text(file.path, file.whole, self.scan, self.recipe, must_be_known=plain or bundled)
        if grant is None:
            if paths.is_other_licence(file.path):
                self._add_against(where, beside.read_terms(file, self.scan, self.recipe))
            return
        if bundled or _of_another_licence(grant, self.recipe):
            self.repository.part_texts[file.path] = grant
        if grant.expression or (plain and not paths.in_docs(file.path)):
            for part in paths.part_folders(file.path):
                self.folders.setdefault(part, Folder()).texts.append(grant)
            (folder.bundled if bundled else folder.texts).append(grant)

    def _read_debian(self, file: Excerpt, where: str, folder: Folder) -> None:
        stanzas = debian.parse_stanzas(file.whole or "")
        if stanzas is None:
            grant = declarations.read_free_form(file, self.scan, self.recipe)
            if grant.expression:
                folder.general.append(grant)
            return
        grants = {one: declarations.read_stanza(file.path, one, self.scan, self.recipe) for one in stanzas}
        self.repository.stanzas.append((where, grants))
        for stanza, grant in grants.items():
            if stanza.everything:
                folder.general = [grant]


def _of_another_licence(grant: Grant, recipe: CodeLicences) -> bool:
    """Whether a licence text begins with a licence that is not accepted, and leaves no choice: COPYING with the GPL
    beside the LICENSE that a program chose."""
    return judge(grant.first_terms, recipe).decision == REJECTED and " OR " not in grant.expression


def _has_both_sides(grant: Grant, root: Grant | None) -> bool:
    """Whether a folder only has the texts of both sides of the choice that the repository leaves."""
    same = root is not None and set(licences(grant.expression)) == set(licences(root.expression))
    return same and not grant.doubt and " OR " in root.expression


def _drop_pages_about_the_licence(folders: dict[str, Folder]) -> None:
    """Drop licence texts in folders of documentation that only repeat licences of the root: docs/license.rst is a page
    of the manual, not the licence of the manual."""
    root = {name for grant in folders.get("", Folder()).texts for name in licences(grant.expression)}
    if root:
        for where, folder in folders.items():
            if where and paths.in_docs(where + "/x"):
                folder.texts = [grant for grant in folder.texts if not set(licences(grant.expression)) <= root]


def _add_installed_packages(repository: Repository) -> None:
    """Make the licence in six-1.16.0.dist-info hold for six.py or six/ beside it."""
    for where, grant in list(repository.folders.items()):
        if (package := paths.installed_package(where)) is not None:
            for place in (package, f"{package}.py") if package else ("",):
                repository.folders.setdefault(place, grant)


def _add_terms(where: str, against: Grant, repository: Repository, recipe: CodeLicences) -> None:
    """Add the doubt of a text that speaks against the accepted licence around its folder."""
    around = next((folder for folder in (where, *paths.folders(where)) if folder in repository.folders), None)
    if around is not None and verdict(repository.folders[around], recipe) == ALLOWED:
        grant = repository.folders[around]
        evidence = (*grant.evidence, *against.evidence)
        repository.folders[where] = replace(grant, doubt=against.doubt, evidence=evidence)


def _add_readme(where: str, file: Excerpt, repository: Repository, scan: Scanner, recipe: CodeLicences) -> None:
    """Add what the README of a folder says: nothing but a hint without a licence around it, a doubt if it contradicts
    the licence around it."""
    around = next((folder for folder in paths.folders(file.path) if folder in repository.folders), None)
    if around is None:
        grant = readmes.read_licence(file, scan, recipe)
        if grant.expression and not where:
            repository.readme = replace(grant, doubt=Doubt(DoubtKind.README_ALONE, "only a README names the licence"))
        return
    contradicted = readmes.contradict(file, repository.folders[around], scan, recipe)
    if contradicted is not None:
        repository.folders[where] = contradicted
