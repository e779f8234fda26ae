"""Words beside licences: restrictions, conditions, choices and names of parts are found, harmless words are not."""

from __future__ import annotations

import pytest

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.library import Scan
from nemotron_assets.code.licences.licence_texts import read_licence_text
from nemotron_assets.code.terms import texts
from tests.code.licences.test_mixtures import PYTHON, RECIPE, decided, npm, text
from tests.code.licences.test_traps import CODE, MIT


@pytest.mark.parametrize(
    "words",
    [
        "for non-commercial use only",
        "(for academic research only)",
        "unless you buy a commercial license",
        "but redistribution is prohibited without written consent of Acme",
    ],
)
def test_a_restriction_on_the_line_of_a_match_is_seen(words, library):
    files = {"LICENSE": f"MIT License {words}\n", "a.py": CODE}
    assert decided(files, library)["a.py"].decision != "allowed"
    files = {"LICENSE": MIT, "a.py": f"# This file is under the MIT License {words}.\n{CODE}", "b.py": CODE}
    found = decided(files, library)
    assert found["a.py"].decision != "allowed"
    assert found["b.py"].decision == "allowed"


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("This software may only be used for academic research.", 2),
        ("Use by companies with more than 100 employees requires a separate agreement with the author.", 8),
        ("This license does not permit use of the software to train machine learning models.", 23),
        ("Anyone offering the software as a hosted service must pay a fee to the author.", 23),
        ("No person may use the Software for military purposes.", 8),
        ("Derivative works have to be published under the same terms.", 23),
        ("Hosting this as a service is reserved to Acme.", 2),
        ("Copyright (c) 2020 Acme You may not use this software in commercial products without a licence.", 2),
        ("Users in the field of nuclear energy must obtain approval first.", 2),
    ],
)
def test_an_added_condition_is_seen_wherever_it_stands(words, place, library):
    lines = MIT.splitlines()
    files = {"LICENSE": "\n".join([*lines[:place], "", words, "", *lines[place:]]) + "\n", "a.js": "let a = 1;\n"}
    assert decided(files, library)["a.js"].decision != "allowed"
    assert decided({**files, "package.json": npm("MIT")}, library)["a.js"].decision != "allowed"


def test_a_condition_is_seen_where_the_library_has_a_clue_of_its_own(library):
    words = "You may not use this software in commercial products without buying a licence.\n"
    two = f"Dual licensed under WTFPL and MIT:\n\n---\n\n{text('wtfpl-2.0')}\n\n---\n\n{MIT}"
    assert decided({"LICENSE": two, "a.py": CODE}, library)["a.py"].decision == "allowed"
    assert decided({"LICENSE": f"{words}\n{two}", "a.py": CODE}, library)["a.py"].decision != "allowed"


def test_a_condition_in_the_history_of_python_is_seen(library):
    for words, decision in (("", "allowed"), ("\nNo person may use it for military purposes.\n", "not allowed")):
        license = PYTHON.replace("\nB. TERMS", f"{words}\nB. TERMS") + text("python")
        found = decided({"LICENSE": license, "a.py": CODE}, library)["a.py"].decision
        assert (found == "allowed") == (decision == "allowed")


@pytest.mark.parametrize("key", ["mit", "bsd-new", "isc", "unlicense"])
def test_names_and_titles_around_a_licence_are_no_conditions(key, library):
    around = "Tool\n====\n\nCopyright (c) 2010-2020 Use Not Only Games Company, Inc. and others\n\n"
    assert decided({"LICENSE": around + text(key), "a.py": CODE}, library)["a.py"].decision == "allowed"


def test_notices_restrict_and_code_that_says_the_same_of_objects_does_not():
    notice = "# This file must not be copied.\n"
    assert wording.find_restriction(notice, notice)
    docs = 'def f():\n    """Objects of this class may not be shared between threads."""\n'
    assert not wording.find_restriction(docs, texts.leading_comment(docs))


def test_a_sentence_about_functions_is_not_a_restriction():
    for said in ("For internal use only.", "The server does not allow empty names."):
        assert not wording.find_restriction(f'"""{said}"""', f'"""{said}"""')
    for said in ("For academic use only.", "The license does not allow copying."):
        assert wording.find_restriction(f"# {said}", f"# {said}")


def test_names_before_a_disclaimer_change_nothing():
    assert not wording.find_change("THE TOOL HOLDERS MAKE NO AND DISCLAIM")
    assert wording.find_change("MAKES NO EXCEPTIONS FOR commercial use")


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("Tool can be used under one of three licenses.\n\n1. The GPL.\n2. The BSD license.", (1, 4)),
        ("Intro.\n\nDual-licensed under the MIT license and the GPL.\n\nMore.", (3, 3)),
        ("You may choose either license.", (1, 1)),
        (
            "Choose whichever of the 2 licenses you like.\n\nA. The GPL.\n\nB. MIT.\n\nlib/c.c is under the LGPL.",
            (1, 6),
        ),
        ("License, or (at your option) any later version.", None),
        ("WITHOUT WARRANTIES OF ANY KIND, either express or implied.", None),
        ("Each part is under either the GPL or the MIT license.", None),
        ("You may choose either the AGPL or a commercial license.", None),
    ],
)
def test_words_that_leave_a_choice(words, chosen):
    assert wording.find_choice(words) == chosen


def test_terms_that_are_only_nearly_found_among_others_are_looked_at_alone():
    def match(score: float, start: int, end: int) -> dict:
        return {
            "expression": "BSD-3-Clause",
            "rule": "bsd",
            "kind": "text",
            "score": score,
            "length": 200,
            "start": start,
            "end": end,
            "files": [],
            "extra": "",
            "coverage": score,
        }

    def scan(text: str) -> Scan:
        alone = text == "three\nfour"
        found = match(99.0, 1, 2) if alone else match(55.0, 3, 4)
        return Scan(
            [{"expression": "BSD-3-Clause", "matches": [found], "log": []}], "", {1: "beside", 2: ""} if alone else {}
        )

    grant = read_licence_text("LICENSE", "one\ntwo\nthree\nfour\n", scan, RECIPE)
    assert grant.expression == "BSD-3-Clause" and not grant.doubt
    assert (grant.evidence[0].start, grant.evidence[0].end) == (3, 4)
    assert grant.own_words == "one\ntwo\nbeside\n"


@pytest.mark.parametrize(
    ("words", "points"),
    [
        ("This is released under the license that is described in the file COPYING.", True),
        ("See LICENSE.md at the root of the project.", True),
        ("See LICENSE-PRO for the terms.", False),
        ("All rights reserved. See COPYING.", False),
        ("See LICENSE. You may not sell it.", False),
        ("A tool for licences.", False),
    ],
)
def test_words_that_send_readers_to_the_licence(words, points):
    assert wording.points_to_a_licence(words) == points


def test_paths_in_a_licence_text():
    found = wording.find_paths(
        'Files "src/a.c" and lib/b/, all in docs/, see README.md; (c) 2020 A. Body, v1.0, https://x.org/y, e.g. it.'
    )
    assert {"src/a.c", "lib/b", "docs", "readme.md"} <= found
    assert not any("//" in word or word.startswith("v1") for word in found)
