"""Small repositories with one difficulty each: files that must not be kept, and files that must not be lost."""

from __future__ import annotations

import pytest

from nemotron_assets.code.licences.decide import decide
from nemotron_assets.code.licences.excerpts import excerpt
from nemotron_assets.recipe.code.licences import CodeLicences

RECIPE = CodeLicences()
MIT = """MIT License

Copyright (c) 2020 Some Body

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
BSD3 = """Copyright (c) 2019, Example Org.
All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
   disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
   disclaimer in the documentation and/or other materials provided with the distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote
   products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""
ADVERTISING = """3. All advertising materials mentioning features or use of this software must display the following
   acknowledgement: This product includes software developed by the Example Org.
4. Neither"""
BSD4 = BSD3.replace("3. Neither", ADVERTISING)
GPL = """This program is free software: you can redistribute it and/or modify it under the terms of the GNU General
Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any
later version."""
ISC = """Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies."""
CODE = "def f(x):\n    return x + 1\n"


def comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines()) + CODE


#: name -> (files of the repository, what is expected of some of them)
TRAPS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "plain": ({"LICENSE": MIT, "a.py": CODE}, {"a.py": "allowed"}),
    "no licence": ({"README.md": "# Tool\n\nDoes things.\n", "a.py": CODE}, {"a.py": "rejected"}),
    "GPL file in an MIT repository": (
        {"LICENSE": MIT, "a.py": CODE, "gpl.py": comment(GPL)}, {"a.py": "allowed", "gpl.py": "rejected"},
    ),
    "MIT file in a GPL repository": (
        {"COPYING": GPL, "a.py": CODE, "mit.py": comment(MIT)}, {"a.py": "rejected", "mit.py": "review"},
    ),
    "own header in an MPL repository": (
        {"a.py": comment("SPDX-License-Identifier: MIT"), "b.py": CODE,
         "LICENSE": "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0."},
        {"a.py": "review", "b.py": "rejected"},
    ),
    "only in headers": ({"a.py": comment(BSD3), "b.py": CODE}, {"a.py": "allowed", "b.py": "rejected"}),
    "SPDX tags": (
        {"a.c": "// SPDX-License-Identifier: MIT OR GPL-2.0-only\nint a;\n",
         "b.c": "// SPDX-License-Identifier: MIT AND GPL-2.0-only\nint b;\n",
         "c.cc": "// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\nint c;\n",
         "d.c": "/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */\nint d;\n",
         "e.c": "// SPDX-License-Identifier: LicenseRef-Acme\nint e;\n"},
        {"a.c": "allowed", "b.c": "rejected", "c.cc": "allowed", "d.c": "rejected", "e.c": "review"},
    ),
    "four clauses": ({"LICENSE": BSD4, "a.py": CODE}, {"a.py": "rejected"}),
    "good, not evil": (
        {"LICENSE": MIT.replace("THE SOFTWARE IS", "The Software shall be used for Good, not Evil.\n\nTHE SOFTWARE IS"),
         "a.py": CODE}, {"a.py": "rejected"},
    ),
    "Commons Clause": (
        {"LICENSE": '"Commons Clause" License Condition v1.0\n\nThe Software is provided to you by the Licensor under '
                    "the License, as defined below, subject to the following condition. Without limiting other "
                    "conditions "
                    "in the License, the grant of rights under the License will not include, and the License does not "
                    "grant to you, the right to Sell the Software.\n\n" + MIT, "a.py": CODE}, {"a.py": "rejected"},
    ),
    "a condition put in front": (
        {"LICENSE": "You may not use this software in a product that competes with ours.\n\n" + MIT, "a.py": CODE},
        {"a.py": "review"},
    ),
    "words put into the text": (
        {"LICENSE": MIT.replace("to use, copy", "to use for non-commercial purposes only, copy"), "a.py": CODE},
        {"a.py": "not allowed"},
    ),
    "other names": (
        {"LICENSE": BSD3.replace("the copyright holder nor the names of its", "Foo Inc. nor the names of its"),
         "a.py": CODE},
        {"a.py": "allowed"},
    ),
    "Creative Commons": (
        {"LICENSE": "This work is licensed under the Creative Commons Attribution-NonCommercial 4.0 License.",
         "a.py": CODE}, {"a.py": "rejected"},
    ),
    "UNLICENSED": (
        {"package.json": '{"name": "x", "license": "UNLICENSED"}', "a.js": "let a = 1;\n"}, {"a.js": "rejected"},
    ),
    "manifest alone": ({"Cargo.toml": '[package]\nname = "x"\nlicense = "MIT/Apache-2.0"\n', "src/a.rs": "fn a() {}\n"},
                       {"src/a.rs": "allowed"}),
    "manifest against the text": (
        {"LICENSE": MIT, "package.json": '{"name": "x", "license": "GPL-3.0-or-later"}', "a.js": "let a = 1;\n"},
        {"a.js": "review"},
    ),
    "proprietary header": (
        {"LICENSE": MIT, "a.py": comment("Copyright Acme. PROPRIETARY AND CONFIDENTIAL.\nUnauthorized copying of this "
                                         "file is strictly prohibited."), "b.py": CODE},
        {"a.py": "not allowed", "b.py": "allowed"},
    ),
    "R's form": (
        {"LICENSE": "YEAR: 2019\nCOPYRIGHT HOLDER: Some Body\n", "R/a.R": "f <- function(x) x\n",
         "DESCRIPTION": "Package: x\nVersion: 1.0\nLicense: MIT + file LICENSE\n"}, {"R/a.R": "allowed"},
    ),
    "R's form of a GPL package": (
        {"LICENSE": "YEAR: 2019\nCOPYRIGHT HOLDER: Some Body\n", "R/a.R": "f <- function(x) x\n",
         "DESCRIPTION": "Package: x\nVersion: 1.0\nLicense: GPL (>= 2)\n"}, {"R/a.R": "rejected"},
    ),
    "another language": (
        {"LICENSE": "Dieses Programm darf nur mit Erlaubnis des Autors weitergegeben werden. Alle Rechte "
                    "vorbehalten.\n",
         "a.py": CODE}, {"a.py": "not allowed"},
    ),
    "only a NOTICE": (
        {"NOTICE": "This product includes software developed by Example.\n", "a.py": CODE}, {"a.py": "rejected"},
    ),
    "licence of a subfolder": (
        {"lib/LICENSE": MIT, "lib/a.py": CODE, "b.py": CODE}, {"lib/a.py": "allowed", "b.py": "rejected"},
    ),
    "several licences in one file": (
        {"LICENSE": MIT + "\n\nThe file b.py is under the following licence:\n\n" + GPL, "a.py": CODE},
        {"a.py": "not allowed"},
    ),
    "other people's folder": (
        {"LICENSE": MIT, "third_party/x/a.py": CODE, "third_party/y/LICENSE": BSD3, "third_party/y/b.py": CODE,
         "c.py": CODE},
        {"third_party/x/a.py": "review", "third_party/y/b.py": "allowed", "c.py": "allowed"},
    ),
    "generated files and tests": (
        {"LICENSE": MIT, "gen/a.py": "# Generated by protoc. DO NOT EDIT.\n" + CODE, "tests/data/x.json": '{"a": 1}\n'},
        {"gen/a.py": "allowed", "tests/data/x.json": "allowed"},
    ),
    "dual texts": (
        {"LICENSE-MIT": MIT, "LICENSE-GPL": GPL, "a.rs": "fn a() {}\n"}, {"a.rs": "rejected"},
    ),
    "dual by manifest": (
        {"LICENSE-MIT": MIT, "LICENSE-GPL": GPL, "a.rs": "fn a() {}\n",
         "Cargo.toml": '[package]\nname = "x"\nlicense = "MIT OR GPL-3.0-or-later"\n'}, {"a.rs": "allowed"},
    ),
    "a README alone": ({"README.md": "# x\n\n## License\n\nMIT License\n", "a.py": CODE}, {"a.py": "review"}),
    "a README against the text": (
        {"LICENSE": MIT, "README.md": "# x\n\n## License\n\nFree for non-commercial use. Other use costs.\n",
         "a.py": CODE}, {"a.py": "review"},
    ),
    "licence at the end": ({"a.h": "int a;\n" * 600 + "/*\n" + GPL + "\n*/\n", "LICENSE": MIT}, {"a.h": "rejected"}),
    "debian/copyright by stanza": (
        {"debian/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n"
                             "Copyright: 2020 A\nLicense: Expat\n\nFiles: contrib/*\nCopyright: B\nLicense: GPL-2+\n\n"
                             "Files: debian/*\nCopyright: C\nLicense: GPL-3+\n",
         "a.py": CODE, "contrib/b.py": CODE}, {"a.py": "allowed", "contrib/b.py": "rejected"},
    ),
    "REUSE": (
        {"REUSE.toml": 'version = 1\n[[annotations]]\npath = "data/**"\nSPDX-License-Identifier = "GPL-3.0-only"\n',
         "LICENSES/MIT.txt": MIT, "a.py": comment("SPDX-License-Identifier: MIT"), "data/x.py": CODE},
        {"a.py": "allowed", "data/x.py": "rejected"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_trap(name, library):
    files, expected = TRAPS[name]
    decisions = {
        d.path: d for d in decide([excerpt(p, p, text, RECIPE) for p, text in files.items()], library.scan, RECIPE)
    }
    assert set(decisions) == set(files)
    for path, wanted in expected.items():
        found = decisions[path]
        if wanted == "not allowed":
            assert found.decision != "allowed", found
        else:
            assert found.decision == wanted, found
        if found.decision == "allowed":
            assert found.evidence and found.expression
