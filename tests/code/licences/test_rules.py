"""Each rule alone: a small repository on which it decides, and the lists of rules against the lists of these tests."""

from __future__ import annotations

import pytest

from nemotron_assets.code.licences import rules
from nemotron_assets.code.licences.case import Case, build_case
from nemotron_assets.code.licences.decide import Decision, decide, nothing_but_licence_texts
from nemotron_assets.code.licences.excerpts import Excerpt, excerpt
from nemotron_assets.code.licences.folder_rules import FOLDER_RULES
from nemotron_assets.code.licences.grants import DoubtKind
from nemotron_assets.code.licences.library import Scan
from nemotron_assets.code.licences.rules import RULES, Rule
from nemotron_assets.code.licences.survey import survey
from nemotron_assets.recipe.code.licences import CodeLicences
from tests.code.licences.test_mixtures import BUNDLED, nearly, npm, text
from tests.code.licences.test_traps import BSD3, BSD4, CODE, GPL, MIT, comment

TAG = "SPDX-License-" + "Identifier: "
DEBIAN = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
REUSE = 'version = 1\n[[annotations]]\npath = "{}"\nSPDX-License-Identifier = "{}"\n'
OWN_TERMS = "All of this belongs to Acme. Ask before you touch it.\n"

#: rule -> (files of a repository, the file that the rule decides about, the decision)
TREES: dict[str, tuple[dict[str, str], str, str]] = {
    "library_gave_no_answer": ({"LICENSE": MIT, "a.py": CODE}, "a.py", "review"),
    "nearly_the_terms": ({"LICENSE": nearly(BSD3), "a.py": CODE}, "a.py", "review"),
    "changed_terms": (
        {"LICENSE": MIT.replace("free of charge", "for a fee that Acme sets"), "a.py": CODE}, "a.py", "review",
    ),
    "restriction_beside_licence": (
        {"LICENSE": "This software may only be used for academic research.\n\n" + MIT, "a.py": CODE}, "a.py", "review",
    ),
    "unknown_licence_text": ({"LICENSE": OWN_TERMS, "a.py": CODE}, "a.py", "review"),
    "unknown_licence_name": ({"package.json": npm("Frobnicate 3"), "a.js": "let a;\n"}, "a.js", "review"),
    "unread_licence_line": (
        {"LICENSE": MIT, "m4/a.m4": "dnl @author A. Body\ndnl @license GPLWithACException\nAC_DEFUN([A])\n"},
        "m4/a.m4", "review",
    ),
    "manifest_contradicts_text": (
        {"LICENSE": MIT, "package.json": npm("GPL-3.0-or-later"), "a.js": "let a;\n"}, "a.js", "review",
    ),
    "terms_beside_licence": (
        {"LICENSE": MIT, "TERMS.md": "You must show our logo.\n", "a.py": CODE}, "a.py", "review",
    ),
    "readme_contradicts_licence": (
        {"LICENSE": MIT, "README.md": "# x\n\n## License\n\nFree for non-commercial use. Other use costs.\n",
         "a.py": CODE}, "a.py", "review",
    ),
    "manifest_not_enough": (
        {"Cargo.toml": '[package]\nname = "x"\nlicense = "MIT/Apache-2.0"\n', "src/a.rs": "fn a() {}\n"},
        "src/a.rs", "review",
    ),
    "accepted_file_in_rejected_work": ({"COPYING": text("gpl-3.0"), "mit.py": comment(MIT)}, "mit.py", "review"),
    "reuse_override": (
        {"REUSE.toml": REUSE.format("lib/**", "MIT") + 'precedence = "override"\n',
         "lib/a.py": comment(TAG + "GPL-2.0-only")}, "lib/a.py", "allowed",
    ),
    "debian_copyright_stanza": (
        {"debian/copyright": DEBIAN + "Files: *\nCopyright: A\nLicense: Expat\n\n"
                                      "Files: contrib/*\nCopyright: B\nLicense: GPL-2+\n", "contrib/b.py": CODE},
        "contrib/b.py", "rejected",
    ),
    "reuse_annotation": (
        {"REUSE.toml": REUSE.format("data/**", "CC0-1.0"), "data/x.json": "{}\n"}, "data/x.json", "allowed",
    ),
    "sidecar_file": ({"logo.svg": "<svg/>\n", "logo.svg.license": TAG + "MIT\n"}, "logo.svg", "allowed"),
    "licence_text_of_a_part": (
        {"LICENSE": MIT, "LICENSE-docs": text("cc-by-4.0"), "package.json": npm("MIT"), "a.js": "let a;\n"},
        "LICENSE-docs", "rejected",
    ),
    "mention_in_file": (
        {"a.py": f"{CODE}print('This tool is licensed under the MIT license.')\n"}, "a.py", "allowed",
    ),
    "own_header": ({"LICENSE": MIT, "a.py": CODE, "contrib/gpl.py": comment(GPL)}, "contrib/gpl.py", "rejected"),
    "vendored_without_licence": (
        {"LICENSE": MIT, "a.py": CODE, "third_party/x/b.py": CODE}, "third_party/x/b.py", "review",
    ),
    "readme_alone": ({"README.md": "# x\n\n## License\n\nMIT License\n", "a.py": CODE}, "a.py", "review"),
    "no_licence": ({"README.md": "# Tool\n\nDoes things.\n", "a.py": CODE}, "a.py", "rejected"),
    "part_named_in_licence_text": (
        {"LICENSE": BUNDLED, "package.json": npm("MIT"), "a.js": "let a;\n", "lib/thread.c": "int a;\n"},
        "lib/thread.c", "review",
    ),
    "manifest_below_doubtful_text": (
        {"LICENSE": BSD3 + "\nNo person may use the software for military purposes.\n", "p/a.js": "let a;\n",
         "p/package.json": npm("BSD-3-Clause")}, "p/a.js", "review",
    ),
    "accepted_folder_in_rejected_work": (
        {"COPYING": text("gpl-3.0"), "lib/LICENSE": MIT, "lib/a.py": CODE}, "lib/a.py", "review",
    ),
    "manifest_alone": (
        {"Cargo.toml": '[package]\nname = "x"\nlicense = "MIT/Apache-2.0"\n', "src/a.rs": "fn a() {}\n"},
        "src/a.rs", "allowed",
    ),
    "debian_copyright_for_all_files": (
        {"debian/copyright": DEBIAN + "Files: *\nCopyright: A\nLicense: Expat\n", "a.py": CODE}, "a.py", "allowed",
    ),
    "nearest_licence_file": (
        {"LICENSE": MIT, "a.py": CODE, "lib/LICENSE": text("gpl-3.0"), "lib/b.py": CODE}, "lib/b.py", "rejected",
    ),
    "repository_licence": ({"LICENSE": MIT, "a.py": CODE}, "a.py", "allowed"),
    "nothing_but_licence_texts": (
        {"license_gpl/reference/apache_license_2.txt": text("apache-2.0"), "a.c": f"/* {GPL} */\nint a;\n"},
        "license_gpl/reference/apache_license_2.txt", "review",
    ),
}  # fmt: skip
#: rule of folders -> (files of a repository, the licence of its root, the decision about a.js)
FOLDER_TREES: dict[str, tuple[dict[str, str], str, str]] = {
    "unknown_declaration": ({"package.json": npm("Frobnicate 3")}, "", "review"),
    "manifest_is_not_enough": ({"package.json": npm("MIT")}, "MIT", "review"),
    "declaration_without_text": ({"package.json": npm("MIT")}, "MIT", "allowed"),
    "unknown_texts": ({"LICENSE": OWN_TERMS, "package.json": npm("MIT")}, "MIT", "review"),
    "choice_between_texts": (
        {"LICENSE-MIT": MIT, "LICENSE-GPL": text("gpl-3.0"), "package.json": npm("MIT OR GPL-3.0-only")},
        "MIT OR GPL-3.0-only", "allowed",
    ),
    "text_with_bundled_parts": ({"LICENSE": BUNDLED, "package.json": npm("MIT")}, "MIT", "allowed"),
    "text_against_declaration": ({"LICENSE": MIT, "package.json": npm("GPL-3.0-only")}, "MIT", "review"),
    "all_texts_apply": ({"LICENSE": MIT, "COPYING": BSD4}, "MIT AND BSD-4-Clause", "rejected"),
}  # fmt: skip
RECIPES = {name: CodeLicences(manifests_decide=False) for name in ("manifest_not_enough", "manifest_is_not_enough")}


