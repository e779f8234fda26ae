"""Rendering with Lynx: no formula or code is lost, and no page makes the browser execute or read anything."""

from __future__ import annotations

import contextlib
import html
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.math import tex
from nemotron_assets.math.candidates import detect
from nemotron_assets.math.markup import prepare
from nemotron_assets.math.render import Rendered, RenderError, render_pages
from nemotron_assets.text.attributes import TooManyAttributes
from resources import lynx
from resources.lynx import Lynx, LynxError

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def render(page: str, **options) -> Rendered:
    [result] = render_pages([page], Lynx(), **options)
    assert isinstance(result, Rendered), result
    return result


# -- random pages -----------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    ["<p>", "</p>", "<div>", "</div>", "<table>", "<tr>", "<td>", "</table>", "<pre>", "</pre>", "<code>", "<b>",
    "<a href=",
     "<sup>", "<sub>", "<math>", "<mi>x", "</math>", "<mfrac>", "\\(", "\\)", "\\[", "\\]", "$", "$$", "\\begin{align}",
     "\\end{align}", "<script type='math/tex'>", "</script>", "<span class='katex'>", "<mjx-container>", "<ul><li>",
     "zqax0qz",
     "zqsepx0qz", "<!--", "-->", "<![CDATA[", "&#0;", "&#xD800;", "\x00", "\ud800", "\uf8f5", "<plaintext>", "<title>",
     "<br>", "<img alt='$x$'>", "<textarea>", "<select>", "<h1>", "<hr>", "'", '"', ">", "<", "&lt;", "text ", "x^2",
     "\n"]
)  # fmt: skip


@SLOW
@given(st.lists(st.lists(st.one_of(_PIECES, st.text(max_size=12)), max_size=30).map("".join), min_size=1, max_size=4))
def test_any_page_is_rendered_completely(pages):
    for page, result in zip(pages, render_pages(pages, Lynx()), strict=True):
        assert isinstance(result, Rendered), (page, result)
        result.text.encode("utf-8")
        assert len(list(tex.find(result.text))) >= len(result.formulas) - result.text.count("\n\n$")
        detect(page)


_FORMULAS = st.sampled_from([r"\frac{a}{b}", r"x_{i}^{2}", r"\sum_{k=1}^{n} k", r"\alpha < \beta", r"f\colon A \to B"])
_WRITTEN = {
    "parentheses": lambda f: rf"\({html.escape(f)}\)",
    "brackets": lambda f: rf"\[{html.escape(f)}\]",
    "dollars": lambda f: f"${html.escape(f)}$",
    "script": lambda f: f'<script type="math/tex">{f}</script>',
    "annotation": lambda f: (
        "<math><semantics><mi>x</mi><annotation encoding='application/x-tex'>"
        f"{html.escape(f)}</annotation></semantics></math>"
    ),
    "image": lambda f: f'<img class="math" src="a.png" alt="{html.escape(f)}">',
    "attribute": lambda f: f'<span class="math inline">{html.escape(f)}</span>',
}
_PLACES = st.sampled_from(
    ["<p>Before {} after.</p>", "<ul><li>one {}</li></ul>", "<table><tr><td>a</td><td>{}</td></tr></table>",
     "<blockquote>{}</blockquote>", "<h2>On {}</h2>", "<dl><dt>term</dt><dd>{}</dd></dl>", "<p><b>bold {}</b></p>",
     "<p><a href='x'>link {}</a></p>", "<div><div>{}", "<p>unclosed {}<p>next",
     "<article><section>{}</section></article>",
     "<center><font size=2>{}</font></center>", "text {} text", "<p>x<sup>{}</sup></p>"]
)  # fmt: skip


@SLOW
@given(_FORMULAS, st.sampled_from(sorted(_WRITTEN)), _PLACES, st.text("abc <>&\n", max_size=30))
def test_a_formula_is_found_anywhere_in_a_page(formula, how, place, noise):
    page = f"<html><body><main>{html.escape(noise)}{place.format(_WRITTEN[how](formula))}</main></body></html>"
    result = render(page)
    assert [tex.normal_form(f.tex) for f in tex.find(result.text)] == [tex.normal_form(formula)]


