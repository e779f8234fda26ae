"""The rules that decide about a file, in their order: the first whose condition holds decides.

What stands nearest to the file decides: an entry that names the file, or its own header, then the licence of the
nearest folder above it. `Case` finds that statement. The rules about doubts come first: they are for files whose
statement somebody must check, because something speaks against it.

Each rule is made of its condition; the docstring of the condition says for which kind of repository the rule is.
`RULES`, at the end, is the list. After it, `decide.nothing_but_licence_texts` looks at the repository as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nemotron_assets.code.licences.case import Basis, Case
from nemotron_assets.code.licences.folder_rules import choice_between_texts, text_with_bundled_parts
from nemotron_assets.code.licences.grants import DoubtKind
from nemotron_assets.code.terms.expressions import REJECTED, REVIEW, judge


@dataclass(frozen=True)
class Rule:
    """A rule about a file: if `when` holds, `verdict` (allowed, rejected or review) and `reason` are the decision, and
    `basis` is what it rests on. `trees` says for which kind of repository the rule is."""

    name: str
    trees: str
    when: Callable[[Case], bool]
    verdict: Callable[[Case], str]
    reason: Callable[[Case], str]
    basis: Callable[[Case], Basis]


def _rule(
    verdict: str | Callable[[Case], str], reason: str | Callable[[Case], str], basis: Callable[[Case], Basis]
) -> Callable[[Callable[[Case], bool]], Rule]:
    """Makes a rule of its condition. A verdict or reason that is the same for every file may be given as it is."""

    def make(when: Callable[[Case], bool]) -> Rule:
        verdict_of = verdict if callable(verdict) else lambda case: verdict
        reason_of = reason if callable(reason) else lambda case: reason
        return Rule(when.__name__, when.__doc__ or "", when, verdict_of, reason_of, basis)

    return make


def _by_the_list(basis: Callable[[Case], Basis]) -> Callable[[Callable[[Case], bool]], Rule]:
    """Makes a rule whose verdict is that of the recipe's list of accepted licences."""
    return _rule(
        lambda case: judge(basis(case).expression, case.recipe).decision,
        lambda case: judge(basis(case).expression, case.recipe).why,
        basis,
    )


def _by_the_folder(when: Callable[[Case], bool]) -> Rule:
    """Makes a rule whose verdict is that of the list about the nearest folder. The reason names the folder rule, if it
    did not simply join all licences: "MIT (text_with_bundled_parts)"."""

    def reason(case: Case) -> str:
        found, combined_by = judge(case.around.expression, case.recipe).why, case.around.combined_by
        noteworthy = combined_by in (choice_between_texts.name, text_with_bundled_parts.name)
        return f"{found} ({combined_by})" if noteworthy else found

    return replace(_by_the_list(Case.by_folder)(when), reason=reason)


def first_rule(case: Case) -> Rule:
    """The rule that decides about a file."""
    return next(rule for rule in RULES if rule.when(case))


# -- doubts: somebody must look ----------------------------------------------------------------------------------------

_doubted = _rule(REVIEW, lambda case: case.doubt.reason, Case.by_doubt)


def _doubted_because(case: Case, kind: DoubtKind) -> bool:
    return case.doubt is not None and case.doubt.kind == kind


@_doubted
def library_gave_no_answer(case: Case) -> bool:
    """A page of a registry with so many licences in its first comment that the library does not finish in time."""
    return _doubted_because(case, DoubtKind.LIBRARY_GAVE_NO_ANSWER)


@_doubted
def nearly_the_terms(case: Case) -> bool:
    """A program whose LICENSE lacks a part of the BSD licence, or has a wording that the library does not know."""
    return _doubted_because(case, DoubtKind.NEARLY_THE_TERMS)


@_doubted
def changed_terms(case: Case) -> bool:
    """A program whose LICENSE is MIT with "for a fee" in the place of "free of charge"."""
    return _doubted_because(case, DoubtKind.CHANGED_TERMS)


@_doubted
def restriction_beside_licence(case: Case) -> bool:
    """A research prototype under MIT with "may only be used for academic research" above the terms, or a file of such a
    program with "PROPRIETARY AND CONFIDENTIAL" in its header."""
    return _doubted_because(case, DoubtKind.RESTRICTION_BESIDE_LICENCE)


