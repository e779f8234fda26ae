"""Which of several copies is kept and why; near duplicates are compared with a plain comparison of every pair."""

from __future__ import annotations

import itertools
import random
import re
from datetime import UTC, datetime

import polars as pl
import pytest

from nemotron_assets.code.path_rules import by_path
from nemotron_assets.code.sources.duplicates import duplicates_of, licence_rank, version_key
from nemotron_assets.code.sources.files import file_id, repository_id
from nemotron_assets.code.sources.tables import DUPLICATES, FILES, REPOSITORIES
from nemotron_assets.recipe import current_recipe
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Part, Parts
from resources.lakehouse import Lakehouse

COMMIT = "a" * 40
ORDER = ("CC0-1.0", "MIT", "Apache-2.0")


def lake_with(folder, files, repositories=()):
    """A lake with files (repo, path, text) or (repo, path, text, language), and what is known of repositories."""
    lake = Lakehouse(root=str(folder))
    known = dict(repositories)
    rows = [
        {
            "id": file_id(repo, COMMIT, path),
            "parents": [repository_id(repo, COMMIT)],
            "repo": repo,
            "commit_id": COMMIT,
            "rel_path": path,
            "language": (*more, "Python")[0],
            "language_by": "extension",
            "content": text,
            "bytes": len(text.encode()),
            "encoding": "utf-8",
            "blob_id": "",
            "content_hash": content_hash(text),
        }
        for repo, path, text, *more in files
    ]
    schema = FILES.empty().schema
    frame = pl.DataFrame(rows, schema=schema)
    lake.write(
        FILES, Parts(Part(r, "1", lambda r=r: frame.filter(pl.col("repo") == r)) for r in frame["repo"].unique())
    )
    about = [
        {
            "id": repository_id(repo, COMMIT),
            "repo": repo,
            "commit_id": COMMIT,
            "source": "s",
            "kind": "git",
            "location": "",
            "version": None,
            "updated_at": None,
            "stars": None,
            "fingerprint": "",
            **known.get(repo, {}),
        }
        for repo in sorted(set(frame["repo"]))
    ]
    lake.write(REPOSITORIES, pl.DataFrame(about, schema=REPOSITORIES.empty().schema))
    return lake


def found(lake, licences=(), misplaced=None, **changes):
    """{(repo, path): row} of the duplicates."""
    recipe = current_recipe().code.dedup.model_copy(update=changes)
    batches = list(duplicates_of(lake.read(FILES), lake.read(REPOSITORIES), recipe, licences, misplaced))
    empty = DUPLICATES.empty()
    rows = pl.concat(
        [empty, *(pl.from_arrow(batch) if not isinstance(batch, pl.DataFrame) else batch for batch in batches)]
    )
    return {(row["repo"], row["rel_path"]): row for row in rows.iter_rows(named=True)}


TEXT = "def area(width, height):\n    return width * height\n"


@pytest.mark.parametrize(
    ("about", "winner", "why"),
    [
        ({"a/a": {"updated_at": datetime(2020, 1, 1, tzinfo=UTC)},
          "b/b": {"updated_at": datetime(2021, 1, 1, tzinfo=UTC)}},
         "b/b", "commit: 2021-01-01 00:00:00 after 2020-01-01 00:00:00"),
        ({"a/a": {}, "b/b": {"updated_at": datetime(2021, 1, 1, tzinfo=UTC)}}, "b/b",
         "commit: 2021-01-01 00:00:00 after unknown"),
        ({"a/a": {"version": "1.9"}, "b/b": {"version": "1.10"}}, "b/b", "version: 1.10 after 1.9"),
        ({"a/a": {"version": "2.0rc1"}, "b/b": {"version": "2.0"}}, "b/b", "version: 2.0 after 2.0rc1"),
        ({}, "b/b", "files: 2 before 1"),
    ],
)  # fmt: skip
def test_the_newest_then_the_largest_repository_wins_and_the_row_says_so(tmp_path, about, winner, why):
    files = [("a/a", "x.py", TEXT), ("b/b", "y.py", TEXT), ("b/b", "z.py", "import os\nprint(os.getcwd(), 1, 2, 3)\n")]
    (row,) = found(lake_with(tmp_path, files, about.items())).values()
    assert (row["duplicate_of_repo"], row["why"], row["kind"]) == (winner, why, "exact")
    assert row["similarity"] == row["containment"] == 1.0


def test_a_copy_among_other_peoples_code_never_drives_out_the_original(tmp_path):
    newest = {"app/app": {"updated_at": datetime(2024, 1, 1, tzinfo=UTC)},
              "lib/lib": {"updated_at": datetime(2020, 1, 1, tzinfo=UTC)}}  # fmt: skip
    lake = lake_with(tmp_path, [("app/app", "vendor/lib/x.py", TEXT), ("lib/lib", "x.py", TEXT)], newest.items())
    assert set(found(lake)) == {("lib/lib", "x.py")}
    misplaced = pl.any_horizontal(by_path(current_recipe().code.quality).values())
    rows = found(lake, misplaced=misplaced)
    assert set(rows) == {("app/app", "vendor/lib/x.py")}
    assert rows["app/app", "vendor/lib/x.py"]["why"] == "place: x.py before vendor/lib/x.py"


