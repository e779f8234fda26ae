"""Repositories with several licences: bundled parts, choices, words beside a licence, statements at different places.

The texts are those of ScanCode. Every case was first seen in a real package.
"""

from __future__ import annotations

import functools
import json
from importlib.metadata import files
from pathlib import Path

import pytest

from nemotron_assets.code.licences.decide import decide
from nemotron_assets.code.licences.excerpts import excerpt
from nemotron_assets.recipe.code.licences import CodeLicences
from tests.code.licences.test_traps import BSD3, BSD4, CODE, GPL, MIT, comment

RECIPE = CodeLicences()


@functools.cache
def _folder() -> Path:
    found = (f for f in files("scancode-toolkit-mini") if f.match("licensedcode/data/licenses/mit.LICENSE"))
    return Path(next(found).locate()).parent


def text(key: str) -> str:
    """A licence's text, as the library has it."""
    content = (_folder() / f"{key}.LICENSE").read_text()
    return content.split("---", 2)[2].strip() + "\n"


def npm(licence: str) -> str:
    return json.dumps({"name": "x", "version": "1.0.0", "license": licence}) + "\n"


def nearly(licence: str) -> str:
    """A licence without its third quarter, as somebody may have copied it."""
    words = licence.split()
    return " ".join(words[: len(words) // 2] + words[len(words) * 3 // 4 :])


PYTHON = """A. HISTORY OF THE SOFTWARE
==========================

Releases since 2.0 are GPL-compatible, which does not mean that we distribute them under the GPL; the others are not.

B. TERMS AND CONDITIONS FOR ACCESSING OR OTHERWISE USING PYTHON

"""
GOVERNED = (
    "# Copyright (c) 2013 the Tool authors. All rights reserved.\n# Use of this source code is governed by the {}\n"
    "# that can be found in the LICENSE file.\n" + CODE
)
BUNDLED = MIT + "\n\nlib/thread.c is taken from elsewhere and is under these terms:\n\n" + BSD4
#: name -> (files of the repository, what is expected of some of them)
MIXTURES = {
    "the licence of a part, by its name": (
        {"LICENSE": MIT, "image_LICENSE_icons.txt": text("lgpl-2.1"), "LICENSE-CC-BY-3.0.txt": text("cc-by-3.0"),
         "package.json": npm("MIT"), "a.js": "let a = 1;\n"},
        {"a.js": "allowed", "image_LICENSE_icons.txt": "rejected", "LICENSE-CC-BY-3.0.txt": "rejected"},
    ),
    "the licence of the manual, by its name": (
        {"LICENSE": MIT, "LICENSE-docs": text("cc-by-4.0"), "package.json": npm("MIT"), "a.js": "let a = 1;\n",
         "docs/api.md": "# Functions\n"}, {"a.js": "allowed", "docs/api.md": "rejected"},
    ),
    "a model's licence that nobody knows": (
        {"LICENSE": MIT, "MODEL_LICENSE": "You may run the model on weekdays, in good company.\n", "a.py": CODE},
        {"a.py": "allowed", "MODEL_LICENSE": "review"},
    ),
    "a licence that is only the part's": (
        {"MODEL_LICENSE": text("cc-by-nc-4.0"), "a.py": CODE}, {"a.py": "rejected"},
    ),
    "folders within a folder under the GPL": (
        {"LICENSE": BSD3, "src/COPYING": text("gpl-2.0"), "src/lib/LICENSE": MIT, "src/lib/a.py": CODE,
         "src/lib/b.py": comment(MIT), "setup.py": CODE},
        {"setup.py": "allowed", "src/lib/a.py": "review", "src/lib/b.py": "review"},
    ),
    "a README with a tag of its own": (
        {"LICENSE": MIT, "README.md": "<!-- SPDX-License-" + "Identifier: CC-BY-SA-4.0 -->\n# Tool\n", "a.py": CODE},
        {"README.md": "rejected", "a.py": "allowed"},
    ),
    "portions in the public domain": (
        {"LICENSE": "Portions were placed in the public " + "domain.\n\n" + MIT, "a.py": CODE}, {"a.py": "allowed"},
    ),
    "the public domain, and no terms": (
        {"LICENSE": "This work is in the public " + "domain.\n", "a.py": CODE}, {"a.py": "review"},
    ),
    "a grant of patents beside the licence": (
        {"LICENSE": BSD3, "PATENTS": text("google-patent-license-golang"), "a.py": CODE}, {"a.py": "allowed"},
    ),
    "nothing but a grant of patents": (
        {"PATENTS": text("google-patent-license-golang"), "a.py": CODE}, {"a.py": "not allowed"},
    ),
    "COPYRIGHT that mentions the licence beside it": (
        {"LICENSE": BSD3, "COPYRIGHT": "Copyright (c) 2008 A. Body\nPortions Copyright (c) 2020 contributors\n\n"
                                       "Released under the BSD license. See the LICENSE file for details.\n",
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "the views of nobody": ({"LICENSE": text("bsd-2-clause-views"), "a.py": CODE}, {"a.py": "allowed"}),
    "terms nearly those of a part": (
        {"LICENSE": MIT + "\n\nlib/b.c is under these terms:\n\n" + nearly(text("python")), "package.json": npm("MIT"),
         "a.js": "let a = 1;\n", "lib/b.c": "int b;\n"}, {"a.js": "allowed", "lib/b.c": "review"},
    ),
    "terms nearly those of a part, and a restriction": (
        {"LICENSE": MIT + "\n\nlib/b.c is under these terms:\n\n" + nearly(BSD3) + "\n\nNot for commercial use.\n",
         "package.json": npm("MIT"), "a.js": "let a = 1;\n"}, {"a.js": "not allowed"},
    ),
    "bundled licence, the manifest names the main one": (
        {"LICENSE": BUNDLED, "package.json": npm("MIT"), "a.js": "let a = 1;\n", "lib/thread.c": "int a;\n"},
        {"a.js": "allowed", "lib/thread.c": "review", "LICENSE": "allowed"},
    ),
    "bundled licence, nothing names the main one": (
        {"LICENSE": BUNDLED, "a.py": CODE, "b.py": comment(MIT), "lib/thread.c": "int a;\n"},
        {"a.py": "allowed", "b.py": "allowed", "lib/thread.c": "review"},
    ),
    "terms behind terms, and nothing says of what": (
        {"LICENSE": MIT + "\n\n" + BSD4, "a.py": CODE}, {"a.py": "rejected"},
    ),
    "terms behind a licence that speaks of files itself": (
        {"LICENSE": text("apache-2.0") + "\n----\n\n" + text("openssl-ssleay"), "a.py": CODE}, {"a.py": "rejected"},
    ),
    "parts, and terms that nothing says of what": (
        {"LICENSE": MIT + "\n\nlib/thread.c is taken from elsewhere:\n\n" + text("bsd-simplified") + "\n\n"
                    + text("json"), "a.py": CODE}, {"a.py": "rejected"},
    ),
    "a form with a condition": (
        {"DESCRIPTION": "Package: x\nVersion: 1.0\nLicense: MIT + file LICENSE\n", "a.R": "f <- 1\n",
         "LICENSE": "YEAR: 2020\nCOPYRIGHT HOLDER: A. Body. Whoever sells the package must pay a fee.\n"},
        {"a.R": "not allowed"},
    ),
    "both texts of what is a choice elsewhere": (
        {"LICENSE": "All contributions are MIT licensed.\n\n" + MIT + "\n----\n\n" + text("gpl-2.0"), "a.py": CODE},
        {"a.py": "not allowed"},
    ),
    "terms of weak copyleft for a part, nothing names the main licence": (
        {"LICENSE": MIT + "\n\nlib/thread.c is taken from elsewhere:\n\n" + text("lgpl-2.1"), "a.py": CODE},
        {"a.py": "rejected"},
    ),
    "a folder under another licence, named in the text": (
        {"LICENSE": MIT + "\n\nThe documentation (all in docs/) is licensed under CC BY 3.0.\n", "docs/a.md": "# A\n",
         "docs/README.md": "# Docs\n", "a.py": CODE},
        {"a.py": "allowed", "docs/a.md": "review", "docs/README.md": "review"},
    ),
    "a choice in prose": (
        {"COPYING": "Tool is released under any of the GPL, the LGPL, or the BSD License.\n", "a.c": "int a;\n"},
        {"a.c": "allowed"},
    ),
    "a choice in prose, with another licence beside it": (
        {"COPYING": "Tool is released under either the GPL or the BSD License.\n\nThe rest is under the MPL 2.0.\n",
         "a.c": "int a;\n"}, {"a.c": "not allowed"},
    ),
    "a choice between files": (
        {"COPYING": "Files in here are under either the GPL or the BSD License, see each of them.\n",
         "a.c": "int a;\n"}, {"a.c": "not allowed"},
    ),
    "a choice that a README states": (
        {"README": "Tool\n====\n\nYou may distribute it under the terms of either the GNU General Public License "
                   "(version 3 or later) or the 2-clause BSD License; see COPYING and LICENSE.\n",
         "COPYING": text("gpl-3.0"), "LICENSE": text("bsd-simplified"), "a.c": "int a;\n",
         "b.c": f"/* {GPL} */\nint b;\n"}, {"a.c": "allowed", "b.c": "rejected", "COPYING": "rejected"},
    ),
    "a choice that a README states and the manifest does not": (
        {"README": "Tool\n====\n\nYou may distribute it under the terms of either the GNU General Public License "
                   "(version 3 or later) or the 2-clause BSD License; see COPYING and LICENSE.\n",
         "COPYING": text("gpl-3.0"), "LICENSE": text("bsd-simplified"), "package.json": npm("GPL-3.0-or-later"),
         "a.js": "let a;\n"}, {"a.js": "not allowed"},
    ),
    "a README that names the family and a part": (
        {"LICENSE": text("bsd-simplified"), "a.c": "int a;\n",
         "README.md": "# x\n\n## License\n\nThe library is under the BSD License, the program is under the GPLv2.\n"},
        {"a.c": "allowed"},
    ),
    "an accepted header in a work under a licence not on the list": (
        {"LICENSE": text("apache-1.1"), "a.c": "/*\n" + text("bsd-simplified") + "*/\nint a;\n"}, {"a.c": "review"},
    ),
    "licences of installed packages": (
        {"LICENSE": MIT, "p/_vendor/six-1.16.0.dist-info/LICENSE": MIT, "p/_vendor/six.py": CODE,
         "p/_vendor/six_more.py": CODE, "p/_vendor/h-2.0.dist-info/licenses/LICENSE": text("gpl-2.0"),
         "p/_vendor/h/a.py": CODE, "p/_vendor/six-1.16.0.dist-info/RECORD": "six.py\n"},
        {"p/_vendor/six.py": "allowed", "p/_vendor/six_more.py": "review", "p/_vendor/h/a.py": "rejected",
         "p/_vendor/six-1.16.0.dist-info/RECORD": "allowed"},
    ),
    "a file in the public domain, among others": (
        {"LICENSE": MIT, "a.py": f"# This file is in the public domain.\n{CODE}",
         "vendor/b.py": f"# This file is in the public domain.\n{CODE}",
         "lib/COPYING": text("gpl-2.0"), "lib/c.py": f"# In the public domain.\n{CODE}"},
        {"a.py": "allowed", "vendor/b.py": "review", "lib/c.py": "not allowed"},
    ),
    "a licence in the head of a page": (
        {"LICENSE": MIT, "b.md": "# B\n",
         "a.md": "---\ntitle: A Spec\nauthor: John Body\nversion: 0.29\ndate: '2019-04-06'\n"
                 "license: '[CC-BY-SA 4.0](http://creativecommons.org/licenses/by-sa/4.0/)'\n...\n\n# A\n"},
        {"a.md": "not allowed", "b.md": "allowed"},
    ),
    "a choice in the words of SPDX": (
        {"COPYING.md": "### COPYING\n\nTool is licensed under BSD-2-Clause OR LGPL-2.1-or-later.\n\n#### BSD\n\n"
                       + text("bsd-simplified") + "\n#### LGPL\n\n" + text("lgpl-2.1"), "a.c": "int a;\n"},
        {"a.c": "allowed"},
    ),
    "a company that does not endorse": (
        {"LICENSE": BSD3.replace("copyright holder nor", "company nor"), "a.py": CODE}, {"a.py": "allowed"},
    ),
    "a choice in the header, the text of one side beside it": (
        {"LICENSE.LGPL": text("lgpl-2.1"), "LICENSE.Apache2": text("apache-2.0"),
         "a.c": "/*\n * Copyright (c) 2014 A. Body\n *\n * This file is licensed to you under your choice of the GNU\n"
                " * Lesser General Public License, version 2.1 or any later version (LGPLv2.1 or\n * later), or the "
                "Apache License 2.0.\n */\nint a;\n", "b.c": "int b;\n"}, {"a.c": "allowed", "b.c": "rejected"},
    ),
    "a choice in a README, by names": (
        {"LICENSE.LGPL": text("lgpl-2.1"), "LICENSE.Apache2": text("apache-2.0"), "b.c": "int b;\n",
         "README.md": "# Tool\n\n### License\n\nTool is LGPLv2.1 or Apache License 2.0.\n"}, {"b.c": "allowed"},
    ),
    "a choice in the headers of a work under the GPL": (
        {"COPYING": text("gpl-2.0"), "LICENSES/Apache-2.0": text("apache-2.0"),
         "a.c": "// SPDX-License-" "Identifier: GPL-2.0-or-later OR Apache-2.0\nint a;\n"}, {"a.c": "review"},
    ),
    "an accepted folder where the manifest contradicts the text": (
        {"LICENSE": MIT, "package.json": npm("GPL-3.0-only"), "lib/LICENSE": BSD3, "lib/a.js": "let a;\n"},
        {"lib/a.js": "review"},
    ),
    "public domain beside the licence of the work": (
        {"LICENSE": text("apache-2.0"),
         "a.java": "/* Licensed under the Apache License, Version 2.0 */\n/* This code is in the public domain. */\n"},
        {"a.java": "allowed"},
    ),
    "a name in the place of a proprietary licence": (
        {"LICENSE": BSD3, "a.py": GOVERNED.format("3-clause BSD license"), "b.py": GOVERNED.format("Polyform License")},
        {"a.py": "allowed", "b.py": "not allowed"},
    ),
    "a folder in quotes": (
        {"LICENSE": BSD3 + '\nDocumentation License\n\nThe documentation portion (the rendered contents of the\n'
                           '"docs" directory of a checkout) is supplied under CC BY-SA 4.0.\n', "docs/conf.py": CODE,
         "a.py": CODE, "pyproject.toml": '[project]\nname = "x"\nlicense = "BSD-3-Clause"\n'},
        {"docs/conf.py": "review", "a.py": "allowed"},
    ),
    "parts that are excepted and under accepted licences": (
        {"LICENSE": "Except for portions outlined below, Tool is released under an MIT license:\n\n" + MIT
                    + "\nPortions of Tool, in lib/a, come from elsewhere:\n\n" + BSD3,
         "package.json": npm("MIT"), "a.js": "let a = 1;\n"}, {"a.js": "allowed"},
    ),
    "a manifest that says public domain, a text that leaves a choice": (
        {"LICENSE": "The software is available under your choice of\nUnlicense (SPDX short identifier: Unlicense) or\n"
                    "MIT No Attribution License (SPDX short identifier: MIT-0).\n\n-----\n\n" + text("unlicense")
                    + "\n-----\n\n" + text("mit-0"), "setup.py": "setup(name='x', license='Public Domain')\n",
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "texts of fonts beside that of the work": (
        {"LICENSE": MIT, "OFL-License.txt": text("ofl-1.1"), "package.json": npm("MIT"), "a.js": "let a = 1;\n"},
        {"a.js": "allowed", "OFL-License.txt": "rejected"},
    ),
    "a second plain text beside that of the work": (
        {"LICENSE": MIT, "COPYING": BSD4, "package.json": npm("MIT"), "a.js": "let a = 1;\n"}, {"a.js": "not allowed"},
    ),
    "nothing but a licence text": (
        {"license_gpl/reference/apache_license_2.txt": text("apache-2.0"), "a.c": f"/* {GPL} */\nint a;\n"},
        {"license_gpl/reference/apache_license_2.txt": "review", "a.c": "rejected"},
    ),
    "except where otherwise indicated": (
        {"LICENSE": "The following license covers this documentation, and the source code, except where\notherwise "
                    "indicated.\n\n" + text("bsd-simplified"), "a.hs": "main = pure ()\n"}, {"a.hs": "allowed"},
    ),
    "a licence at the end of a long comment": (
        {"LICENSE": MIT, "m4/a.m4": "# SYNOPSIS\n" + "# This macro looks for a library and sets variables.\n" * 80
                                    + "".join(f"# {line}\n" for line in GPL.splitlines()) + "AC_DEFUN([A])\n" * 400,
         "m4/b.m4": "dnl @author A. Body\ndnl @license GPLWithACException\nAC_DEFUN([B])\n"},
        {"m4/a.m4": "rejected", "m4/b.m4": "review"},
    ),
    "a text that is the name of another": (
        {"LICENSE": "See COPYING\n", "COPYING": MIT, "lib/LICENSE": "../LICENSE", "lib/a.c": "int a;\n",
         "a.c": "int a;\n"},
        {"a.c": "allowed", "lib/a.c": "allowed"},
    ),
    "the licence of a logo in a README": (
        {"LICENSE": MIT, "README.md": "# x\n\n### License\n\nProject: MIT\n\nLogo: CC-BY-SA. It is elsewhere.\n",
         "a.sh": "true\n"}, {"a.sh": "allowed"},
    ),
    "alternatives that are listed below": (
        {"LICENSE.txt": "This package is Free Software available under any one of the specified\nlicenses below. All "
                        "the licenses below are alternatives and if you select one, that one alone applies.\n\n"
                        "1. The GNU Lesser General Public License (LGPL) Version 2.1 or any newer version\n\n"
                        "   See COPYING.LIB for the full license text.\n\n2. The Apache License V2.0\n\n"
                        "   See LICENSE-2.0.txt for the full license text.\n",
         "COPYING.LIB": text("lgpl-2.1"), "LICENSE-2.0.txt": text("apache-2.0"), "a.c": "int a;\n"}, {"a.c": "allowed"},
    ),
    "a program that declares what the text does not say": (
        {"LICENSE": "Free software for noncommercial use by universities. Ask for anything else.\n",
         "setup.py": "from setuptools import setup\n\nsetup(name='x', license='MIT license')\n", "a.py": CODE,
         "b.py": comment(MIT)}, {"setup.py": "not allowed", "a.py": "not allowed", "b.py": "allowed"},
    ),
    "accepted parts of what a README puts under the GPL": (
        {"README": "Tool may be copied only under the terms of either the Artistic License or the GNU General Public "
                   "License, which may be found in the Perl kit.\n", "a.pl": comment(MIT), "lib/LICENSE": MIT,
         "lib/a.py": CODE}, {"a.pl": "review", "lib/a.py": "review"},
    ),
    "a folder with a licence of its own that the text above names": (
        {"LICENSE": MIT + "\n\nlib/a/* is taken from elsewhere, see there.\n", "lib/a/LICENSE": BSD3,
         "lib/a/x.py": CODE, "lib/b.py": CODE}, {"lib/a/x.py": "allowed", "lib/b.py": "allowed"},
    ),
    "a manifest below a text that is in doubt": (
        {"LICENSE": BSD3 + "\nNo person may use the software for military purposes.\n", "p/a.py": CODE,
         "p/pyproject.toml": '[project]\nname = "x"\nlicense = "BSD-3-Clause"\n'}, {"p/a.py": "review"},
    ),
    "names of licences in passing": (
        {"LICENSE": MIT, "requirements.txt": "pylint==1.9.4  # GPLv2\n",
         "a.py": f"{CODE}KNOWN = ['GPLv3', 'CC-BY-SA-4.0']\n", "b.py": f"{CODE}__license__ = 'GPLv3'\n",
         "c.py": f"# GPLv3\n{CODE}"},
        {"requirements.txt": "allowed", "a.py": "allowed", "b.py": "rejected", "c.py": "not allowed"},
    ),
    "the GPL behind MIT": (
        {"LICENSE": MIT + "\n\n" + text("gpl-3.0"), "package.json": npm("MIT"), "a.js": "let a = 1;\n"},
        {"a.js": "rejected"},
    ),
    "a licence that forbids sale behind MIT": (
        {"LICENSE": MIT + "\n\n" + text("commons-clause"), "package.json": npm("MIT"), "a.js": "let a = 1;\n"},
        {"a.js": "not allowed"},
    ),
    "texts of others in their own files": (
        {"LICENSE": BSD3, "LICENSES/other.txt": text("bsd-original"), "LICENSE.third-party": text("openssl-ssleay"),
         "pyproject.toml": '[project]\nname = "x"\nlicense = "BSD-3-Clause"\n', "a.py": CODE}, {"a.py": "allowed"},
    ),
    "two texts at the root": (
        {"LICENSE": MIT, "COPYING": text("gpl-2.0"), "package.json": npm("MIT"), "a.js": "let a = 1;\n"},
        {"a.js": "rejected"},
    ),
    "a choice with both texts": (
        {"LICENSE": "You may use this software under the MIT license or the GNU General Public License, version 3, at "
                    "your choice. Dual licensed: MIT OR GPL-3.0-only\n\n" + text("mit") + "\n\n" + text("gpl-3.0"),
         "package.json": npm("MIT OR GPL-3.0-only"), "a.js": "let a = 1;\n"},
        {"a.js": "allowed", "package.json": "allowed"},
    ),
    "header with both sides of the choice": (
        {"LICENSE": text("apache-2.0"), "LICENSE-MPL": text("mpl-2.0"), "package.json": npm("MPL-2.0 OR Apache-2.0"),
         "a.js": "/* Licensed under the Apache License 2.0 and the Mozilla Public License 2.0 */\nlet a = 1;\n",
         "b.js": "// SPDX-License-Identifier: MPL-2.0\nlet b = 1;\n"},
        {"a.js": "allowed", "b.js": "rejected"},
    ),
    "a variant that the manifest calls by its family": (
        {"LICENSE": text("bsd-2-clause-views"), "package.json": npm("BSD-2-Clause"), "a.js": "let a = 1;\n"},
        {"a.js": "allowed"},
    ),
    "Python's licence with its history": (
        {"LICENSE": PYTHON + text("python"), "a.py": CODE,
         "pyproject.toml": '[project]\nname = "x"\nlicense = "PSF-2.0"\n'}, {"a.py": "allowed"},
    ),
    "a title over the text": (
        {"LICENSE": "Dual licensed under WTFPL and MIT:\n\n" + text("wtfpl-2.0") + "\n\nThe MIT License\n\n" + MIT,
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "unless a file says otherwise": (
        {"LICENSE": "Except when otherwise stated in the files, the following holds:\n\n" + MIT, "a.py": CODE},
        {"a.py": "allowed"},
    ),
    "unless it is sold": (
        {"LICENSE": "Except when the software is sold, the following holds:\n\n" + MIT, "a.py": CODE},
        {"a.py": "review"},
    ),
    "a README with a licence, nothing else": (
        {"README.md": "# x\n\n## License\n\n(The MIT License)\n\n" + MIT, "a.py": CODE},
        {"README.md": "review", "a.py": "review"},
    ),
    "a README of a folder": (
        {"LICENSE": MIT, "cli/README.md": "# cli\n\n## License\n\nThe program is under the GPLv2.\n", "cli/a.py": CODE,
         "a.py": CODE}, {"a.py": "allowed", "cli/a.py": "review", "cli/README.md": "not allowed"},
    ),
    "MIT folder in a GPL work": (
        {"COPYING": text("gpl-3.0"), "lib/LICENSE": MIT, "lib/a.py": CODE}, {"lib/a.py": "review"},
    ),
    "pages called license": (
        {"LICENSE": MIT, "examples/license-manager/list-license-types.rst": "How to list types of licenses.\n",
         "examples/license-manager/a.py": CODE}, {"examples/license-manager/a.py": "allowed"},
    ),
    "a file without a known licence called LICENSE": (
        {"LICENSE": MIT, "sub/LICENSE": "All of this belongs to Acme. Ask before you touch it.\n", "sub/a.py": CODE},
        {"sub/a.py": "not allowed"},
    ),
    "words of the licence itself in a stanza": (
        {"debian/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n"
                             "Copyright: none\nLicense: Unlicense\n\nLicense: Unlicense\n"
                             + "".join(f" {line or '.'}\n" for line in text("unlicense").splitlines()),
         "a.py": CODE}, {"a.py": "allowed"},
    ),
    "a page that mentions a licence, named in debian/copyright": (
        {"debian/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n"
                             "Copyright: A\nLicense: Expat\n\nFiles: docs/*\nCopyright: A\nLicense: CC-BY-3.0\n",
         "docs/a.yml": "title: x\nbody: |\n  This tool is licensed under the MIT license.\n", "a.py": CODE},
        {"docs/a.yml": "rejected", "a.py": "allowed"},
    ),
    "nearly a licence that a manifest names": (
        {"LICENSE": text("mit").replace("to use, copy, modify, merge", "to run, study, alter, combine"),
         "package.json": npm("GPL-3.0-only"), "a.js": "let a = 1;\n"}, {"a.js": "not allowed"},
    ),
}  # fmt: skip


def decided(files: dict[str, str], library) -> dict:
    made = [excerpt(path, path, content, RECIPE) for path, content in files.items()]
    return {d.path: d for d in decide(made, library.scan, RECIPE)}


@pytest.mark.parametrize("name", MIXTURES)
def test_mixture(name, library):
    files, expected = MIXTURES[name]
    decisions = decided(files, library)
    for path, wanted in expected.items():
        found = decisions[path]
        assert (found.decision != "allowed") if wanted == "not allowed" else (found.decision == wanted), found


def test_a_gpl_header_beats_a_choice_of_the_repository(library):
    files = {"LICENSE": text("mit"), "package.json": npm("MIT OR GPL-3.0-or-later"), "a.js": f"/* {GPL} */\nlet a;\n"}
    assert decided(files, library)["a.js"].decision == "rejected"