@_doubted
def unknown_licence_text(case: Case) -> bool:
    """A vendor's sources with a LICENSE in the vendor's own words: "All of this belongs to Acme. Ask before you touch
    it."."""
    return _doubted_because(case, DoubtKind.UNKNOWN_LICENCE_TEXT)


@_doubted
def unknown_licence_name(case: Case) -> bool:
    """An npm package with "license": "Frobnicate 3"; a Debian package with "License: Frob" and no text of it."""
    return _doubted_because(case, DoubtKind.UNKNOWN_LICENCE_NAME)


@_doubted
def unread_licence_line(case: Case) -> bool:
    """A manual under MIT, one page of which begins with `license: '[CC-BY-SA 4.0](...)'`; an m4 macro with "@license
    GPLWithACException"."""
    return _doubted_because(case, DoubtKind.UNREAD_LICENCE_LINE)


@_doubted
def manifest_contradicts_text(case: Case) -> bool:
    """An npm package with the text of MIT in LICENSE and "license": "GPL-3.0-or-later" in package.json."""
    return _doubted_because(case, DoubtKind.MANIFEST_CONTRADICTS_TEXT)


@_doubted
def readme_contradicts_licence(case: Case) -> bool:
    """A program under MIT whose README says under "License": "Free for non-commercial use. Other use costs."."""
    return _doubted_because(case, DoubtKind.README_CONTRADICTS_LICENCE)


@_doubted
def terms_beside_licence(case: Case) -> bool:
    """A program under MIT with COMMONS-CLAUSE.md or LICENSE_EE.md beside the LICENSE, or with a NOTICE that says "Use
    for commercial purposes is prohibited."."""
    return _doubted_because(case, DoubtKind.TERMS_BESIDE_LICENCE)


@_doubted
def manifest_not_enough(case: Case) -> bool:
    """A Rust crate with a Cargo.toml and no licence text, under a recipe with `manifests_decide: false`."""
    return _doubted_because(case, DoubtKind.MANIFEST_NOT_ENOUGH)


# -- statements about exactly the file ---------------------------------------------------------------------------------


def _part_of_a_work(case: Case) -> str:
    part = case.statement or case.around
    scope = "file" if case.statement else "folder"
    return f"the {scope} says {part.expression}, but it is part of a work under {case.larger_work.expression}"


@_rule(REVIEW, _part_of_a_work, Case.by_statement_and_work)
def accepted_file_in_rejected_work(case: Case) -> bool:
    """A program under the GPL that has one file with the header of MIT. The program as a whole is under the GPL."""
    return case.statement is not None and case.larger_work is not None


def _decides(case: Case, kind: str) -> bool:
    """Whether the statement about the file that decides stands in evidence of this kind."""
    return case.statement is not None and case.statement.evidence[0].kind == kind


@_by_the_list(Case.by_statement)
def reuse_override(case: Case) -> bool:
    """A repository that imports files under MIT, whose headers name another licence, and says in REUSE.toml: path =
    "lib/**", precedence = "override"."""
    return case.named_decides and case.named_overrides


@_by_the_list(Case.by_statement)
def debian_copyright_stanza(case: Case) -> bool:
    """A Debian source package under MIT whose debian/copyright says "Files: contrib/*", "License: GPL-2+"."""
    return case.named_decides and _decides(case, "debian_copyright")


@_by_the_list(Case.by_statement)
def reuse_annotation(case: Case) -> bool:
    """A repository that follows REUSE and names the licence of files that cannot have a header (data/**) in
    REUSE.toml."""
    return case.named_decides and _decides(case, "reuse")


@_by_the_list(Case.by_statement)
def sidecar_file(case: Case) -> bool:
    """A repository that follows REUSE and puts logo.svg.license beside logo.svg."""
    return _decides(case, "sidecar")


@_by_the_list(Case.by_statement)
def licence_text_of_a_part(case: Case) -> bool:
    """A program under MIT with LICENSE-docs: CC-BY-4.0 is the licence of the manual, and of that text itself."""
    return _decides(case, "licence_file")


@_by_the_list(Case.by_statement)
def mention_in_file(case: Case) -> bool:
    """A folder of scripts without a licence text, one of which prints "licensed under the MIT license". No licence
    around the file speaks against it."""
    return case.own_decides and case.only_mentioned