def test_names_decide_last(tmp_path):
    rows = found(lake_with(tmp_path, [("b/b", "x.py", TEXT), ("a/a", "x.py", TEXT)]))
    assert rows["b/b", "x.py"]["why"] == "name: a/a before b/b"
    rows = found(lake_with(tmp_path / "2", [("a/a", "x.py", TEXT), ("a/a", "w.py", TEXT)]))
    assert rows["a/a", "x.py"]["why"] == "name: w.py before x.py"


def test_the_licence_that_asks_for_least_wins_before_all_else(tmp_path):
    lake = lake_with(
        tmp_path, [("a/a", "x", TEXT), ("b/b", "x", TEXT), ("c/c", "x", TEXT)], {"a/a": {"version": "9"}}.items()
    )
    judged = {"a/a": ("GPL-3.0-only", "rejected"), "b/b": ("Apache-2.0", "allowed"), "c/c": ("MIT", "allowed")}
    licences = pl.DataFrame(
        [(file_id(repo, COMMIT, "x"), *licence) for repo, licence in judged.items()],
        schema=["id", "licence", "decision"],
        orient="row",
    )
    rows = found(lake, [licences])
    assert rows["a/a", "x"]["why"] == "licence: MIT before GPL-3.0-only"
    assert rows["b/b", "x"]["why"] == "licence: MIT before Apache-2.0"


@pytest.mark.parametrize(
    ("licence", "decision", "rank"),
    [("CC0-1.0", "allowed", 0), ("MIT", "allowed", 1), ("Apache-2.0 OR MIT", "allowed", 1),
     ("MIT AND Apache-2.0", "allowed", 2), ("(MIT AND Apache-2.0) OR CC0-1.0", "allowed", 0),
     ("Apache-2.0 WITH LLVM-exception", "allowed", 2), ("ISC", "allowed", 3), ("MIT", "review", 4), (None, "review", 4),
     ("MIT", "rejected", 5), (None, "rejected", 5)],
)  # fmt: skip
def test_licences_have_their_places(licence, decision, rank):
    assert licence_rank(licence, decision, ORDER) == rank


def test_versions_sort_as_versions():
    ordered = [
        "0.9",
        "1.0.dev1",
        "1.0a1",
        "1.0b2",
        "1.0rc1",
        "1.0",
        "1.0.1",
        "1.2",
        "1.10",
        "1.10.0",
        "2.0-beta",
        "2.0",
    ]
    assert sorted(ordered, key=version_key) == ordered
    assert version_key(None) is None


def variants(seed: int) -> list[tuple[str, str, str]]:
    """Files made by changing some words of a few others, so that their similarities are anything from 0 to 1."""
    rng = random.Random(seed)
    words = [f"name{n}" for n in range(400)]
    originals = [[rng.choice(words) for _ in range(rng.randint(20, 200))] for _ in range(6)]
    files = []
    for number in range(60):
        text = list(rng.choice(originals))
        for _ in range(rng.choice([0, 0, 1, 2, 4, 8, 20])):
            text[rng.randrange(len(text))] = rng.choice(words)
        files.append((f"r/{number % 7}", f"{number:02d}.py", "\n".join(text)))
    return files


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[k : k + 5]) for k in range(max(1, len(words) - 4))}


@pytest.mark.parametrize("seed", [1, 2])
def test_near_duplicates_are_those_of_a_plain_comparison(tmp_path, seed):
    """With texts compared pair by pair in the order of precedence; pairs just above the limit may be missed by LSH."""
    files = variants(seed)
    rows = found(lake_with(tmp_path, files), max_bucket=1_000)
    number = {repo: sum(f[0] == repo for f in files) for repo, *_ in files}
    order = sorted(files, key=lambda f: (-number[f[0]], f[0], f[1]))
    kept: list[tuple[str, str, str]] = []
    texts: dict[str, tuple[str, str]] = {}
    expected = {}
    for repo, path, text in order:
        if text in texts:
            expected[repo, path] = texts[text]
            continue
        of = shingles(text)
        first = next((k for k in kept if len(of & shingles(k[2])) / len(of | shingles(k[2])) >= 0.8), None)
        if first:
            expected[repo, path] = texts[text] = first[:2]
        else:
            kept.append((repo, path, text))
            texts[text] = repo, path
    assert len(expected) > 10
    assert {key: (row["duplicate_of_repo"], row["duplicate_of_path"]) for key, row in rows.items()} == expected
    text_of = {(repo, path): text for repo, path, text in files}
    for key, row in rows.items():
        one, other = shingles(text_of[key]), shingles(text_of[row["duplicate_of_repo"], row["duplicate_of_path"]])
        assert row["similarity"] == pytest.approx(len(one & other) / len(one | other))
        assert row["containment"] == pytest.approx(len(one & other) / min(len(one), len(other)))


