"""Gather the facts about one folder that `folder_rules` combines: licence texts, manifests and debian/copyright."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.grants import (
    MENTION,
    PUBLIC_DOMAIN,
    Doubt,
    Evidence,
    Grant,
    all_evidence,
    families,
    first_doubt,
    without_version,
)
from nemotron_assets.code.terms import paths
from nemotron_assets.code.terms.expressions import (
    ALLOWED,
    category,
    drop_non_licences,
    join_all,
    judge,
    licences,
)

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Score from which terms count as those of a licence that a manifest names, although words of them are missing.
_CONFIRMED = 70
#: Length, in words, up to which a rule of the library is a paragraph about a file ("lib/a.c is free software ...").
_PARAGRAPH = 150
#: Categories of licences that parts of a work may have without a doubt about the rest of the work. Copyleft is not one
#: of them: an author who puts the GPL's text behind another licence may mean the whole work.
_PERMISSIVE = frozenset({"Permissive", "Public Domain"})
_OF_PARTS = _PERMISSIVE | {"Copyleft Limited"}


@dataclass
class Folder:
    """What was found in one folder that speaks for all files in it."""

    texts: list[Grant] = field(default_factory=list)
    #: Licence texts of bundled works and of parts: LICENSES/other.txt, LICENSE-docs.
    bundled: list[Grant] = field(default_factory=list)
    #: Licences that manifests declare.
    declared: list[Grant] = field(default_factory=list)
    #: What debian/copyright says about all files.
    general: list[Grant] = field(default_factory=list)
    #: Choices between licences that the README states: "MIT OR GPL-2.0-only".
    choices: list[str] = field(default_factory=list)
    #: All paths of the repository, in lower case.
    tree: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FolderCase:
    """The facts about one folder that the rules look at."""

    folder: Folder
    recipe: CodeLicences

    @cached_property
    def texts(self) -> list[Grant]:
        """The licence texts of the folder itself; if it has none, those of bundled works."""
        return _without_mentions(self.folder.texts) or self.folder.bundled

    @cached_property
    def bundled(self) -> list[Grant]:
        """The licence texts of bundled works beside those of the folder itself."""
        return self.folder.bundled if self.folder.texts else []

    @cached_property
    def known(self) -> list[Grant]:
        return [grant for grant in self.texts if grant.expression]

    @cached_property
    def unknown(self) -> list[Grant]:
        return [grant for grant in self.texts if not grant.expression]

    @cached_property
    def declared(self) -> list[Grant]:
        """The known licences that manifests and debian/copyright declare."""
        return [grant for grant in [*self.folder.declared, *self.folder.general] if grant.expression]

    @cached_property
    def declared_expressions(self) -> list[str]:
        return [drop_non_licences(grant.expression) for grant in self.declared]

    @cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        return all_evidence([*self.known, *self.unknown, *self.bundled, *self.declared])

    @cached_property
    def expression(self) -> str:
        """The licences of all texts together."""
        bundled = [grant for grant in self.bundled if grant.expression]
        return join_all(grant.expression for grant in [*self.known, *bundled])

    @cached_property
    def doubt(self) -> Doubt | None:
        """The first doubt about a text."""
        bundled = [grant for grant in self.bundled if grant.expression]
        return first_doubt([*self.known, *self.unknown]) or first_doubt(bundled)

    @cached_property
    def accepted(self) -> bool:
        """Whether the recipe accepts the licences of all texts together."""
        return judge(self.expression, self.recipe).decision == ALLOWED

    @cached_property
    def choice(self) -> str:
        """The choice whose sides are the licences of the texts, as a manifest, a text or the README states it; empty if
        nothing states one."""
        in_texts = [grant.expression for grant in self.known if " OR " in grant.expression and not grant.doubt]
        stated = [*self.declared_expressions, *in_texts, *self.folder.choices]
        choices = (one for one in stated if " OR " in one and _offers(one, self.expression, self.known))
        return next(choices, "")

    @cached_property
    def opposing(self) -> Grant | None:
        """A declared licence that is not accepted, though the texts are. "Public domain" opposes nothing."""
        opposing = [one for one in self.declared if judge(one.expression, self.recipe).decision != ALLOWED]
        opposing = [one for one in opposing if not set(licences(one.expression)) <= PUBLIC_DOMAIN]
        return opposing[0] if opposing and self.accepted else None

    @cached_property
    def main_licence(self) -> Grant | None:
        """The licence of the work, if the texts also have those of bundled parts; None if all of them may apply to all.

        A manifest must name it, every text must begin with its terms, and parts must be allowed to have the other
        licences. Without a manifest the text itself must announce the parts, and their licences must be permissive.
        """
        if not self.recipe.bundled_in_texts or first_doubt(self.declared):
            return None
        main, categories = join_all(self.declared_expressions), _OF_PARTS
        if not self.declared:
            main, categories = (self.known[0].first_terms if self.known else ""), _PERMISSIVE
            announced = all(grant.announces_parts for grant in self.known)
            if not main or any(grant.doubt for grant in self.bundled) or not announced:
                return None
        if judge(main, self.recipe).decision != ALLOWED:
            return None
        others = [grant for grant in self.known if not _begins_with(grant, main)]
        if others and (len(others) == len(self.known) or not all(map(_is_of_a_named_part, others))):
            return None
        texts = [grant for grant in [*self.known, *self.bundled] if grant not in others]
        for grant in texts:
            parts = [found for found in grant.licences_found if not _same_licence(found[0], main)]
            if self._names_files(grant.parts) and all(length <= _PARAGRAPH for _, length in parts):
                continue  # it says nothing of the other files
            if not all(_may_be_of_a_part(expression, length, categories) for expression, length in parts):
                return None
        parts = [found for grant in texts for found in grant.licences_found if not _same_licence(found[0], main)]
        own_words = "\n".join(grant.own_words for grant in [*self.known, *self.bundled]) if parts else ""
        return Grant(main, self.evidence, own_words=own_words)

    def _names_files(self, parts: frozenset[str]) -> bool:
        """Whether the repository has a file or folder at a path that a licence text names as a part."""
        ends = [f"/{path}" for path in self.folder.tree] if parts else []
        return any(end.endswith(f"/{part}") or f"/{part}/" in end for end in ends for part in parts)

    def grant_of_declarations(self) -> Grant:
        return Grant(join_all(self.declared_expressions), all_evidence(self.declared), first_doubt(self.declared))

    def grant_of_texts(self) -> Grant:
        first_terms = self.known[0].first_terms if len(self.known) == 1 else ""
        return Grant(self.expression, self.evidence, self.doubt, first_terms=first_terms)


def _without_mentions(texts: list[Grant]) -> list[Grant]:
    """Licence texts without those that only mention a licence whose terms another text has: a COPYRIGHT that says
    "released under the BSD license, see LICENSE"."""
    stated = {name for grant in texts if grant.first_terms and not grant.doubt for name in families(grant.first_terms)}

    def only_mentions(grant: Grant) -> bool:
        short = all(length <= MENTION for _, length in grant.licences_found)
        weak = grant.doubt is not None and grant.doubt.weak_match
        return weak and short and families(grant.expression) <= stated

    return [grant for grant in texts if not only_mentions(grant)]


def _offers(choice: str, expression: str, texts: list[Grant]) -> bool:
    """Whether a choice offers all licences of the texts. A mention may get the version wrong, terms may not."""
    offered = families(choice)
    if families(expression) <= offered:
        return True
    terms = {
        name for grant in texts for said, length in grant.licences_found if length > MENTION for name in families(said)
    }
    named = {without_version(name) for name in families(expression)}
    return bool(terms) and terms <= offered and named <= {without_version(name) for name in offered}


def _begins_with(text: Grant, declared: str) -> bool:
    """Whether a licence text begins with the terms of a declared licence, of which some words may be missing."""
    if not _same_licence(text.first_terms, declared):
        return False
    return not text.doubt or (text.doubt.weak_match and text.first_terms_score >= _CONFIRMED)


def _is_of_a_named_part(text: Grant) -> bool:
    """Whether the name of a text names its licence, and the licence is permissive or one of fonts: OFL-License.txt."""
    if text.doubt or not paths.names_a_licence(text.evidence[0].path):
        return False
    fonts = text.first_terms.startswith(("OFL-", "Ubuntu-font-"))
    return fonts or all(_may_be_of_a_part(said, length, _PERMISSIVE) for said, length in text.licences_found)


def _same_licence(terms: str, declared: str) -> bool:
    """Whether a declared licence is the licence of some terms. The classifier "BSD License" stands for either BSD
    licence, and PSF-2.0 for Python's licence, whose last part it is."""
    names = {"Python-2.0": "PSF-2.0", "Python-2.0.1": "PSF-2.0", "BSD-2-Clause": "BSD-3-Clause"}
    of_terms, of_declared = ({names.get(name, name) for name in families(e)} for e in (terms, declared))
    return bool(of_terms) and of_terms <= of_declared


def _may_be_of_a_part(expression: str, length: int, categories: frozenset[str]) -> bool:
    """Whether a licence found in a text may cover only a part of the folder: its category is one of `categories`.
    Beside a manifest, a text of at most MENTION words that names a copyleft licence may do so too."""
    found = {category(name) for name in licences(expression)}
    return found <= categories or (categories == _OF_PARTS and found <= {*categories, "Copyleft"} and length <= MENTION)