@_by_the_list(Case.by_statement)
def own_header(case: Case) -> bool:
    """A permissive program that vendors one file under the GPL in contrib/, with the header of the GPL."""
    return case.own_decides


# -- no licence around the file ----------------------------------------------------------------------------------------


def _licence_is_missing(case: Case) -> str:
    return f"{case.vendored_in} holds third-party code, but not its licence"


@_rule(REVIEW, _licence_is_missing, Case.by_root)
def vendored_without_licence(case: Case) -> bool:
    """A program under MIT with a copy of a library in third_party/x, without the licence of that library."""
    return bool(case.vendored_in)


def _readme_verdict(case: Case) -> str:
    return REJECTED if judge(case.repository.readme.expression, case.recipe).decision == REJECTED else REVIEW


@_rule(_readme_verdict, lambda case: case.repository.readme.doubt.reason, Case.by_readme)
def readme_alone(case: Case) -> bool:
    """A small tool whose README says "License: MIT", without a licence text and a manifest."""
    return case.around is None and case.repository.readme is not None


@_rule(REJECTED, "no licence", Case.by_nothing)
def no_licence(case: Case) -> bool:
    """Somebody's scripts without any word about a licence."""
    return case.around is None


# -- the licence of the nearest folder ---------------------------------------------------------------------------------


def _names_the_file(case: Case) -> str:
    return f"{case.around.evidence[0].path} names the file among parts under other licences"


@_rule(REVIEW, _names_the_file, Case.by_folder)
def part_named_in_licence_text(case: Case) -> bool:
    """A program under MIT whose LICENSE ends with "lib/thread.c is under these terms:" and those of BSD-4-Clause."""
    return case.around_is_accepted and case.is_named_part


@_rule(REVIEW, lambda case: case.doubtful_text_above.doubt.reason, Case.by_folder)
def manifest_below_doubtful_text(case: Case) -> bool:
    """A monorepo whose packages only have a package.json that says BSD-3-Clause, under a LICENSE with the terms of
    BSD-3-Clause and a condition: the manifests mean that text."""
    return case.around_is_accepted and bool(case.folder) and case.doubtful_text_above is not None


@_rule(REVIEW, _part_of_a_work, Case.by_folder)
def accepted_folder_in_rejected_work(case: Case) -> bool:
    """A program under the GPL with a library under MIT in lib/, which has a LICENSE of its own."""
    return case.statement is None and case.larger_work is not None


def _kinds(case: Case) -> set[str]:
    return {one.kind for one in case.around.evidence} if case.around is not None else set()


@_by_the_folder
def manifest_alone(case: Case) -> bool:
    """A Rust crate without a licence text whose Cargo.toml says license = "MIT/Apache-2.0"."""
    return _kinds(case) == {"manifest"}


@_by_the_folder
def debian_copyright_for_all_files(case: Case) -> bool:
    """A Debian source package without a licence text of its own, whose debian/copyright says "Files: *"."""
    return "debian_copyright" in _kinds(case) and "licence_file" not in _kinds(case)


@_by_the_folder
def nearest_licence_file(case: Case) -> bool:
    """A monorepo in which lib/ has a LICENSE of its own, different from that of the root."""
    return case.around is not None and bool(case.folder)


@_by_the_folder
def repository_licence(case: Case) -> bool:
    """A program with one LICENSE at the root, and files that say nothing about licences."""
    return case.around is not None and not case.folder


RULES: tuple[Rule, ...] = (
    # Somebody must look, whatever licence is named.
    library_gave_no_answer,
    nearly_the_terms,
    changed_terms,
    restriction_beside_licence,
    unknown_licence_text,
    unknown_licence_name,
    unread_licence_line,
    manifest_contradicts_text,
    terms_beside_licence,
    readme_contradicts_licence,
    manifest_not_enough,
    # The file itself, or an entry that names it.
    accepted_file_in_rejected_work,
    reuse_override,
    debian_copyright_stanza,
    reuse_annotation,
    sidecar_file,
    licence_text_of_a_part,
    mention_in_file,
    own_header,
    # No licence around the file.
    vendored_without_licence,
    readme_alone,
    no_licence,
    # The licence of the nearest folder.
    part_named_in_licence_text,
    manifest_below_doubtful_text,
    accepted_folder_in_rejected_work,
    manifest_alone,
    debian_copyright_for_all_files,
    nearest_licence_file,
    repository_licence,
)
