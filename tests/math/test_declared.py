"""Formulas between delimiters that a page declares, with its macros, in AsciiMath, and in attributes of images."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.math.candidates import detect
from nemotron_assets.math.declared import Macros, delimiters
from nemotron_assets.math.formula import Formula
from nemotron_assets.math.markup import prepare
from nemotron_assets.math.render import Rendered, render_pages
from resources.lynx import Lynx
from tests.math.test_encodings import formulas, normal_forms

MATHJAX3 = (
    "<script>MathJax = {{tex: {{inlineMath: {}, displayMath: {}}}}};</script><script src='/mathjax@3/a.js'></script>"
)
MATHJAX2 = '<script type="text/x-mathjax-config">MathJax.Hub.Config({{ tex2jax: {{ "inlineMath": {} }} }});</script>'
KATEX = "<script src='katex.min.js'></script><script>renderMathInElement(document.body, {{delimiters: [{}]}})</script>"
ASCIIMATH = "<script src='https://cdn.example/mathjax/2.7.9/MathJax.js?config=AM_CHTML'></script>"

#: {what the page does: (page, its formulas)}.
PAGES = {
    "delimiters of MathJax 3": (
        MATHJAX3.format("[['##','##'], ['<|', '|>']]", "[['[[', ']]']]")
        + "<p>Here ##a_1## is &lt;|b_2|&gt;.</p><p>[[ \\int f ]]</p>",
        ["a_1", "b_2", r"\int f"],
    ),
    "delimiters of MathJax 2": (MATHJAX2.format("[ ['@@', '@@'] ]") + "<p>Here @@x = 2@@.</p>", ["x=2"]),
    "delimiters of KaTeX": (
        KATEX.format("{left: '%%', right: '%%', display: false}, {left: '!!', right: '!!', display: true}")
        + "<p>%%x_i%% and</p><p>!!y^2!!</p>",
        ["x_i", "y^2"],
    ),
    "tags of a forum": (
        r"<p>If [itex]p_1[/itex] then [tex]\sum_k k[/tex], [latex]\alpha[/latex] or [math]x^2[/math].</p>",
        ["p_1", r"\sum_k k", r"\alpha", "x^2"],
    ),
    "a declared formula cut by emphasis": (
        MATHJAX3.format("[['##','##']]", "[]") + "<p>##a<em>1 + b</em>2##</p>",
        ["a_1+b_2"],
    ),
    "AsciiMath in backticks": (
        ASCIIMATH + "<p>The sum `sum_(i=1)^n i/2` is `x`.</p>",
        [r"\sum_{i=1}^n\frac{i}{2}", "x"],
    ),
    "Asciidoctor": (
        "<script type='text/x-mathjax-config'>MathJax.Hub.Config({tex2jax: {inlineMath: [['\\\\(', '\\\\)']]}, "
        "asciimath2jax: {delimiters: [['\\\\$', '\\\\$']], ignoreClass: 'nostem'}})</script>"
        r"<p>So \$sqrt(x)\$ is.</p><div class='stemblock'><div class='content'>\$a/b\$</div></div>"
        r"<div class='stemblock'><div class='content'>\[\gamma\]</div></div>",
        [r"\sqrt{x}", r"\frac{a}{b}", r"\gamma"],
    ),
    "macros of MathJax 3": (
        r"""<script>MathJax = {tex: {macros: {RR: "\\mathbb{R}", abs: ["\\left|#1\\right|", 1], """
        r"""pt: ["(#1,#2)", 2, "0"], vec: "\\boldsymbol{\\vec #1}"}}}</script>"""
        r"<p>\(x \in \RR\), \(\abs{y}\), \(\pt{3}\), \(\pt[1]{3}\), \(\RR x\)</p>",
        [r"x\in\mathbb{R}", "|y|", "(0,3)", "(1,3)", r"\mathbb{R}x"],
    ),
    "macros of MathJax 2": (
        r"""<script type="text/x-mathjax-config">MathJax.Hub.Config({TeX: {Macros: {'N': '{\\mathbb N}'}}})</script>"""
        r"<p>\[n \in \N\]</p>",
        [r"n\in\mathbb{N}"],
    ),
    "macros of KaTeX": (
        r"""<script src="katex.js"></script>"""
        r"""<script>render(body, {macros: {"\\f": "#1f(#2)", "\\eps": "\\varepsilon"}})"""
        r"</script><p>\(\f{2}{x} &lt; \eps\)</p>",
        [r"2f(x)<\varepsilon"],
    ),
    "formulas as code of Markdown": (
        '<p>So <code class="language-math math-inline">x_1</code>.</p><pre><code class="language-math math-display">'
        "\\sum x\n</code></pre><pre lang='math'><code>y^2</code></pre>",
        ["x_1", r"\sum x", "y^2"],
    ),
    "Canvas": (
        '<img class="equation_image" title="a_b" src="/equation_images/a_b" alt="LaTeX: a_b" '
        'data-equation-content="a_b">'
        '<img class="equation_image" src="/equation_images/%255Cfrac%257B1%257D%257B2%257D">'
        '<img class="equation_image" alt="LaTeX: x^2">',
        ["a_b", r"\frac{1}{2}", "x^2"],
    ),
    "CodeCogs": (
        '<img src="https://latex.codecogs.com/png.latex?a&amp;plus;b&amp;space;&amp;lt;&amp;space;c">'
        '<img src="//latex.codecogs.com/svg.latex?&amp;space;x%5E2">',
        ["a+b<c", "x^2"],
    ),
    "LaTeX2HTML with its comment": (
        "<!-- MATH\n $a_1 &lt; b$\n -->\n<IMG SRC='img1.png' ALT='$ a_1 &lt; ...\n... b$'> and <!-- MATH "
        "\\begin{displaymath}x^2\\end{displaymath} --><P><DIV ALIGN='CENTER'><IMG SRC='i.png' ALT='y'></DIV>",
        ["a_1<b", "x^2"],
    ),
    "LaTeX2HTML, aligned": (
        "<!-- MATH \\begin{eqnarray}a &=& b\\\\ c &=& d\\end{eqnarray} --><TABLE><TR><TD><IMG ALT='$\\displaystyle a$'>"
        "</TD></TR></TABLE>",
        ["a"],
    ),
    "an attribute before drawn boxes": (
        '<span class="math-inline" data-math="x^2"><span class="katex"><span class="katex-html">x2</span></span></span>'
        '<div data-math="\\alpha"><span class="katex">alpha</span></div>',
        ["x^2", r"\alpha"],
    ),
    "boxes without positions": (
        '<span class="katex"><span class="katex-html"><span class="mord"><span class="mfrac"><span class="vlist"><span>'
        '2</span><span>3</span></span></span></span></span></span>',
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", PAGES)
def test_each_formula_comes_out_once(how):
    page, wanted = PAGES[how]
    assert formulas(f"<html><body>{page}<p>End.</p></body></html>") == normal_forms(*wanted)


@pytest.mark.parametrize("how", [how for how in PAGES if PAGES[how][1]])
def test_the_detector_finds_the_page(how):
    score, signals = detect(f"<html><body>{PAGES[how][0]}</body></html>")
    assert score >= 0.5, signals


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_the_case_of_markup_does_not_matter(case):
    image = f'<{case("img")} {case("src")}="img1.png" {case("alt")}="$x_n$">'
    assert detect(f"<P>Let {image} be.</P>")[0] >= 0.5
    assert "mathml" in detect(f"<{case('math')}><mi>x</mi></{case('math')}>")[1]


@pytest.mark.parametrize(
    "page",
    [
        "<p>## A heading ## and `code` and [itex] without an end, [tex][/tex].</p>",
        MATHJAX3.format("[['##','##']]", "[]") + "<p>## The first of all headings ## <code>##a_1##</code></p>",
        ASCIIMATH + "<p><code>`x`</code> and `a long text of many words`</p>",
        "<p>`x_1` in Markdown, [math]no formula[/math]</p>",
        MATHJAX3.format("[['a','b']]", "[]") + "<p>a word b</p>",
        "<p data-math='true' class='math'>text</p><span data-math='a note'>text</span>",
        "<pre><code>[tex]\\alpha[/tex]</code></pre>",
        "<!-- MATH without an end <IMG ALT='a'>",
    ],
)
def test_other_texts_are_no_formulas(page):
    assert formulas(f"<html><body>{page}</body></html>") == []


@pytest.mark.parametrize(
    "page",
    [
        "inlineMath: [" * 100_000,
        "inlineMath: [" + "['##','##']," * 20_000,
        "macros: {" + "a: '#1'," * 100_000,
        "<!-- MATH " * 50_000,
        "<!-- MATH x --><p>" * 20_000,
        MATHJAX3.format("[['##','!!']]", "[]") + "##" * 500_000,
        "[tex]" * 200_000 + "[/tex]",
        MATHJAX3.replace("inlineMath", "macros").format('{a: "\\\\a\\\\a", b: "\\\\c\\\\c", c: "\\\\b\\\\b"}', "0")
        + r"\(\a\b\)" * 100,
    ],
    ids=lambda page: page[:16],
)
def test_a_hostile_page_ends_soon(page):
    assert prepare(f"<html><body>{page}</body></html>", "ab") is not None
    detect(page)


def test_what_is_read_from_settings():
    page = "inlineMath: [['$','$'], ['\\\\(','\\\\)'], [\"[m]\", \"[/m]\"]]"
    assert [(pair.opening, pair.closing) for pair in delimiters(page, page)] == [("[m]", "[/m]")]
    assert Macros(r'macros: {RR: "\\mathbb{R}"}').expand(r"\RRR + \RR") == r"\RRR + \mathbb{R}"
    assert Macros("no settings").expand(r"\RR") == r"\RR"


@settings(max_examples=25, deadline=None)
@given(st.integers(100, 400), st.sampled_from([",", "", "，", "-", "&amp;", "word"]))
def test_no_line_is_too_long_for_the_browser(count, between):
    formulas_of_page = between.join(rf"\(x_{{{i}}}\)" for i in range(count))
    page = f"<p>All: {formulas_of_page}.</p><p>{'字' * count * 3}</p>"
    [page] = render_pages([page], Lynx())
    assert isinstance(page, Rendered) and len(page.formulas) == count
    assert "字" * count * 3 in page.text
    assert [f.tex for f in page.formulas if isinstance(f, Formula)] == [f"x_{{{i}}}" for i in range(count)]
