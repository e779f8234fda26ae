"""The asset on a small lake: a decision per file, a planted repository without a licence, and no text scanned twice."""

from __future__ import annotations

import polars as pl

from nemotron_assets.code.licences.library import Library
from nemotron_assets.code.licences.rows import licence_parts
from nemotron_assets.code.licences.tables import LICENSES, SCANS
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.code.terms.texts import speaks_of_licences
from nemotron_assets.recipe.code.licences import CodeLicences
from nemotron_assets.table.ids import content_hash
from resources.lakehouse import Lakehouse
from tests.code.licences.test_traps import CODE, MIT

RECIPE = CodeLicences()


def rows(repo: str, files: dict[str, str]) -> list[dict]:
    return [
        {
            "id": content_hash(repo + path),
            "parents": [],
            "repo": repo,
            "commit_id": "c0",
            "rel_path": path,
            "language": "Python",
            "language_by": "extension",
            "content": text,
            "bytes": len(text),
            "encoding": "utf-8",
            "blob_id": "0" * 40,
            "content_hash": content_hash(text),
        }
        for path, text in files.items()
    ]


def test_decisions_are_stored_and_texts_are_asked_about_once(tmp_path):
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    planted = rows("own/free", {"LICENSE": MIT, "a.py": CODE}) + rows("own/none", {"a.py": CODE})
    schema = FILES.empty().schema
    lake.write(FILES, pl.DataFrame(planted, schema=schema))

    def run(folder: str):
        parts = licence_parts(lake.read(FILES), RECIPE, lake, tmp_path / folder, "run")
        return lake.write(LICENSES, parts, force=True)

    first = run("one")
    found = {(r["repo"], r["rel_path"]): r for r in lake.read(LICENSES).scan().collect().iter_rows(named=True)}
    assert found["own/free", "a.py"]["decision"] == "allowed"
    assert found["own/free", "a.py"]["license"] == "MIT"
    assert found["own/free", "a.py"]["evidence_path"] == "LICENSE"
    assert found["own/none", "a.py"]["decision"] == "rejected"
    assert found["own/none", "a.py"]["license"] is None
    stored = lake.read(SCANS)
    assert stored.rows > 0
    again = run("two")
    assert again.data_version == first.data_version
    assert lake.read(SCANS).version == stored.version
    assert not (tmp_path / "two").exists(), "the library was started for texts that are known"


def test_a_text_that_ends_the_library_is_its_own_problem(tmp_path, monkeypatch):
    with Library(tmp_path, seconds=100, memory_mb=4_096) as library:
        assert library.scan("SPDX-License-Identifier: MIT").findings
        library._process.kill()
        library._process.wait()
        assert library.scan("SPDX-License-Identifier: ISC").findings[0]["expression"] == "ISC"


def test_words_in_passing_are_found_by_the_prefilter():
    for text in (
        "Licensed under X",
        "// spdx-license-identifier",
        "(MIT)",
        "GPLv2",
        "Лицензия",
        "AS IS",
        "AS-IS",
        "public\ndomain",
    ):
        assert speaks_of_licences(text), text
    assert not speaks_of_licences("int commit(int discard) { return emit; }")