@pytest.mark.parametrize(
    "page",
    [
        "\\(" * 200_000,
        "\\[" * 200_000,
        "$" * 400_001,
        "$x" * 200_000,
        "\\begin{align}" * 50_000,
        "\\" * 400_000,
        "<img " * 100_000,
        "<script>" * 50_000,
        "<pre><code>" * 5_000,
        "<p>" + "`" * 300_000,
        "<math>" * 3_000 + "x",
        "<sup>" * 3_000 + "x",
        "<table><tr><td>" * 1_500 + "x",
        "<span class='katex'><span class='katex-html'>" * 1_500,
        "<mjx-container><mjx-math>" + "<mjx-msup><mjx-mi>x</mjx-mi>" * 2_000,
        "<a class='" + "math " * 100_000 + "'>x</a>",
        "{" * 200_000 + "$$" + "{$" * 50_000 + "$$",
        '<img src="https://latex.codecogs.com/gif.latex?' + "%5Cdpi" * 50_000 + '">',
        "<script type='math/asciimath'>" + "(" * 10_000 + "</script>",
    ],
    ids=lambda page: page[:16],
)
def test_time_is_bounded(page):
    started = time.process_time()
    with contextlib.suppress(TooManyAttributes):  # "<img <img " is one tag
        prepare(f"<html><body>{page}</body></html>", "ab")
    detect(page)
    list(tex.find(page))
    tex.normal_form(page[:20_000])
    assert time.process_time() - started < 20


def test_deep_nesting_loses_nothing():
    page = (
        "<div>" * 3_000 + r"deep text \(\alpha\) <img class=math alt='\beta'>" + "<b>more" + "</div>" * 3_000 + "<p>end"
    )
    result = render(page)
    assert [f.tex for f in result.formulas] == [r"\alpha", r"\beta"]
    assert "deep text" in result.text and "more" in result.text and "end" in result.text


# -- layout -----------------------------------------------------------------------------------------------------------


def test_code_keeps_every_blank_and_its_language():
    code = "def f(x):\n\n\tif x:\n        return  '$x$ \\\\(y\\\\)'   # ```"
    page = f'<div class="highlight-python3"><pre>{html.escape(code)}</pre></div><p>after</p>'
    assert render(page).text.startswith(f"````python\n{code}\n````\n")


def test_line_numbers_are_not_code():
    page = '<table><tr><td class="linenos"><pre>1\n2</pre></td><td><pre>a\n  b</pre></td></tr></table>'
    assert [block.text for block in render(page).code] == ["a\n  b"]


def test_long_lines_are_not_broken():
    words = " ".join(f"word{i}" for i in range(3_000))
    assert " ".join(render(f"<p>{words}</p>").text.split()) == words
    assert "\n" not in render(f"<p>{words}</p>").text


def test_scripts_outside_formulas():
    page = "<p>x<sup>2</sup> and a<sub>ij</sub> and e<sup>-t/2</sup></p>"
    assert render(page).text.strip() == "x² and a_(ij) and e^(-t/2)"
    assert render(page, scripts="tex").text.strip() == "x^2 and a_{ij} and e^{-t/2}"
    assert render(page, scripts="plain").text.strip() == "x2 and aij and e-t/2"


def test_dollar_signs_of_the_text_open_no_formula():
    result = render(r"<p>It costs $5 or $10; in code <code>\(ab\)</code>, and \(\pi\)3.</p>")
    assert [f.tex for f in tex.find(result.text)] == [r"\pi"]


def test_notebooks_and_plain_text_need_no_browser(monkeypatch):
    monkeypatch.setattr(Lynx, "render", None)
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Let \\(x\\) be $\\alpha$."]},
        {"cell_type": "code", "source": "for i in x:\n    print(i)", "outputs": [{"text": ["1\n"] * 5_000},
        7, {"data": []}]},
        {"cell_type": "raw", "source": None}, "no cell",
    ]  # fmt: skip
    page = json.dumps({"nbformat": 4, "cells": cells, "metadata": {"language_info": {"name": "python"}}})
    result = render(page, mimes=["application/json"], max_output=100)
    assert (result.layout, result.title) == ("notebook", "Title")
    assert "```python\nfor i in x:\n    print(i)\n```" in result.text and len(result.text) < 500
    assert [f.tex for f in tex.find(result.text)] == ["x", r"\alpha"]
    plain = render("Costs $5.\n\n```\n$x$\n```\n\n    \\(y_1\\)", mimes=["text/plain"])
    assert plain.layout == "plain" and [f.tex for f in tex.find(plain.text)] == ["y_1"]


# -- the browser ------------------------------------------------------------------------------------------------------

SECRET = "the secret of this machine"
HOSTILE = [
    '<a href="lynxexec:touch {file}">x</a>', '<a href="lynxprog:touch {file}">x</a>', '<a href="lynxcgi:/bin/sh">x</a>',
    '<meta http-equiv="refresh" content="0; url=file://{secret}">', '<base href="file:///"><img src="{secret}" alt="">',
    '<iframe src="file://{secret}"></iframe>', '<object data="file://{secret}"></object>',
    '<frameset><frame src="file://{secret}"></frameset>', '<a href="LYNXIMGMAP:file://{secret}">x</a>',
    "<!--#include file='{secret}'-->", "<!--#exec cmd='touch {file}'-->", '<embed src="file://{secret}">',
    '<form action="lynxexec:touch {file}"><input type=submit></form>', "<img src=`touch {file}`>",
    "<div " + "a=b " * 4_000,
    "<table>" * 200 + "<td>", "\x1b]0;x\x07\x1b[2J", "<p a='" + "x" * 300_000 + "'>",
]  # fmt: skip


