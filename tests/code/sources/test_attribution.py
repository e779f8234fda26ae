"""The whole licence text of every kept file is passed on: the repository's own text, or the general one."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.code.sources.attribution import attributions_of, missing_texts
from nemotron_assets.code.sources.files import file_id
from nemotron_assets.code.sources.tables import ATTRIBUTIONS, FILES, METADATA
from nemotron_assets.code.terms import standard
from resources.lakehouse import Lakehouse

FULL = 0.9
MIT, APACHE = standard.text("MIT"), standard.text("Apache-2.0")
STUB = "YEAR: 2020\nCOPYRIGHT HOLDER: R6 authors\n"
LINE = "# SPDX-License-Identifier: MIT\nx = 1\n"
# what is in the repository; licence of its file a.py; (path, origin) of the texts that go with it
CASES = {
    "whole": ({"LICENSE": "MIT License\n\nCopyright (c) 2020 Them\n\n" + MIT}, "MIT", [("LICENSE", "repository")]),
    "stub": ({"LICENSE": STUB}, "MIT", [("LICENSE", "repository"), ("LICENSES/MIT.txt", "standard")]),
    "manifest": ({"setup.cfg": "[metadata]\nlicense = MIT\n"}, "MIT",
                 [("LICENSES/MIT.txt", "standard"), ("setup.cfg", "repository")]),
    "holders": ({"setup.cfg": "[metadata]\nlicense = MIT\n", "PKG-INFO": "License: MIT\nAuthor: A. Body\n"}, "MIT",
                [("LICENSES/MIT.txt", "standard"), ("PKG-INFO", "repository")]),
    "line": ({"a.py": LINE}, "MIT", [("LICENSES/MIT.txt", "standard"), ("a.py", "repository")]),
    "either": ({"LICENSE-MIT": MIT}, "MIT OR Apache-2.0", [("LICENSE-MIT", "repository")]),
    "both": ({"LICENSE-MIT": MIT}, "MIT AND Apache-2.0",
             [("LICENSE-MIT", "repository"), ("LICENSES/Apache-2.0.txt", "standard")]),
    "neither": ({}, "MIT OR Apache-2.0",
                [("LICENSES/Apache-2.0.txt", "standard"), ("LICENSES/MIT.txt", "standard")]),
    "exception": ({"LICENSE": APACHE}, "Apache-2.0 WITH LLVM-exception",
                  [("LICENSE", "repository"), ("LICENSES/LLVM-exception.txt", "standard")]),
    "notice": ({"LICENSE": MIT, "NOTICE": "Made by us.\n"}, "MIT",
               [("LICENSE", "repository"), ("NOTICE", "repository")]),
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lakehouse:
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")))
    files, kept = [], []
    for name, (texts, licence, _) in CASES.items():
        for path, text in ({"a.py": "x = 1\n"} | texts).items():
            facts = {"repo": f"own/{name}", "commit_id": "c0", "rel_path": path}
            files.append({"id": file_id(*facts.values()), "content": text, **facts})
            if path == "a.py":
                kept.append({"id": name, "license": licence, **facts})
    for table, rows in ((FILES, files), (METADATA, kept)):
        plain = {"string": "x", "int64": 1, "list[string]": ["x"]}
        base = {c.name: None if c.nullable else plain[c.dtype] for c in table.columns}
        lake.write(table, pl.DataFrame([base | row for row in rows], table.empty().schema))
    return lake


def rows(lake: Lakehouse) -> pl.DataFrame:
    return pl.concat(pl.from_arrow(b) for b in attributions_of(lake.read(FILES), lake.read(METADATA), FULL))


@pytest.mark.parametrize("name", CASES)
def test_the_texts_that_go_with_a_repository(lake, name):
    found = rows(lake).filter(repo=f"own/{name}")
    assert sorted(found.select("rel_path", "origin").rows()) == CASES[name][2]
    assert found["id"].n_unique() == len(found)
    known = set(lake.read(FILES).scan().filter(repo=f"own/{name}").collect()["id"])
    assert {parent for parents in found["parents"] for parent in parents} <= known
    for path, text in found.filter(origin="standard").select("rel_path", "text").rows():
        assert text == standard.text(path.removeprefix("LICENSES/").removesuffix(".txt"))


def test_a_standard_text_names_the_file_that_declares_the_licence(lake):
    found = rows(lake).filter(origin="standard", license="MIT")
    declares = {"holders": "PKG-INFO", "stub": "LICENSE", "manifest": "setup.cfg", "line": "a.py", "neither": "a.py"}
    assert dict(found.select("repo", pl.col("parents").list.first()).rows()) == {
        f"own/{name}": file_id(f"own/{name}", "c0", path) for name, path in declares.items()
    }


def test_twice_the_same_and_complete(lake):
    first = rows(lake)
    assert first.equals(rows(lake))
    assert first.schema == ATTRIBUTIONS.empty().schema
    assert missing_texts(first.to_arrow().to_batches(), lake.read(METADATA).scan(), FULL) == []


def test_what_is_missing_is_named(lake):
    own = rows(lake).filter(pl.col("origin") == "repository")
    assert missing_texts(own.to_arrow().to_batches(), lake.read(METADATA).scan(), FULL) == [
        ("own/both", "Apache-2.0"),
        ("own/exception", "LLVM-exception"),
        ("own/holders", "MIT"),
        ("own/line", "MIT"),
        ("own/manifest", "MIT"),
        ("own/neither", "Apache-2.0"),
        ("own/neither", "MIT"),
        ("own/stub", "MIT"),
    ]


@pytest.mark.parametrize("name", ["MIT", "Apache-2.0", "BSD-3-Clause", "Zlib", "PostgreSQL", "LLVM-exception"])
def test_a_standard_text_is_the_whole_of_itself_and_of_no_other(name):
    assert standard.carried([name, "GPL-3.0-only"], standard.text(name), FULL) == {name}
    assert standard.carried([name], "x = 1", FULL) == set()


@pytest.mark.parametrize(
    ("own", "named"), [("MIT-0", "MIT"), ("0BSD", "ISC"), ("BSD-2-Clause", "BSD-3-Clause"), ("NCSA", "MIT"),
                       ("Python-2.0", "ISC"), ("Python-2.0", "0BSD")]
)  # fmt: skip
def test_the_text_of_a_licence_with_the_same_words_is_not_the_whole(own, named):
    assert standard.carried([named], standard.text(own), FULL) == set()


def test_a_text_is_the_whole_with_a_holder_in_it_and_as_a_comment():
    own = standard.text("BSD-3-Clause").replace("copyright holder", "University of Here")
    assert standard.carried(["BSD-3-Clause"], "".join(f" * {line}\n" for line in own.splitlines()), FULL)


def test_every_licence_can_be_asked_for_its_text():
    """Those that are but a name (public domain) have none, and whatever text there is stands for them."""
    assert standard.text("LicenseRef-PublicDomain") is None
    assert standard.carried(["LicenseRef-PublicDomain"], "Given to the public.", FULL)
    for name in standard._keys():
        standard.text(name)


def test_licences_without_a_text():
    assert standard.text("LicenseRef-own") is None
    assert standard.lacking("LicenseRef-own", lambda name: name in standard.carried([name], "", FULL)) == {
        "LicenseRef-own"
    }
