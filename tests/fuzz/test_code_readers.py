"""Hostile repositories: archives, git objects, Parquet dumps, lists, manifests and other texts about licences."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemotron_assets.code.licences import debian, declarations, manifests, wording
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.quality.generated import is_generated
from nemotron_assets.code.quality.secrets import clean
from nemotron_assets.code.sources.language import language_of
from nemotron_assets.code.sources.text import decode, printable, unsafe
from nemotron_assets.code.terms import expressions, texts
from nemotron_assets.recipe import load_recipe
from resources.repositories import GitRepositories, ParquetDump, RepositoryError, SourceError, archive_entries
from resources.repositories.server import read_list
from tests.fuzz.hostile import fuzz
from tests.resources.repositories.places import files, git, limits, repository, tar, zipped

RECIPE = load_recipe("laptop").code
LIMITS = limits(timeout_s=10)


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_archives(mode):
    members = files(**{"a/one.py": b"print(1)\n" * 50, "a/LICENSE": b"MIT", "a/deep/two.c": b"int x;" * 9})
    seed = zipped([(name, data) for name, data, _ in members]) if mode == "zip" else tar(members, mode)
    pieces = [
        b"PK\1\2" + b"\0" * 42, b"PK\3\4", b"\0" * 512, b"ustar\00000", b"x" * 512, b"\x1f\x8b\x08\0", b"7", b"../",
        tar([("a", b"", {})], "w")[:512], b"BZh9", b"\xfd7zXZ\0",
    ]  # fmt: skip

    def read(data: bytes) -> None:
        for entry in archive_entries(io.BytesIO(data), LIMITS):
            printable(entry.path)

    fuzz(read, [seed], pieces, errors=(RepositoryError,))


def test_git_objects(tmp_path):
    """Packs, loose objects and references, each damaged in turn."""
    place = tmp_path / "repositories" / "owner" / "name"
    repository(place, {"a.py": b"print(1)\n" * 99, "dir/b.c": b"int x;\n", "LICENSE": b"MIT"})
    places = [*sorted((place / ".git/objects").glob("??/*")), place / ".git/HEAD", place / ".git/refs/heads/main"]
    good = {path: path.read_bytes() for path in places}
    bundle = tmp_path / "bundles" / "a.bundle"
    bundle.parent.mkdir()
    git(place, "bundle", "create", str(bundle), "--all")
    turn = 0

    def read(source: GitRepositories) -> None:
        for found in source.repositories():
            for entry in source.entries(found):
                printable(entry.path)

    def damage_object(data: bytes) -> None:
        nonlocal turn
        path = places[turn % len(places)]
        turn += 1
        path.chmod(0o644)
        path.write_bytes(data if len(data) < 400 else data[:400])
        try:
            read(GitRepositories("s", place.parent.parent, LIMITS))
        finally:
            path.write_bytes(good[path])

    def damage_bundle(data: bytes) -> None:
        bundle.write_bytes(data)
        read(GitRepositories("s", bundle.parent, LIMITS))

    pieces = [b"ref: refs/heads/main\n", b"x\x9c", b"0" * 40 + b" refs/heads/main\n", b"../", b"PACK", b"\0"]
    seeds = list(good.values())
    fuzz(damage_object, seeds, pieces, errors=(RepositoryError,), changed=12, repeated=6)
    fuzz(damage_bundle, [bundle.read_bytes()], pieces, errors=(RepositoryError,), changed=8, repeated=6)


def test_parquet_dumps(tmp_path):
    columns = {
        "repo": ["owner/name", "owner/other", None] * 9,
        "commit_id": ["a" * 40] * 27,
        "rel_path": ["a.py", None, "b/c.js"] * 9,
        "content": [b"x" * 99, b"", None] * 9,
    }
    table = pa.table(columns)
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=7)

    def read(data: bytes) -> None:
        (tmp_path / "files.parquet").write_bytes(data)
        dump = ParquetDump("s", tmp_path, LIMITS)
        for found in dump.repositories():
            for entry in dump.entries(found):
                printable(entry.path)

    fuzz(read, [out.getvalue()], [b"PAR1", b"\0", b"\xff\xff\xff\x7f"], errors=(RepositoryError, SourceError))


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_lists_of_repositories(tmp_path, ending):
    row = {"repo": "owner/name", "commit_id": "a" * 40, "version": "1", "updated_at": "2024-01-01", "stars": 7}
    lines = [json.dumps(row)] * 9 if ending == "jsonl" else [",".join(row), *[",".join(map(str, row.values()))] * 9]

    def read(data: bytes) -> None:
        place = tmp_path / f"list.{ending}"
        place.write_bytes(data)
        for _ in read_list(place):
            pass

    pieces = [b"\n", b"{", b"[", b'"', b",", b'{"repo": "\\ud800"}\n', b"9" * 99, b"\r", b"\0", b'""', b"\x85"]
    fuzz(read, ["\n".join(lines).encode()], pieces, errors=(SourceError,))


MANIFESTS = {
    "npm": b'{"name": "a", "license": "MIT", "licenses": [{"type": "BSD"}]}',
    "composer": b'{"license": ["MIT", "GPL-2.0"]}',
    "cargo": b'[package]\nname = "a"\nlicense = "MIT OR Apache-2.0"\n',
    "pyproject": b'[project]\nlicense = {text = "MIT"}\nclassifiers = ["License :: OSI Approved :: MIT License"]\n',
    "setup.py": b"from setuptools import setup\nsetup(name='a', license='MIT', classifiers=['License :: x'])\n",
    "setup.cfg": b"[metadata]\nlicense = MIT\nclassifiers =\n  License :: OSI Approved\n",
    "pkg-info": b"Metadata-Version: 2.1\nLicense: MIT\nClassifier: License :: OSI Approved\n",
    "cran": b"Package: a\nLicense: GPL (>= 2) | file LICENSE\n",
    "pom": b"<project><licenses><license><name>Apache</name><url>http://a</url></license></licenses></project>",
    "cpan": b'{"license": ["perl_5"]}',
    "cpan-yaml": b"---\nlicense: perl\nname: a\n",
    "hpack": b"name: a\nlicense: BSD3\n",
    "gemspec": b"Gem::Specification.new do |s|\n  s.licenses = ['MIT', \"GPL\"]\nend\n",
    "cabal": b"name: a\nlicense: BSD-3-Clause\n",
    "nuspec": b'<package><license type="expression">MIT</license></package>',
    "rockspec": b'description = { license = "MIT" }\n',
    "opam": b'license: "MIT"\n',
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_licence_manifests(kind):
    pieces = [
        b"[", b"{", b"(", b'"', b"'", b"\n", b" ", b"license", b"licenses = ", b"a.", b"<a>", b"<license>", b"&a;",
        b"- ", b"\n  ", b"a: &a [*a]\n", b"[a]\n", b"a = ", b",", b"#", b"\\", b"!!python/x ",
        b"<!DOCTYPE a [<!ENTITY a 'a'>]>",
    ]  # fmt: skip
    fuzz(lambda data: manifests.read(kind, text(data)), [MANIFESTS[kind]], pieces, changed=60, size=16_384)


def test_reuse_manifests():
    seed = (
        b'version = 1\n[[annotations]]\npath = ["src/**", "*.py"]\nprecedence = "override"\n'
        b'SPDX-License-Identifier = "MIT"\n'
    )
    pieces = [b"[[annotations]]\n", b"**", b"*a", b'"', b"path = ", b"[", b"\n", b"a/"]

    def read(data: bytes) -> None:
        file = Excerpt("id", "REUSE.toml", (), text(data))
        for annotation in declarations.read_annotations(file, "")[:50]:
            annotation.matches("src/" + "a" * 200 + "b")

    fuzz(read, [seed], pieces, changed=60)
    for pattern in ("*a" * 30, "**a" * 30, "*a**a" * 20, "*" * 200 + "b", "**/" * 60):
        fuzz(read, [seed.replace(b"src/**", pattern.encode())], pieces, changed=5, repeated=0)


@pytest.mark.parametrize("read", [
    debian.parse_stanzas, debian.to_spdx, debian.without_packaging, wording.find_restriction, wording.find_choice,
    wording.find_change, wording.mentions_parts, wording.find_condition, wording.drop_history, wording.find_paths,
    wording.is_pointer, wording.is_r_form, texts.leading_comment, texts.licence_section, texts.speaks_of_licences,
    lambda text: texts.pieces_to_examine(text, RECIPE.licences), expressions.parse, expressions.required_parts,
    lambda text: is_generated(text, ("generated by",), 2_000), lambda text: language_of("a.h", text, model=False),
    unsafe,
])  # fmt: skip
def test_texts_about_licences(read):
    seed = (
        b"# License\n\nThis program is free software: you may use it under the MIT License or the GPL v2, but not for\n"
        b"any commercial purpose. The files in `vendor/` are under other terms.\nFiles: src/*\nCopyright: 2020 A\n"
        b"License: GPL-2+ and BSD\n * Redistribution is permitted (see LICENSE).\n"
        b"MIT OR (Apache-2.0 WITH x AND GPL-2.0+)\n"
    )
    pieces = [
        b" ", b"\n", b"* ", b"# ", b"(", b")", b" OR ", b" AND ", b" WITH ", b"license ", b"not ", b"for ",
        b"commercial ", b"Files: ", b"License: ", b"or ", b"and ", b"a", b"-", b"=", b"\t", b".", b"under the ",
        b"only ", b"'", b"/*", b"//",
    ]  # fmt: skip
    fuzz(
        lambda data: read(text(data)),
        [seed],
        pieces,
        errors=(ValueError, KeyError),
        changed=30,
        repeated=50,
        size=8_192,
    )


def test_files_of_a_repository():
    seeds = ["text ж\n".encode(codec) * 20 for codec in ("utf-8", "utf-16", "cp1251", "shift_jis", "utf-32")]
    pieces = [
        b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"a\0", b"\x81", b"version https://git-lfs.github.com/spec/v1\n",
        b"\x1b$B",
    ]  # fmt: skip
    fuzz(lambda data: decode(data, 0.1), seeds, pieces, size=4_096)


def test_secrets():
    pieces = [
        b"password = ", b"'", b'"', b"AKIA", b"-----BEGIN RSA PRIVATE KEY-----\n", b"a", b"Aa0", b"://", b":x@", b"=",
        b" ", b"token: ", b"ghp_", b"eyJ", b".", b"\n",
    ]  # fmt: skip
    seed = (
        b"password = 'hunter2hunter2'\nurl = 'https://user:secret@host/'\nkey = AKIAIOSFODNN7EXAMPLE\n# a@b.example\n"
    )
    fuzz(lambda data: clean(text(data), RECIPE.quality.secrets), [seed], pieces, changed=40, size=8_192)