def test_hostile_pages_run_and_read_nothing(tmp_path):
    secret, made = tmp_path / "secret.txt", tmp_path / "made"
    secret.write_text(SECRET)
    pages = [page.replace("{secret}", str(secret)).replace("{file}", str(made)) + "<p>the end</p>" for page in HOSTILE]
    for page, result in zip(pages, render_pages(pages, Lynx()), strict=True):
        assert isinstance(result, Rendered), page[:80]
        assert SECRET not in result.text and "\x1b" not in result.text
    for page in pages:  # the unchanged pages, which the comparison of extractors gives to plain Lynx
        assert SECRET not in Lynx().dump(page)
    assert not made.exists()


def test_no_markup_of_the_page_reaches_the_browser():
    for page in HOSTILE:
        tags = re.findall(r"<[^>]*>", prepare(page.format(secret="/s", file="/f") if "{" in page else page, "a").markup)
        assert all(re.fullmatch(r"</?[a-z0-9]+>", tag) for tag in tags)


def test_a_page_with_too_many_attributes_costs_only_itself():
    good, bad, last = render_pages(["<p>one</p>", "<div " + "a=b " * 9_999 + "><p>x</p>", "<p>two</p>"], Lynx())
    assert (good.text, last.text) == ("one", "two")
    assert isinstance(bad, RenderError) and "a tag has 5,000 attributes or more" in str(bad)


def test_a_page_that_breaks_a_batch_costs_only_itself(monkeypatch):
    together = Lynx._together

    def breaking(self, pages):
        if any("poison" in page for page in pages):
            raise LynxError("broken")
        return together(self, pages)

    monkeypatch.setattr(Lynx, "_together", breaking)
    results = render_pages([f"<p>page {i}{' poison' * (i == 3)}</p>" for i in range(9)], Lynx())
    assert [i for i, result in enumerate(results) if not isinstance(result, Rendered)] == [3]
    assert results[8].text.strip() == "page 8"


def test_separators_in_a_page_are_harmless():
    results = render_pages(["<p>zqsepx0qz</p><p>a</p>", "<p>zqsepx1qz</p>", "<p>c zqax0qz \\(\\pi\\)</p>"], Lynx())
    assert [r.text.split()[-1] for r in results] == ["a", "zqsepx1qz", r"$\pi$"]


def test_time_limit_and_missing_program(monkeypatch, tmp_path):
    [result] = Lynx(timeout_s=0.001).render(["<p>x</p>"])
    assert isinstance(result, LynxError)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LynxError, match="apt-get install lynx"):
        lynx.find()


def test_folders_of_killed_processes_are_swept(monkeypatch, tmp_path):
    monkeypatch.setattr(lynx.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(lynx, "_WORKPLACES", {})
    left = tmp_path / f"nemotron-lynx-{lynx.os.getuid()}" / "999999999"
    left.mkdir(parents=True)
    Lynx().render(["<p>x</p>"])
    assert not left.exists()
    [folder] = left.parent.iterdir()
    assert sorted(p.name for p in Path(folder).iterdir()) == ["lynx.cfg"]


# -- another extractor, for an ablation -------------------------------------------------------------------------------


def test_another_extractor_reads_the_same_pages():
    """Trafilatura's text of the pages that Lynx lays out, with the formulas that it leaves in."""
    import polars as pl

    from nemotron_assets.math.rendered import render_rows
    from nemotron_assets.recipe.math.pages import MathRendering

    words = "The area of a circle grows with the square of its radius, as every pupil learns in school. " * 3
    page = f"<html><title>Circles</title><body><article><h1>Circles</h1><p>{words}</p><p>So $A = \\pi r^2$ holds, and "
    page += f"<math><mi>x</mi><mo>=</mo><mn>1</mn></math>.</p><p>{words}</p></article></body></html>"
    frame = pl.DataFrame({"id": ["a"], "html": [page.encode()], "charset": ["utf-8"], "mime": ["text/html"]})
    ours, theirs = (
        render_rows(frame, MathRendering(extractor=name), "lite", 1_000).row(0, named=True)
        for name in ("lynx", "trafilatura")
    )
    assert (ours["layout"], theirs["layout"]) == ("lynx", "trafilatura")
    assert ours["title"] == theirs["title"] == "Circles" and ours["cause"] is theirs["cause"] is None
    assert ours["formulas"] == 2 and theirs["formulas"] == 1, "trafilatura does not know MathML"
    assert "$A = \\pi r^2$" in theirs["text"] and theirs["characters"] == len(theirs["text"])
