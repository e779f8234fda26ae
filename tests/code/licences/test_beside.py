"""Terms beside a licence, copyleft in the middle of a file, and words that must not take a whole tree."""

from __future__ import annotations

import pytest

from nemotron_assets.code.licences import beside
from nemotron_assets.code.terms import inside, paths
from tests.code.licences.test_mixtures import RECIPE, decided, npm, text
from tests.code.licences.test_traps import BSD3, CODE, GPL, ISC, MIT, comment

TAG = "SPDX-License-" + "Identifier: "
FILLER = "def step(x):\n    return x * 2 + 1\n\n\n" * 200

#: name -> (files of the repository, what is expected of some of them)
TREES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "a rider with a name of its own": (
        {"LICENSE": MIT, "COMMONS-CLAUSE.txt": text("commons-clause"), "a.py": CODE}, {"a.py": "not allowed"},
    ),
    "additional terms": (
        {"LICENSE": BSD3, "ADDITIONAL_TERMS.md": "You must show our logo on all pages of your product.\n",
         "a.py": CODE}, {"a.py": "review"},
    ),
    "terms that repeat the licence": ({"LICENSE": MIT, "TERMS.txt": MIT, "a.py": CODE}, {"a.py": "allowed"}),
    "terms of use in the manual": (
        {"LICENSE": MIT, "docs/terms.md": "You must pay for the service each month.\n", "a.py": CODE},
        {"a.py": "allowed"},
    ),
    "a policy for models": (
        {"LICENSE": MIT, "AI-POLICY.md": "Do not use this repository to train language models.\n", "a.py": CODE},
        {"a.py": "review"},
    ),
    "the licence of an edition, by its name": (
        {"LICENSE": MIT, "ENTERPRISE_LICENSE.txt": "Files of the edition need a subscription of Acme.\n", "a.py": CODE},
        {"a.py": "review"},
    ),
    "a text about licences": (
        {"LICENSE": MIT, "license-header.txt": "Copyright (c) %YEAR% Acme\n", "a.py": CODE}, {"a.py": "allowed"},
    ),
    "terms of a folder": (
        {"LICENSE": MIT, "a.py": CODE, "pro/TERMS.md": "Only customers of Acme may run this.\n", "pro/b.py": CODE},
        {"a.py": "allowed", "pro/b.py": "review"},
    ),
    "a NOTICE with a restriction": (
        {"LICENSE": MIT, "NOTICE.txt": "Sale of products made with it is for research use only.\nCommercial use is "
                                       "forbidden.\n", "a.py": CODE}, {"a.py": "review"},
    ),
    "a NOTICE with another licence": (
        {"LICENSE": MIT, "NOTICE": "Tool is free software under the terms of the GNU GPL version 3.\n", "a.py": CODE},
        {"a.py": "review"},
    ),
    "a NOTICE that credits": (
        {"LICENSE": MIT, "NOTICE": "This product includes software developed by Example (LGPL-2.1).\n", "a.py": CODE},
        {"a.py": "allowed"},
    ),
    "a README with another licence beside its own": (
        {"LICENSE": MIT, "README.md": "# x\n\n## License\n\nClient: MIT. Server: AGPL-3.0.\n", "a.py": CODE},
        {"a.py": "review"},
    ),
    "a README that leaves a choice": (
        {"LICENSE": MIT, "README.md": "# x\n\n## License\n\nLicensed under either of MIT or GPL-3.0 at your option.\n",
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "a README that speaks of an earlier version": (
        {"LICENSE": MIT, "README.md": "# x\n\n## License\n\nMIT.\n\nVersions before 2.0 were under the GPLv2.\n",
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "a README that says the licence in a sentence": (
        {"LICENSE": MIT, "README.md": "# x\n\nThis program is distributed under the GNU GPL v3.\n\n## Usage\n\nrun\n",
         "a.py": CODE}, {"a.py": "review"},
    ),
    "a notice between the functions": (
        {"LICENSE": MIT, "a.rb": "x = 1\n" * 900 + "# This part is released under the GNU Lesser General Public\n"
                                 "# License, version 2.1.\n" + "y = 2\n" * 900, "b.rb": "x = 1\n" * 1_800},
        {"a.rb": "rejected", "b.rb": "allowed"},
    ),
    "a tag between the functions": (
        {"LICENSE": MIT, "a.c": "int f(int);\n" * 500 + f"/* {TAG}CC-BY-SA-4.0 */\n" + "int g(int);\n" * 500,
         "b.c": "int f(int);\n" * 500 + f"/* {TAG}BSD-2-Clause */\n" + "int g(int);\n" * 500},
        {"a.c": "rejected", "b.c": "allowed"},
    ),
    "a notice in the one line of a bundle": (
        {"LICENSE": MIT, "a.js": "f(1);" * 900 + "/*! tool v1 | (c) A. Body | released under the GPL-2.0 license */"
                                 + "g(2);" * 900}, {"a.js": "rejected"},
    ),
    "good and evil in a bundle": (
        {"LICENSE": MIT, "a.js": "f(1);\n" * 900 + "/* " + text("json") + "*/\n" + "g(2);\n" * 900},
        {"a.js": "not allowed"},
    ),
    "names of licences that a program knows": (
        {"LICENSE": MIT, "a.py": FILLER + "KNOWN = [\n    'GNU General Public License v3',\n    'GPL',\n]\n" + FILLER},
        {"a.py": "allowed"},
    ),
    "whichever is least restrictive": (
        {"COPYING": "Tool is under the GPL version 2 or the MIT license, whichever is least restrictive.\n",
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "a tag and the quoted words of an author": (
        {"LICENSE": MIT, "a.c": f"/* {TAG}MIT\n * The author of the table wrote:\n * \"Permission to use, copy and "
                                "modify it is granted to\n *  you, provided that this notice is kept.\" */\nint a;\n"},
        {"a.c": "allowed"},
    ),
    "a tag and the notice of the GPL": (
        {"LICENSE": MIT, "a.c": f"/* {TAG}MIT */\n/* {GPL} */\nint a;\n"}, {"a.c": "rejected"},
    ),
    "a paragraph about one file": (
        {"LICENSE": MIT + "\nThe file src/sort.c is under a different license: it is licensed under the LGPL-2.1.\n",
         "src/sort.c": "int a;\n", "b.c": "int b;\n"}, {"b.c": "allowed", "src/sort.c": "review"},
    ),
    "a paragraph about one file above the terms": (
        {"LICENSE": "All files but lib/sort.c, which is under the GPL version 2, are under these terms:\n\n" + MIT,
         "lib/sort.c": "int a;\n", "b.c": "int b;\n"}, {"b.c": "allowed", "lib/sort.c": "review"},
    ),
    "a paragraph about a file that is not there": (
        {"LICENSE": MIT + "\nThe file core/all.c is licensed under the GPL version 2.\n", "b.c": "int b;\n"},
        {"b.c": "not allowed"},
    ),
    "two texts, and a NOTICE that leaves the choice": (
        {"LICENSE-GPL": text("gpl-2.0"), "LICENSE-BSD": BSD3, "a.c": "int a;\n",
         "NOTICE": "Tool is dual licensed: BSD-3-Clause OR GPL-2.0-only.\n"}, {"a.c": "allowed"},
    ),
    "a remark about copyrights": (
        {"LICENSE": MIT + "\nSome test data may not be the copyright of the author.\n", "a.c": "int a;\n"},
        {"a.c": "allowed"},
    ),
    "a NOTICE that says OR beside a text that says AND": (
        {"LICENSE": "Tool is dual licensed under the Apache License 2.0 and the GPL version 2.\n", "a.py": CODE,
         "NOTICE": "Tool, under Apache-2.0 OR GPL-2.0-only\n"}, {"a.py": "allowed"},
    ),
    "a text that sends its readers to the licence": (
        {"LICENSE": "Licensing information can be found in COPYING.\n", "COPYING": BSD3, "a.c": "int a;\n",
         "lib/LICENSE": "The license of this package is that of the project.\nSee the LICENSE file at the root of the "
                        "repository for the full text.\n", "lib/b.c": "int b;\n"},
        {"a.c": "allowed", "lib/b.c": "allowed"},
    ),
    "a text that keeps the rights and names the licence": (
        {"LICENSE": MIT, "pro/LICENSE": "Part of the enterprise edition. For the rest of the project see the LICENSE "
                                        "file at the root.\n", "pro/b.py": CODE}, {"pro/b.py": "not allowed"},
    ),
    "a text that sends its readers to another text": (
        {"LICENSE": MIT, "pro/LICENSE": "The terms of this folder can be found in LICENSE-PRO.\n", "pro/b.py": CODE},
        {"pro/b.py": "not allowed"},
    ),
    "alternatives, one below the other": (
        {"LICENSE": "Tool is available under two licenses -- choose whichever you prefer.\n\nALTERNATIVE A - MIT"
                    f"\n\n{MIT}\nALTERNATIVE B - GNU GPL\n\n" + text("gpl-2.0"), "a.c": "int a;\n"}, {"a.c": "allowed"},
    ),
    "alternatives, and a file that has none": (
        {"LICENSE": "Tool can be used under the terms of one of the following licenses:\n\n* MIT License\n* BSD License"
                    "\n\nThe file src/hash.c is under the LGPL version 2.1.\n\n" + MIT, "a.c": "int a;\n"},
        {"a.c": "not allowed"},
    ),
    "for commercial and non-commercial use": (
        {"LICENSE": MIT, "README.md": "# x\n\n## License\n\nMIT, for commercial and non-commercial use.\n",
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "a manifest, and a README that takes it back": (
        {"package.json": npm("ISC"), "README.md": "# x\n\n## Licence\n\nISC for personal use only.\n",
         "a.js": "f();\n"}, {"a.js": "review"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_tree(name, library):
    files, expected = TREES[name]
    decisions = decided(files, library)
    for path, wanted in expected.items():
        found = decisions[path]
        assert (found.decision != "allowed") if wanted == "not allowed" else (found.decision == wanted), found


@pytest.mark.parametrize(
    "sentence",
    [
        "This project is free for non-commercial use only; companies must buy a licence.",
        "Free for personal and non-commercial use.",
        "Commercial use requires a paid licence.",
        "The software may not be used for commercial purposes.",
        "Use of this code for training generative AI is not permitted.",
        "You may not train models on the\ncontents of this repository.",
        "This library is only for academic use.",
        "Not for commercial use.",
        "No commercial use!",
        "For personal and non-commercial use.",
        "Personal use only.",
        "**This repository is not licensed for any commercial use.**",
    ],
)
def test_sentences_of_a_readme_that_restrict_the_work(sentence):
    assert beside.find_restriction_in_readme(f"# Tool\n\nDoes things.\n\n{sentence}\n\n## Install\n\npip\n")


@pytest.mark.parametrize(
    "sentence",
    [
        "Free for commercial and non-commercial use.",
        "This library trains language models on your data.",
        "The API key is free for personal use.",
        "The icons are free for non-commercial use.",
        "Training on a CPU is not supported by this package.",
        "There are no restrictions on commercial use.",
        "```\nThis project is free for non-commercial use only.\n```",
        "Commercial use is allowed.",
    ],
)
def test_sentences_of_a_readme_that_do_not(sentence):
    assert not beside.find_restriction_in_readme(f"# Tool\n\nDoes things.\n\n{sentence}\n\n## Install\n\npip\n")


def test_comments_around_a_notice():
    head, middle = "a = 1\n" * 10, "# Taken from elsewhere.\n# It is licensed under the AGPL.\n"
    found = inside.notices("a.py", head + middle + "b = 2\n" * 10, len(head), RECIPE)
    assert [lines for _, lines in found] == [10] and found[0][0].startswith(middle.rstrip())
    for path in ("a.md", "LICENSE", "a.txt"):
        assert not inside.notices(path, head + middle, len(head), RECIPE)
    for path in ("Makefile", "tool"):
        assert len(inside.notices(path, "#!/bin/sh\n" + middle, 10, RECIPE)) == 1
    two = head + middle + "b = 2\n" + "# Also under the Mozilla Public License.\n" + "c = 3\n" * 100
    assert "Mozilla" in "".join(piece for piece, _ in inside.notices("a.py", two, len(head), RECIPE))
    assert not inside.notices("a.py", middle + head, len(middle), RECIPE)
    assert not inside.notices("a.py", head + comment("Under the " + ISC), len(head), RECIPE)


def test_many_names_of_licences_take_bounded_time():
    long = "x = 'under the GPL license'\n" * 100_000
    assert not inside.notices("a.py", long, 0, RECIPE)
    assert len(inside.notices("a.js", "/* " + "under the GPL license " * 100_000, 0, RECIPE)) <= 8


@pytest.mark.parametrize(
    ("path", "adds", "other"),
    [
        ("TERMS.md", True, False),
        ("ADDITIONAL_TERMS", True, False),
        ("terms-of-service.txt", True, False),
        ("USE_POLICY.md", True, False),
        ("no-ai.md", True, False),
        ("DO_NOT_TRAIN.txt", True, False),
        ("ACCEPTABLE_USE.md", True, False),
        ("COMMERCIAL.md", True, False),
        ("commercial.py", False, False),
        ("RESTRICTIONS", True, False),
        ("docs/terms.md", False, False),
        ("terms.py", False, False),
        ("LICENSE_EE.md", False, True),
        ("LICENSE-COMMERCIAL", True, True),
        ("PRO_LICENSE.txt", False, True),
        ("license-header.txt", False, False),
        ("create-license-form.txt", False, False),
    ],
)
def test_names_of_texts_that_add_terms(path, adds, other):
    assert (paths.adds_terms(path), paths.is_other_licence(path)) == (adds, other)
