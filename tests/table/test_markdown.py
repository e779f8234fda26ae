"""Texts from the web in Markdown stay texts: no link, image, tag or table cell of their own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.table.markdown import markdown_row, markdown_text
from resources.contract import preview


def rendered(text: str) -> str:
    """The HTML that a Markdown renderer makes of a text."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").render(text)


ATTACKS = [
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b\n| c | d |",
    "# heading",
    "`code` *bold* _it_ ~~gone~~",
    "https://evil.example/",
    "<https://evil.example/>",
    "&lt;b&gt; &amp;",
    "1. list",
    "- list",
    "\\[x](y)",
    "\u202eabc\x1b[31m",
    "$x^2$",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_is_shown_as_it_is_written(text):
    html = rendered(f"| a |\n|---|\n{markdown_row([text])}")
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td"}, html
    assert html.count("<td") == 1 and "https://" not in markdown_text(text)


@given(st.text(max_size=60))
def test_any_text_is_one_cell_without_tags(text):
    html = rendered(f"| a |\n|---|\n{markdown_row([text])}")
    assert set(re.findall(r"<(\w+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td"}, html
    assert html.count("<td") == 1


def test_a_long_text_is_cut_before_it_is_escaped():
    assert markdown_text("*" * 10, 3) == "\\*\\*\\*…"
    assert markdown_text("x" * 3, 3) == "xxx"
    assert len(markdown_text("y" * 1_000_000, 80)) == 81


def test_the_preview_of_a_write_is_escaped():
    import pyarrow as pa

    batch = pa.RecordBatch.from_pylist([{"text": "![x](https://evil.example/)|<b>", "html": b"<b>"}])
    shown = preview(batch)
    assert "<b>" not in shown and "](" not in shown and "https://" not in shown
    assert "3 bytes" in shown and len(shown.splitlines()) == 3