def test_a_text_inside_a_longer_one_is_contained_in_it(tmp_path):
    text = " ".join(f"w{n}" for n in range(100))
    (row,) = found(lake_with(tmp_path, [("a/a", "x.py", text), ("a/a", "y.py", text + " and more")])).values()
    assert (row["kind"], row["containment"]) == ("near", 1.0) and row["similarity"] == pytest.approx(96 / 98)


def test_the_result_does_not_depend_on_how_much_fits_into_memory(tmp_path, monkeypatch):
    from nemotron_assets.code.sources import duplicates

    lake = lake_with(tmp_path, variants(3))
    whole = found(lake)
    compare = duplicates._compare
    calls = itertools.count()
    monkeypatch.setattr(duplicates, "_compare", lambda *a: (next(calls), compare(*a))[1])
    monkeypatch.setattr(duplicates, "_CHARACTERS_PER_MB", 40)
    assert found(lake) == whole and next(calls) > 5


def test_files_of_two_languages_are_near_duplicates_only_if_the_recipe_says_so(tmp_path):
    text = " ".join(f"w{n}" for n in range(100))
    files = [("a/a", "x.js", text, "JavaScript"), ("a/a", "x.ts", text + " more", "TypeScript")]
    lake = lake_with(tmp_path, files)
    assert not found(lake)
    assert set(found(lake, within_language=False)) == {("a/a", "x.ts")}


def code(seed: int, lines: int = 60) -> str:
    """Some Python, with names of its own."""
    rng = random.Random(seed)
    name = [f"{rng.choice('abcdefgh')}{n}_{rng.randint(0, 999)}" for n in range(24)]
    body = [
        f"    {rng.choice(name)} = {rng.choice(name)}({rng.choice(name)}, {rng.choice(name)}[{rng.randint(0, 99)}])"
        for _ in range(lines)
    ]
    return "\n".join([f"def {name[0]}({name[1]}, {name[2]}):", *body, f"    return {name[3]}"]) + "\n"


MIT_HEAD = "# Copyright 2020 Jane Doe. Use of this code is governed by the MIT licence, see LICENSE.\n"
BSD_HEAD = "# (c) The Authors. All rights reserved. BSD-style licence that can be found in the COPYING file.\n"
VARIANTS = {
    "reformatted": lambda text: text.replace(", ", ",").replace(" = ", "=").replace("    ", "\t"),
    "other line breaks": lambda text: text.replace("\n", "\r\n"),
    "other licence header": lambda text: text.replace(MIT_HEAD, BSD_HEAD),
    "one name changed": lambda text: re.sub(r"a\d+_\d+", "renamed", text, count=3),
    "another comment": lambda text: text.replace("    return", "    # that was it\n    return"),
    "upper case": lambda text: text.upper(),
}


@pytest.mark.parametrize("change", VARIANTS)
def test_changed_copies_are_near_duplicates(tmp_path, change):
    """Seven in ten at least: MinHash with the recipe's bands finds pairs far above the limit, not all just above it."""
    texts = {n: MIT_HEAD + code(n) for n in range(10)}
    changed = {n: VARIANTS[change](text) for n, text in texts.items()}
    alike = {n for n in texts if changed[n] != texts[n] and similar(texts[n], changed[n]) >= 0.8}
    files = [("a/a", f"{n}.py", text) for n, text in texts.items()]
    files += [("b/b", f"{n}.py", text) for n, text in changed.items() if n in alike]
    rows = found(lake_with(tmp_path, files))
    assert len(alike) >= 7
    assert len(rows) >= 0.7 * len(alike)
    for (_, path), row in rows.items():
        assert row["kind"] == "near" and row["duplicate_of_path"] == path


def similar(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def test_other_code_in_the_same_form_is_not_a_duplicate(tmp_path):
    every = {"a/a": code(1), "b/b": code(2), "c/c": re.sub(r"[a-h]\d+_", lambda m: "other_" + m[0], code(1))}
    assert not found(lake_with(tmp_path, [(repo, "x.py", MIT_HEAD + text) for repo, text in every.items()]))


def test_the_order_of_arrival_changes_nothing(tmp_path):
    """Repositories stored in any order, all at once or one after the other: the same rows."""
    files = [(repo, path, MIT_HEAD + text) for repo, path, text in variants(4)]
    about = {f"r/{n}": {"updated_at": datetime(2020, 1, 1 + n % 3, tzinfo=UTC)} for n in range(7)}
    expected = found(lake_with(tmp_path / "all", files, about.items()))
    assert len(expected) > 10
    repos = sorted({repo for repo, *_ in files})
    for seed in range(3):
        random.Random(seed).shuffle(repos)
        for known in (repos[:3], repos):  # the second time over the lake that has some of them
            mine = [file for repo in known for file in files if file[0] == repo]
            lake = lake_with(tmp_path / str(seed), mine, about.items())
        assert found(lake) == expected
