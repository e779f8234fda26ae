"""Gather the facts about one file that the licence rules look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.excerpts import Excerpt, speaks_for_others
from nemotron_assets.code.licences.grants import NO_GRANT, Doubt, Evidence, Grant, families, verdict
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.licences.statements import adds_nothing, find_around, find_named, in_first_comment, read_own
from nemotron_assets.code.licences.survey import Repository
from nemotron_assets.code.terms import paths
from nemotron_assets.code.terms.expressions import (
    ALLOWED,
    REJECTED,
    REVIEW,
    binds_the_whole,
    category,
    join_all,
    judge,
    licences,
)

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

FILE, FOLDER, REPOSITORY, NONE = "file", "folder", "repository", "none"


@dataclass(frozen=True)
class Basis:
    """What a decision rests on: an SPDX `expression` (empty if no licence is known), the `scope` that decides (file,
    folder, repository or none), and the evidence, the deciding one first."""

    expression: str
    scope: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Case:
    """The facts about one file that the rules look at.

    Three statements can hold for it: `own` (its header, its sidecar, or its own text if it is the licence text of a
    part), `named` (an entry of debian/copyright or REUSE.toml for exactly this file) and `around` (the grant of the
    nearest folder that has one; None if there is none).
    """

    file: Excerpt
    own: Grant
    has_sidecar: bool
    named: Grant | None
    #: Whether REUSE.toml says that `named` beats the file's own header.
    named_overrides: bool
    around: Grant | None
    #: The folder of `around`, "" for the root.
    folder: str
    #: The folder of third-party code above the file, if no licence in it holds for the file but the repository has one.
    vendored_in: str
    repository: Repository
    recipe: CodeLicences

    # -- which statement decides --------------------------------------------------------------------------------------

    @cached_property
    def named_decides(self) -> bool:
        """Whether the entry in debian/copyright or REUSE.toml decides: it overrides the file, or the file has no header
        and no more than a mention of an accepted licence."""
        if self.named is None:
            return False
        return self.named_overrides or not self.own.expression or self.only_mentioned

    @cached_property
    def own_decides(self) -> bool:
        """Whether the file's own statement decides. A mention of an accepted licence does not decide, if the licence
        text names the file as a part, or the licence around the file is not accepted."""
        if self.named_decides or not self.own.expression:
            return False
        in_question = self.is_named_part or (self.around is not None and not self.around_is_accepted)
        return not (self.only_mentioned and in_question)

    @cached_property
    def statement(self) -> Grant | None:
        """The statement about exactly this file that decides; None if the folder, or nothing, decides."""
        if self.named_decides:
            return self.named
        return self.own if self.own_decides else None

    @cached_property
    def only_mentioned(self) -> bool:
        """Whether the file only mentions an accepted licence, outside of its first comment and without a sidecar:
        `license="MIT"` in setup.py."""
        if not self.own.expression or self.has_sidecar or in_first_comment(self.file, self.own):
            return False
        return judge(self.own.expression, self.recipe).decision == ALLOWED

    @cached_property
    def around_is_accepted(self) -> bool:
        return self.around is not None and verdict(self.around, self.recipe) == ALLOWED

    @cached_property
    def is_named_part(self) -> bool:
        """Whether the licence text of the folder names the file, or a folder above it, among parts that may be under
        other licences."""
        path = dirname(self.file.path) if speaks_for_others(self.file) else self.file.path
        named = self.repository.named_parts.get(self.folder, frozenset())
        inside = (path.removeprefix(self.folder + "/") if self.folder else path).lower().split("/")
        # "src/greenlet/platform" names all files in that folder, "thread.c" every file of that name.
        ends = ("/".join(inside[start:stop]) for stop in range(1, len(inside) + 1) for start in range(stop))
        return any(end in named for end in ends)

    # -- what speaks against it ---------------------------------------------------------------------------------------

    @cached_property
    def doubt(self) -> Doubt | None:
        """The doubt that makes a person look at the file; None if no doubt was found."""
        return self._doubt_and_basis[0]

    @cached_property
    def _doubt_and_basis(self) -> tuple[Doubt | None, Basis]:
        """`doubt`, and what a decision because of it rests on."""
        if self.statement is not None:
            return self._doubt_about_statement(self.statement)
        if self.own.doubt and self.around is None and self.own.evidence:
            return self.own.doubt, Basis("", FILE, self.own.evidence)
        if self.around is None:
            return None, self.by_nothing()
        if self.own.doubt and self.around_is_accepted:
            return self.own.doubt, Basis(self.around.expression, FILE, (*self.own.evidence, *self.around.evidence))
        return self._doubt_about_folder(self.around)

    def _doubt_about_statement(self, statement: Grant) -> tuple[Doubt | None, Basis]:
        """A doubt does not matter if the recipe's list sends the licence to a person anyway (a LicenseRef of Acme)."""
        decision = judge(statement.expression, self.recipe).decision
        if statement.expression and decision == REVIEW:
            return None, self.by_statement()
        return statement.doubt, self.by_statement_and_work() if decision == REJECTED else self.by_statement()

    def _doubt_about_folder(self, around: Grant) -> tuple[Doubt | None, Basis]:
        """A doubt does not matter about a licence at the root that is not accepted: the repository stays rejected. In a
        folder it does, because the licence above the folder may be the one that holds."""
        decision = judge(around.expression, self.recipe).decision
        matters = decision == ALLOWED or (decision == REJECTED and self.folder) or not around.expression
        return around.doubt if matters else None, self.by_folder()

    @cached_property
    def larger_work(self) -> Grant | None:
        """The work around an accepted file or folder, if its licence also binds the file: a program under the GPL
        around a library under MIT. None if no work around it binds the file."""
        grant, scope = self._part
        if grant is None or grant.doubt or judge(grant.expression, self.recipe).decision != ALLOWED:
            return None
        beside = (self.around,) if scope == FILE else ()
        works = (work for work in (*beside, *self.enclosing, self.repository.readme) if work is not None)
        return next((work for work in works if _binds(work, grant, self.file, self.recipe)), None)

    @cached_property
    def _part(self) -> tuple[Grant | None, str]:
        """The grant that may cover only a part of a larger work, with its scope: FILE if the file states the grant,
        FOLDER if a folder below the root does."""
        if self.statement is not None:
            return self.statement, FILE
        return (self.around, FOLDER) if self.folder else (None, NONE)

    @cached_property
    def doubtful_text_above(self) -> Grant | None:
        """The doubtful grant of a folder above, if the nearest folder only has a manifest with the same licence."""
        around = self.around
        if around is None or any(one.kind != "manifest" for one in around.evidence):
            return None
        above = (*self.enclosing, self.repository.readme)
        same = (one for one in above if one and families(around.expression) <= families(one.expression))
        return next((grant for grant in same if grant.doubt), None)

    @cached_property
    def enclosing(self) -> list[Grant]:
        """The grants of all folders above the file, the nearest first."""
        folders = self.repository.folders
        return [folders[folder] for folder in paths.folders(self.file.path) if folder in folders]

    # -- what the decision rests on -----------------------------------------------------------------------------------

    def by_doubt(self) -> Basis:
        """What speaks against the file."""
        return self._doubt_and_basis[1]

    def by_statement(self) -> Basis:
        """The statement about exactly the file."""
        return Basis(self.statement.expression, FILE, self.statement.evidence)

    def by_statement_and_work(self) -> Basis:
        """The statement about exactly the file, with the evidence of the licence around it."""
        around = self.around.evidence if self.around is not None else ()
        return Basis(self.statement.expression, FILE, (*self.statement.evidence, *around))

    def by_folder(self) -> Basis:
        """The licence of the nearest folder, or of the repository if that is the root."""
        return Basis(self.around.expression, FOLDER if self.folder else REPOSITORY, self.around.evidence)

    def by_root(self) -> Basis:
        """No licence, with the evidence of the licence at the root, which does not hold for the file."""
        return Basis("", NONE, self.repository.folders.get("", NO_GRANT).evidence)

    def by_readme(self) -> Basis:
        """The licence that only the README at the root names."""
        return Basis(self.repository.readme.expression, REPOSITORY, self.repository.readme.evidence)

    def by_nothing(self) -> Basis:
        """No licence and no evidence."""
        return Basis("", NONE)