def unfinished(text: str) -> Scan:
    return Scan(problem="not finished within 100 s")


def excerpts(files: dict[str, str]) -> list[Excerpt]:
    return [excerpt(path, path, content, CodeLicences()) for path, content in files.items()]


def case_of(name: str, library) -> Case:
    """The facts about the file of a rule's tree."""
    files, path, _ = TREES[name]
    scan = unfinished if name == "library_gave_no_answer" else library.scan
    recipe, cut = RECIPES.get(name, CodeLicences()), excerpts(files)
    by_path = {file.path: file for file in cut}
    return build_case(by_path[path], by_path.get(f"{path}.license"), survey(cut, scan, recipe), scan, recipe)


def decision(name: str, library) -> Decision:
    """The decision about the file of a rule's tree."""
    files, path, _ = TREES[name]
    scan = unfinished if name == "library_gave_no_answer" else library.scan
    decisions = decide(excerpts(files), scan, RECIPES.get(name, CodeLicences()))
    return next(one for one in decisions if one.path == path)


def test_every_rule_is_in_the_list_and_has_a_tree():
    defined = [one for one in vars(rules).values() if isinstance(one, Rule)]
    assert sorted(one.name for one in RULES) == sorted(one.name for one in defined)
    assert [*(rule.name for rule in RULES), nothing_but_licence_texts.__name__] == list(TREES)
    assert [rule.name for rule in FOLDER_RULES] == list(FOLDER_TREES)
    assert {kind.value for kind in DoubtKind} <= {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", [*RULES, *FOLDER_RULES], ids=lambda rule: rule.name)
def test_every_rule_says_for_which_kind_of_repository_it_is(rule):
    assert len(rule.trees.split()) >= 8


@pytest.mark.parametrize("name", TREES)
def test_rule_decides(name, library):
    found = decision(name, library)
    assert (found.rule, found.decision) == (name, TREES[name][2]), found
    assert found.reason and found.why == f"{name}: {found.reason}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_condition_alone(rule, library):
    other = "repository_licence" if rule.name != "repository_licence" else "no_licence"
    assert rule.when(case_of(rule.name, library))
    assert not rule.when(case_of(other, library))


@pytest.mark.parametrize("name", FOLDER_TREES)
def test_folder_rule_combines(name, library):
    files, expression, wanted = FOLDER_TREES[name]
    files = {**files, "a.js": "let a = 1;\n"}
    recipe = RECIPES.get(name, CodeLicences())
    grant = survey(excerpts(files), library.scan, recipe).folders[""]
    assert (grant.combined_by, grant.expression) == (name, expression)
    found = {one.path: one for one in decide(excerpts(files), library.scan, recipe)}["a.js"]
    assert found.decision == wanted, found


def test_reason_names_the_folder_rule_that_chose_among_licences(library):
    files = {"LICENSE": BUNDLED, "package.json": npm("MIT"), "a.js": "let a = 1;\n"}
    found = {one.path: one for one in decide(excerpts(files), library.scan, CodeLicences())}["a.js"]
    assert found.why == "repository_licence: MIT (text_with_bundled_parts)"


def test_of_two_stanzas_about_the_same_files_the_last_holds(library):
    """copyright-format 1.0: "If a file matches several Files fields, only the last matching paragraph applies"."""
    copyright = DEBIAN + "".join(
        f"Files: {pattern}\nCopyright: A\nLicense: {licence}\n\n"
        for pattern, licence in (("*", "Expat"), ("lib/*", "Expat"), ("lib/*", "GPL-2+"))
    )
    found = decide(excerpts({"debian/copyright": copyright, "lib/a.py": CODE}), library.scan, CodeLicences())[1]
    assert (found.rule, found.decision) == ("debian_copyright_stanza", "rejected")
    assert found.evidence[0].start == copyright[: copyright.rindex("Files:")].count("\n") + 1
