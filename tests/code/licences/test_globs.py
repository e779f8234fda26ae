"""Patterns of paths: they match what a regular expression matches, and many stars take no longer than few."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.code.licences import globs

PATTERNS = st.lists(st.sampled_from(["*", "**", "a", "b", "/", "?", ".", "./", "\\"]), max_size=7).map("".join)
PATHS = st.text("ab/.?", max_size=8)


@given(PATTERNS, PATHS)
def test_reuse_patterns(pattern, path):
    pieces = re.split(r"(\*\*|\*)", pattern)
    same = re.compile("".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces))
    assert globs.reuse(pattern).matches(path) == bool(same.fullmatch(path))


@given(PATTERNS, PATHS)
def test_debian_patterns(pattern, path):
    plain = pattern.removeprefix("./").replace("\\", "")
    same = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in plain)
    same += "" if pattern.endswith("*") else "(?:/.*)?"
    assert globs.debian(pattern).matches(path) == bool(re.fullmatch(same, path, re.DOTALL))


def test_many_stars():
    path = "src/" + "a" * 300 + "b"
    assert globs.reuse("src/" + "*a" * 100 + "b").matches(path)
    assert not globs.reuse("**" + "*a" * 100 + "c").matches(path)
    assert not globs.debian("*a" * 100 + "c").matches(path)
