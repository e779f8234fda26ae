"""Pages that write formulas in less common ways are candidates, and their formulas come out as TeX; pages that only
look like them are left out."""

# ruff: noqa: E501
from __future__ import annotations

import pytest

from nemotron_assets.math.candidates import detect
from nemotron_assets.math.markup import prepare
from nemotron_assets.math.tex import normal_form
from nemotron_assets.recipe.math.pages import MathCandidates

LEAST = MathCandidates().min_score
_MATHJAX = "<script>MathJax = {tex: {inlineMath: [%s]}};</script><script src='/mathjax/3/tex-chtml.js'></script>"


def page(body: str, head: str = "") -> str:
    filler = "<p>The lemma of the last section is used once more, and its proof is short.</p>"
    return f"<html><head><title>Notes</title>{head}</head><body><h1>Notes</h1>{filler}{body}{filler}</body></html>"


#: {what is written: (page, its formulas)}
PAGES = {
    "declared signs": (page("<p>Let ##a_1 + b## be even.</p>", _MATHJAX % "['##', '##']"), ["a_1 + b"]),
    "declared words": (page("<p>Then &lt;&lt;tex&gt;&gt;x^2&lt;&lt;end&gt;&gt; holds.</p>", _MATHJAX % '["<<tex>>", "<<end>>"]'), ["x^2"]),
    "declared brackets of MathJax 2": (
        page("<p>So %%n! > 2^n%% for large n.</p>", "<script type='text/x-mathjax-config'>MathJax.Hub.Config({tex2jax: "
             "{inlineMath: [['%%','%%']], processEscapes: true}});</script><script src='/MathJax.js'></script>"),
        ["n! > 2^n"]),
    "KaTeX auto-render": (
        page("<p>Here @@\\sqrt{2}@@ is irrational.</p>", "<script src='katex.min.js'></script><script>renderMathInElement("
             "document.body, {delimiters: [{left: '@@', right: '@@', display: false}]});</script>"), ["\\sqrt{2}"]),
    "itex": (page("<p>A map [itex]f: A \\to B[/itex] is given.</p>"), ["f: A \\to B"]),
    "tex in a forum": (page("<p>[tex]\\int_0^1 x\\,dx[/tex]</p>"), ["\\int_0^1 x\\,dx"]),
    "latex in a forum": (page("<p>[latex]\\frac{a}{b}[/latex]</p>"), ["\\frac{a}{b}"]),
    "math in a forum": (page("<p>[math]\\alpha_0 = 3[/math]</p>"), ["\\alpha_0 = 3"]),
    "AsciiMath in backticks": (
        page("<p>The value `sum_(i=1)^n i` is known.</p>", "<script src='/MathJax.js?config=AM_HTMLorMML'></script>"),
        ["\\sum_{i=1}^n i"]),
    "AsciiMath of MathJax 3": (
        page("<p>We take `sqrt(x)` here.</p>", "<script>MathJax={loader:{load:['input/asciimath','output/chtml']}}</script>"),
        ["\\sqrt{x}"]),
    "Asciidoctor": (page('<div class="stemblock"><div class="content">\\$x/2\\$</div></div>'), ["\\frac{x}{2}"]),
    "Asciidoctor with TeX": (page('<div class="stemblock"><div class="content">\\[x \\over 2\\]</div></div>'),
                             ["x \\over 2"]),
    "Canvas": (
        page('<p><img class="equation_image" title="\\frac{1}{n}" src="/equation_images/%255Cfrac%257B1%257D%257Bn%257D" '
             'alt="LaTeX: \\frac{1}{n}" data-equation-content="\\frac{1}{n}"></p>'), ["\\frac{1}{n}"]),
    "Canvas without content": (
        page('<p><img class="equation_image" src="/equation_images/x%255E3" alt="LaTeX: x^3"></p>'), ["x^3"]),
    "CodeCogs": (page('<p><img src="https://latex.codecogs.com/svg.image?a&amp;space;&plus;&space;b_1"></p>'), ["a + b_1"]),
    "CodeCogs with settings": (
        page('<p><img src="//latex.codecogs.com/gif.latex?%5Cdpi%7B120%7D%20%5Cbeta%5E2" alt="formula"></p>'), ["\\beta^2"]),
    "macros of MathJax 3": (
        page("<p>For \\(x \\in \\RR\\) it holds.</p>", "<script>MathJax={tex:{macros:{RR:'\\\\mathbb{R}'}}}</script>"),
        ["x \\in \\mathbb{R}"]),
    "macros with arguments": (
        page("<p>Then \\(\\norm{v} = 1\\).</p>",
             "<script>MathJax={tex:{macros:{norm:['\\\\lVert #1 \\\\rVert', 1]}}}</script>"), ["\\lVert v \\rVert = 1"]),
    "macros of MathJax 2": (
        page("<p>\\(\\ZZ_p\\)</p>", "<script type='text/x-mathjax-config'>MathJax.Hub.Config({TeX:{Macros:{ZZ:"
             "'{\\\\mathbb Z}'}}});</script>"), ["{\\mathbb Z}_p"]),
    "LaTeX2HTML in capitals": (
        page('<P><!-- MATH $x_1 < 2$ --><IMG WIDTH="30" ALIGN="MIDDLE" SRC="img1.gif" ALT="$x_1 &lt; 2$"></P>'),
        ["x_1 < 2"]),
    "LaTeX2HTML in mixed case": (
        page('<p><!-- Math: $\\gamma$ -->\n<Img Src="img2.png" Alt="$\\gamma$" Border="0"></p>'), ["\\gamma"]),
    "LaTeX2HTML of old": (
        page('<P><!-- MATH: $y_2$ -->\n<IMG SRC="img2.gif" ALT="tex2html_wrap_inline12"></P>'), ["y_2"]),
    "LaTeX2HTML with a cut ALT": (
        page('<P><!-- MATH\n \\begin{displaymath}\n\\sum_{k} a_k z^k\n\\end{displaymath}\n -->'
             '<IMG SRC="img3.png" ALT="\\begin{displaymath}\\sum_{k}..."></P>'), ["\\sum_{k} a_k z^k"]),
    "KaTeX": (
        page('<p><span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>e</mi></mrow><annotation '
             'encoding="application/x-tex">e^{i\\pi}</annotation></semantics></math></span><span class="katex-html" '
             'aria-hidden="true"><span class="base">eiπ</span></span></span></p>'), ["e^{i\\pi}"]),
    "KaTeX's error": (page('<p><span class="katex-error" title="x">\\foo{x}</span></p>'), ["\\foo{x}"]),
    "chemistry": (
        page("<p>\\(\\ce{2H2 + O2 -> 2H2O}\\)</p>", "<script src='/mathjax/3/tex-mml-chtml.js'></script>"),
        ["\\ce{2H2 + O2 -> 2H2O}"]),
    "chemistry of MediaWiki": (
        page('<p><span class="mwe-math-element"><img class="mwe-math-fallback-image-inline" '
             'alt="{\\displaystyle {\\ce {H2O}}}" src="/media/math/render/svg/9a"></span></p>'), ["{\\ce {H2O}}"]),
    "images of a wiki": (
        page('<p><img class="tex" alt="\\lim_{n} a_n" src="/images/math/a/b/c/abc.png"></p>'), ["\\lim_{n} a_n"]),
    "images of WordPress": (
        page('<p><img src="https://s0.wp.com/latex.php?latex=%5Cdelta+%3C+1&bg=ffffff" alt="\\delta &lt; 1" class="latex">'
             "</p>"), ["\\delta < 1"]),
    "images of a forum": (
        page('<p><img src="//latex.artofproblemsolving.com/1/2/3.png" class="latex" alt="$\\triangle ABC$"></p>'),
        ["\\triangle ABC"]),
    "Moodle": (
        page('<p><img class="texrender" title="\\tan x" alt="\\tan x" src="/filter/tex/pix.php/1f.gif"></p>'),
        ["\\tan x"]),
    "WordPress without its program": (page("<p>So $latex x_1 + y$ is even.</p>"), ["x_1 + y"]),
    "Canvas with its text for readers": (
        page('<p><img class="equation_image" src="/equation_images/k_1" data-equation-content="k_1" alt="k"><span '
             'class="hidden-readable"><math><mi>k</mi></math></span></p>'), ["k_1"]),
    "a publisher's document": (
        page("<p><tex-math>\\documentclass{minimal} \\begin{document}$$a_8$$\\end{document}</tex-math> and \\(b_9\\)</p>"),
        ["a_8", "b_9"]),
    "Jianshu": (page('<p><img src="https://math.jianshu.com/math?formula=v%5E7" alt="v" mathimg="1"></p>'), ["v^7"]),
    "GitLab, displayed": (page('<pre class="code math js-render-math"><code>b_1 = 2</code></pre>'), ["b_1 = 2"]),
    "Markdown's code": (page('<pre><code class="language-math">a^2 + b^2 = c^2</code></pre>'), ["a^2 + b^2 = c^2"]),
    "GitLab": (page('<p><code class="code math js-render-math" data-math-style="inline">k_0</code></p>'), ["k_0"]),
    "arithmatex": (page('<p><span class="arithmatex">\\(y_2\\)</span></p>'), ["y_2"]),
    "a reader's element": (page("<p><math-renderer>$\\lambda_3$</math-renderer></p>"), ["\\lambda_3"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_a_candidate(name):
    score, signals = detect(PAGES[name][0])
    assert score >= LEAST, (score, signals)


@pytest.mark.parametrize("name", PAGES)
def test_its_formulas_come_out(name):
    markup, expected = PAGES[name]
    found = [normal_form(piece.tex) for piece in prepare(markup, "a").pieces]
    assert found == [normal_form(tex) for tex in expected]


NOT_MATHEMATICS = {
    "prices": page("<p>It costs $5, and $7 with the case.</p>"),
    "a shell": page("<pre>echo $HOME_DIR && cat `ls *.tex`</pre>"),
    "issue numbers": page("<p>See ##12 and ##13 in the log, and [math] in the list of tags.</p>"),
    "a site that loads MathJax": page("<p>Our office opens at 9.</p>", "<script src='/MathJax.js'></script>"),
    "a comment": page('<!-- Math: the section on sets --><img src="/a.png" alt="A set">'),
    "an image": page('<p><img src="/photos/math-class.png" alt="The class of 1999"></p>'),
}


@pytest.mark.parametrize("name", NOT_MATHEMATICS)
def test_other_pages_are_no_candidates(name):
    assert detect(NOT_MATHEMATICS[name])[0] < LEAST
