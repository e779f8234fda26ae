"""The rules that combine what speaks for one folder into one grant, in their order: the first that holds makes it.

Each rule is made of its condition; the docstring of the condition says for which kind of repository the rule is.
`FOLDER_RULES`, at the end, is the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.folders import Folder, FolderCase
from nemotron_assets.code.licences.grants import Doubt, DoubtKind, Grant, first_doubt, without_version
from nemotron_assets.code.terms.expressions import ALLOWED, join_all, judge, licences

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


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


def _denies(declared: str, choice: str, recipe: CodeLicences) -> bool:
    """Whether a manifest denies the choice that a text leaves: it names a licence that is not accepted, and does not
    list both sides of the choice, as Python's classifiers do."""
    names = set(licences(declared))
    offered = {without_version(name) for name in licences(choice)}
    lists_sides = len(names) > 1 and {without_version(name) for name in names} <= offered
    return judge(declared, recipe).decision != ALLOWED and not lists_sides


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