def build_case(
    file: Excerpt, sidecar: Excerpt | None, repository: Repository, scan: Scanner, recipe: CodeLicences
) -> Case:
    """The facts about one file of a surveyed repository. `sidecar` is the file x.png.license beside x.png."""
    around, folder, vendored_in = find_around(file.path, repository)
    own = read_own(file, sidecar, repository, scan, recipe)
    accepted = around is not None and verdict(around, recipe) == ALLOWED
    if own.expression and accepted and adds_nothing(own, around, recipe):
        own = NO_GRANT
    named, overrides = find_named(file.path, repository)
    return Case(
        file=file,
        own=own,
        has_sidecar=sidecar is not None,
        named=named,
        named_overrides=overrides,
        around=around,
        folder=folder,
        vendored_in=vendored_in,
        repository=repository,
        recipe=recipe,
    )


def _binds(work: Grant, part: Grant, file: Excerpt, recipe: CodeLicences) -> bool:
    """Whether the licence of a work also binds an accepted part of it, as the GPL binds a file under MIT in a program
    under the GPL. The recipe's `own_licence_in_rejected` says for which licences."""
    mode = recipe.own_licence_in_rejected
    expression = join_all([work.expression, work.manifest_says])
    if mode == "allowed" or judge(expression, recipe).decision != REJECTED:
        return False
    rejected = [name for name in licences(expression) if judge(name, recipe).decision == REJECTED]
    if " OR " in part.expression and families(expression) <= families(part.expression):
        # The folder has the texts of the choice that the part leaves. Other files may still be under the GPL alone.
        return any(category(name) == "Copyleft" for name in rejected)
    # A text that begins with the licence of the part, or with accepted terms, and goes on with permissive licences does
    # not bind a file with a header: those licences are of bundled parts.
    first = work.first_terms
    begins = families(part.expression) <= families(first) or judge(first, recipe).decision == ALLOWED
    permissive = all(category(name) in ("Permissive", "Public Domain") for name in rejected)
    if first and begins and permissive and in_first_comment(file, part):
        return False
    return mode == "review" or binds_the_whole(expression, recipe)
