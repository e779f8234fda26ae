"""Texts in cards are shown as they are: they make no line, cell, tag or link of their own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.export.markdown import Markdown, bold, code, plain, table

_SIGNS = st.text(st.sampled_from("a b|`*_<>&[]()\\~$#\n\r\u2028"))


@given(_SIGNS, _SIGNS)
def test_a_cell_is_one_cell(left, right):
    lines = table(("first", "second"), [(left, code(right))]).splitlines()
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[2])) == 3, "two cells have three bars around them"


@given(_SIGNS)
def test_no_tag_and_no_sign_is_left(text):
    shown = plain(text)
    assert "<" not in shown and ">" not in shown
    bare = re.sub(r"\\.", "", shown)
    assert not set("`*[]|~$\\") & set(bare)


@given(_SIGNS)
def test_code_ends_where_it_should(text):
    shown = code(text)
    ticks = re.match("`+", shown)[0]
    assert shown.endswith(ticks) and ticks not in shown[len(ticks) : -len(ticks)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web.nemotron_cc_v2", "web.nemotron_cc_v2"),
        ("_x_", "\\_x\\_"),
        ("a  b\nc", "a b c"),
        (3, "3"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_names_stay_legible(text, shown):
    assert plain(text) == shown


def test_markdown_is_written_as_it_is():
    assert plain(bold("a|b")) == "**a\\|b**" and plain(Markdown("[x](y)")) == "[x](y)"
