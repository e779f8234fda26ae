"""Combine the licence texts, manifests and debian/copyright of one folder into one grant, by an ordered list of rules.

The first rule of `FOLDER_RULES` whose condition holds makes the grant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import paths
from nemotron_assets.code.licences.expressions import (
    ALLOWED,
    category,
    drop_non_licences,
    join_all,
    judge,
    licences,
)
from nemotron_assets.code.licences.grants import (
    MENTION,
    PUBLIC_DOMAIN,
    Doubt,
    DoubtKind,
    Evidence,
    Grant,
    all_evidence,
    families,
    first_doubt,
    without_version,
)

if TYPE_CHECKING:
    from nemotron_assets.recipe.code_licences import CodeLicences

#: Score from which terms count as those of a licence that a manifest names, although words of them are missing.
_CONFIRMED = 70
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
        parts = [found for grant in texts for found in grant.licences_found if not _same_licence(found[0], main)]
        if not all(_may_be_of_a_part(expression, length, categories) for expression, length in parts):
            return None
        own_words = "\n".join(grant.own_words for grant in [*self.known, *self.bundled]) if parts else ""
        return Grant(main, self.evidence, own_words=own_words)

    def grant_of_declarations(self) -> Grant:
        return Grant(join_all(self.declared_expressions), all_evidence(self.declared), first_doubt(self.declared))

    def grant_of_texts(self) -> Grant:
        first_terms = self.known[0].first_terms if len(self.known) == 1 else ""
        return Grant(self.expression, self.evidence, self.doubt, first_terms=first_terms)


@dataclass(frozen=True)
class FolderRule:
    """A rule that combines what a folder says: if `when` holds, `grant` makes the grant of the folder."""

    name: str
    trees: str
    when: Callable[[FolderCase], bool]
    grant: Callable[[FolderCase], Grant]


def _rule(grant: Callable[[FolderCase], Grant]) -> Callable[[Callable[[FolderCase], bool]], FolderRule]:
    """Makes a rule of its condition; the docstring of the condition says for which kind of tree the rule is."""
    return lambda when: FolderRule(when.__name__, when.__doc__ or "", when, grant)


def combine(folder: Folder, recipe: CodeLicences) -> Grant | None:
    """What the texts, manifests and debian/copyright of a folder say together; None if it has none of them."""
    if not any((folder.texts, folder.bundled, folder.declared, folder.general)):
        return None
    case = FolderCase(folder, recipe)
    rule = next(rule for rule in FOLDER_RULES if rule.when(case))
    return replace(rule.grant(case), combined_by=rule.name)


# -- rules without a licence text --------------------------------------------------------------------------------------


@_rule(lambda case: [*case.folder.declared, *case.folder.general][0])
def unknown_declaration(case: FolderCase) -> bool:
    """An npm package without a licence text whose package.json says "license": "Frobnicate 3"."""
    return not case.texts and not case.declared


def _not_enough(case: FolderCase) -> Grant:
    doubt = Doubt(DoubtKind.MANIFEST_NOT_ENOUGH, "only a manifest names the licence")
    return replace(case.grant_of_declarations(), doubt=doubt)


@_rule(_not_enough)
def manifest_is_not_enough(case: FolderCase) -> bool:
    """A Rust crate with a Cargo.toml and no licence text, under a recipe with `manifests_decide: false`."""
    return not case.texts and not case.folder.general and not case.recipe.manifests_decide


@_rule(FolderCase.grant_of_declarations)
def declaration_without_text(case: FolderCase) -> bool:
    """A Rust crate with license = "MIT/Apache-2.0" in Cargo.toml, or a Debian source package with "Files: *", and no
    licence text."""
    return not case.texts


# -- rules with licence texts ------------------------------------------------------------------------------------------


@_rule(lambda case: Grant(join_all(case.declared_expressions), case.evidence, first_doubt(case.unknown)))
def unknown_texts(case: FolderCase) -> bool:
    """A company's package whose LICENSE is its own text ("All of this belongs to Acme"), whatever setup.py says."""
    return not case.known


@_rule(lambda case: Grant(case.choice, case.evidence, case.doubt))
def choice_between_texts(case: FolderCase) -> bool:
    """A Rust crate with LICENSE-MIT and LICENSE-APACHE whose Cargo.toml says MIT OR Apache-2.0."""
    return bool(case.choice) and not any(
        _denies(declared, case.choice, case.recipe) for declared in case.declared_expressions
    )


@_rule(lambda case: case.main_licence)
def text_with_bundled_parts(case: FolderCase) -> bool:
    """A Python package under BSD-3-Clause whose LICENSE goes on with the licences of the libraries in its wheel."""
    return bool(case.doubt or not case.accepted) and not case.unknown and case.main_licence is not None


def _contradicted(case: FolderCase) -> Grant:
    path, declared = case.opposing.evidence[0].path, case.opposing.expression
    reason = f"{path} says {declared}, the licence text says {case.expression}"
    doubt = case.doubt or Doubt(DoubtKind.MANIFEST_CONTRADICTS_TEXT, reason)
    return replace(case.grant_of_texts(), doubt=doubt, manifest_says=declared)


@_rule(_contradicted)
def text_against_declaration(case: FolderCase) -> bool:
    """An npm package with the text of MIT in LICENSE and "license": "GPL-3.0-or-later" in package.json."""
    return case.opposing is not None


@_rule(FolderCase.grant_of_texts)
def all_texts_apply(case: FolderCase) -> bool:
    """A program with one LICENSE; or one with LICENSE and COPYING, of which nothing says that they are a choice."""
    return True


FOLDER_RULES: tuple[FolderRule, ...] = (
    unknown_declaration,
    manifest_is_not_enough,
    declaration_without_text,
    unknown_texts,
    choice_between_texts,
    text_with_bundled_parts,
    text_against_declaration,
    all_texts_apply,
)


# -- comparing texts and declarations ----------------------------------------------------------------------------------


def _without_mentions(texts: list[Grant]) -> list[Grant]:
    """Licence texts without those that only mention a licence whose terms another text has: a COPYRIGHT that says
    "released under the BSD license, see LICENSE"."""
    stated = {name for grant in texts if grant.first_terms and not grant.doubt for name in families(grant.first_terms)}

    def only_mentions(grant: Grant) -> bool:
        short = all(length <= MENTION for _, length in grant.licences_found)
        weak = grant.doubt is not None and grant.doubt.weak_match
        return weak and short and families(grant.expression) <= stated

    return [grant for grant in texts if not only_mentions(grant)]


def _denies(declared: str, choice: str, recipe: CodeLicences) -> bool:
    """Whether a manifest denies the choice that a text leaves: it names a licence that is not accepted, and does not
    list both sides of the choice, as Python's classifiers do."""
    names = set(licences(declared))
    offered = {without_version(name) for name in licences(choice)}
    lists_sides = len(names) > 1 and {without_version(name) for name in names} <= offered
    return judge(declared, recipe).decision != ALLOWED and not lists_sides


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
    """Whether a licence found in a text may be that of a part: its category is one of `categories`, or, beside a
    manifest, it is a mention of a copyleft licence."""
    found = {category(name) for name in licences(expression)}
    return found <= categories or (categories == _OF_PARTS and found <= {*categories, "Copyleft"} and length <= MENTION)
