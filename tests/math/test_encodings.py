"""Formulas in the markup of real systems: each is found once, as TeX."""

from __future__ import annotations

import pytest

from nemotron_assets.math import tex
from nemotron_assets.math.formula import Formula
from nemotron_assets.math.markup import prepare


def formulas(page: str) -> list[str]:
    """Normal forms of a page's formulas."""
    return [tex.normal_form(piece.tex) for piece in prepare(page, "ab").pieces if isinstance(piece, Formula)]


def normal_forms(*wanted: str) -> list[str]:
    """Normal forms of TeX formulas."""
    return [tex.normal_form(formula) for formula in wanted]


MATHJAX3_GLYPHS = (
    '<mjx-container class="MathJax" jax="CHTML"><mjx-math class="MJX-TEX"><mjx-msup><mjx-mi class="mjx-i"><mjx-c '
    'class="mjx-c1D465 TEX-I"></mjx-c></mjx-mi><mjx-script style="vertical-align: 0.363em;"><mjx-mn size="s"><mjx-c '
    'class="mjx-c32"></mjx-c></mjx-mn></mjx-script></mjx-msup><mjx-mo space="3"><mjx-c '
    'class="mjx-c2B"></mjx-c></mjx-mo>'
    '<mjx-mfrac space="3"><mjx-frac><mjx-num><mjx-nstrut></mjx-nstrut><mjx-mi size="s"><mjx-c '
    'class="mjx-c1D44E"></mjx-c>'
    "</mjx-mi></mjx-num><mjx-dbox><mjx-dtable><mjx-line></mjx-line><mjx-row><mjx-den><mjx-dstrut></mjx-dstrut><mjx-msub>"
    '<mjx-mi><mjx-c class="mjx-c1D44F"></mjx-c></mjx-mi><mjx-script><mjx-mi><mjx-c class="mjx-c1D456"></mjx-c></mjx-mi>'
    "</mjx-script></mjx-msub></mjx-den></mjx-row></mjx-dtable></mjx-dbox></mjx-frac></mjx-mfrac></mjx-math></mjx-container>"
)
MATHJAX3_SVG = (
    '<mjx-container class="MathJax" jax="SVG"><svg role="img"><g stroke="currentColor" transform="scale(1,-1)"><g '
    'data-mml-node="math"><g data-mml-node="msubsup"><g data-mml-node="mi"><use data-c="1D465"></use></g><g '
    'data-mml-node="mn" transform="translate(605,363) scale(0.707)"><use data-c="32"></use></g><g data-mml-node="mi" '
    'transform="translate(605,-247) scale(0.707)"><use data-c="1D456"></use></g></g><g data-mml-node="mo" '
    'transform="translate(1230,0)"><use data-c="2B"></use></g><g data-mml-node="mfrac"><g data-mml-node="mn" '
    'transform="translate(220,676)"><use data-c="31"></use></g><g data-mml-node="msqrt" '
    'transform="translate(220,-686)">'
    '<g transform="translate(853,0)"><g data-mml-node="mi"><use data-c="1D466"></use></g></g><g data-mml-node="mo">'
    '<use data-c="221A"></use></g><rect></rect></g><rect></rect></g></g></g></svg></mjx-container>'
)
MATHJAX2_CHTML = (
    '<span class="mjx-chtml"><span class="mjx-math"><span class="mjx-mrow"><span class="mjx-msubsup"><span '
    'class="mjx-base"><span class="mjx-mi"><span class="mjx-char MJXc-TeX-math-I">x</span></span></span><span '
    'class="mjx-sup"><span class="mjx-mn"><span class="mjx-char MJXc-TeX-main-R">2</span></span></span></span><span '
    'class="mjx-mo"><span class="mjx-char">=</span></span><span class="mjx-mfrac"><span class="mjx-box MJXc-stacked">'
    '<span class="mjx-numerator"><span class="mjx-mi"><span class="mjx-char">a</span></span></span><span '
    'class="mjx-denominator"><span class="mjx-mi"><span class="mjx-char">b</span></span></span><span class="mjx-line">'
    "</span></span></span></span></span></span>"
)
MATHJAX2_FRAME = (
    '<span class="MathJax_Preview" style="color: inherit;">x2</span><span class="MathJax" id="MathJax-Element-1-Frame" '
    'data-mathml="&lt;math&gt;&lt;msup&gt;&lt;mi&gt;x&lt;/mi&gt;&lt;mn&gt;2&lt;/mn&gt;&lt;/msup&gt;&lt;/math&gt;"><nobr>'
    '<span class="math"><span>x2</span></span></nobr><span class="MJX_Assistive_MathML"><math><msup><mi>x</mi><mn>2'
    "</mn>"
    "</msup></math></span></span>"
)
KATEX_VISIBLE = (
    '<span class="katex"><span class="katex-html" aria-hidden="true"><span class="base"><span '
    'class="strut"></span><span '
    'class="mord"><span class="mord mathnormal">x</span><span class="msupsub"><span class="vlist-t"><span '
    'class="vlist-r">'
    '<span class="vlist" style="height:0.8141em;"><span style="top:-3.063em;margin-right:0.05em;"><span class="pstrut" '
    'style="height:2.7em;"></span><span class="sizing reset-size6 size3 mtight"><span class="mord '
    'mtight">2</span></span>'
    '</span></span></span></span></span></span><span class="mspace"></span><span class="mbin">+</span></span><span '
    'class="base"><span class="mord"><span class="mopen nulldelimiter"></span><span class="mfrac"><span class="vlist-t '
    'vlist-t2"><span class="vlist-r"><span class="vlist"><span style="top:-2.314em;"><span class="pstrut" '
    'style="height:3em;"></span><span class="mord"><span class="mord mathnormal">b</span></span></span><span '
    'style="top:-3.23em;"><span class="pstrut" style="height:3em;"></span><span class="frac-line"></span></span><span '
    'style="top:-3.677em;"><span class="pstrut" style="height:3em;"></span><span class="mord"><span class="mord '
    'mathnormal">a</span></span></span></span><span class="vlist-s">\u200b</span></span></span></span><span '
    'class="mclose '
    'nulldelimiter"></span></span><span class="mord"><span class="mord mathnormal">y</span><span class="msupsub"><span '
    'class="vlist-t vlist-t2"><span class="vlist-r"><span class="vlist"><span style="top:-2.55em;"><span '
    'class="pstrut" '
    'style="height:2.7em;"></span><span class="sizing"><span class="mord mathnormal '
    'mtight">i</span></span></span></span>'
    "</span></span></span></span></span></span></span>"
)
WIKIPEDIA = (
    '<span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: '
    'none;"><math '
    'alttext="{\\displaystyle E=mc^{2}}"><semantics><mrow><mi>E</mi></mrow><annotation encoding="application/x-tex">'
    '{\\displaystyle E=mc^{2}}</annotation></semantics></math></span><img src="https://wikimedia.org/api/rest_v1/media/'
    'math/render/svg/9f7" class="mwe-math-fallback-image-inline" alt="{\\displaystyle E=mc^{2}}"></span>'
)
WIRIS = (
    '<img class="Wirisformula" data-mathml=\'«math xmlns=¨http://www.w3.org/1998/Math/MathML¨»«msqrt»«mi»x«/mi»'
    '«/msqrt»«/math»\' alt="square root of x">'
)
PAGES = {
    "MathJax delimiters": (r"<p>So \(a&lt;b\) and</p><p>\[ \sum_{i=1}^n i \]</p>", ["a<b", r"\sum_{i=1}^n i"]),
    "a formula cut by inline elements": (
        r"<p>\(a<em>1 + b</em>2<br> + c\) and <span>\(x^</span>2\)</p>",
        ["a_1 + b_2 + c", "x^2"],
    ),
    "environment": (
        r"<p>\begin{align*} a &amp;= b \\ c &amp;= d \end{align*}</p>",
        [r"\begin{align*}a&=b\\c&=d\end{align*}"],
    ),
    "MathJax 2, script behind": (
        '<span class="MathJax_Preview"></span><span class="MathJax">junk</span><script type="math/tex">\\alpha</script>'
        '<div class="MathJax_Display"><span class="MathJax">junk</span></div><script type="math/tex; mode=display">% '
        "<![CDATA[\n a < b %]]></script>",
        [r"\alpha", "a<b"],
    ),
    "MathJax 2, no script": (MATHJAX2_FRAME, ["x^2"]),
    "MathJax 2, boxes only": (MATHJAX2_CHTML, [r"x^2=\frac{a}{b}"]),
    "MathJax 3, assistive": (
        '<mjx-container jax="CHTML" display="true"><mjx-math><mjx-mi><mjx-c '
        'class="mjx-c1D465"></mjx-c></mjx-mi></mjx-math>'
        '<mjx-assistive-mml display="block"><math display="block"><msub><mi>x</mi><mn>1</mn></msub></math>'
        "</mjx-assistive-mml></mjx-container>",
        ["x_1"],
    ),
    "MathJax 3, boxes only": (MATHJAX3_GLYPHS, [r"x^2+\frac{a}{b_i}"]),
    "MathJax 3, SVG": (MATHJAX3_SVG, [r"x_i^2+\frac{1}{\sqrt{y}}"]),
    "MathJax 4, data-latex": (
        '<mjx-container jax="SVG"><svg><g data-mml-node="math" data-latex="\\int_0^1 f"><g '
        'data-mml-node="mo"></g></g></svg>'
        "</mjx-container>",
        [r"\int_0^1 f"],
    ),
    "KaTeX": (
        '<span class="katex-display"><span class="katex"><span '
        'class="katex-mathml"><math><semantics><mi>x</mi><annotation '
        'encoding="application/x-tex">\\frac12</annotation></semantics></math></span><span '
        'class="katex-html">½</span></span>'
        "</span>",
        [r"\frac12"],
    ),
    "KaTeX, visible only": (KATEX_VISIBLE, [r"x^2+\frac{a}{b}y_i"]),
    "MathML": (
        "<math><mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mfrac></math>",
        [r"\frac{a}{b+1}"],
    ),
    "MathML with a prefix": (
        "<m:math><m:msup><m:mi>x</m:mi><m:mn>2</m:mn></m:msup></m:math>",
        ["x^2"],
    ),
    "alternative text of MathML": ('<math alttext="\\theta_1"><mi>θ</mi></math>', [r"\theta_1"]),
    "Wikipedia": (f"<p>{WIKIPEDIA}</p>", ["E=mc^{2}"]),
    "old Wikipedia": (
        '<img class="tex" alt="\\sqrt{2}" src="//upload.wikimedia.org/math/a/b/c.png" />',
        [r"\sqrt{2}"],
    ),
    "WordPress": (
        '<img src="https://s0.wp.com/latex.php?latex=%5Cpi+r%5E2&#038;bg=ffffff&#038;fg=000000&#038;s=0" '
        'alt="&#92;pi r^2" '
        'class="latex" />',
        [r"\pi r^2"],
    ),
    "WordPress, lazy": (
        '<img class="latex lazyload" src="data:image/gif;base64,R0" data-src="https://s0.wp.com/latex.php?latex=a%2Bb">',
        ["a+b"],
    ),
    "CodeCogs": (
        r'<img src="https://latex.codecogs.com/gif.latex?%5Cinline%20%5Cdpi%7B150%7D%20%5Cfrac%7B1%7D%7Bn%7D" />',
        [r"\frac{1}{n}"],
    ),
    "Zhihu": (
        '<img src="https://www.zhihu.com/equation?tex=a%5E2" alt="a^2" eeimg="1"/>',
        ["a^2"],
    ),
    "QuickLaTeX": (
        '<img src="https://b.example/ql-cache/quicklatex.com-1_l3.svg" class="ql-img-inline-formula '
        'quicklatex-auto-format" '
        'alt="&#92;&#108;&#97;&#109;&#98;&#100;&#97;" title="Rendered by QuickLaTeX.com"/>',
        [r"\lambda"],
    ),
    "WIRIS": (WIRIS, [r"\sqrt{x}"]),
    "ar5iv": (
        '<table class="ltx_equation"><tr><td><math class="ltx_Math" alttext="\\displaystyle x=1" display="inline">'
        '<semantics><mi>x</mi><annotation encoding="application/x-tex">\\displaystyle '
        "x=1</annotation></semantics></math>"
        "</td></tr></table>",
        ["x=1"],
    ),
    "Doxygen": (
        '<p><img class="formulaInl" alt="$ n^2 $" src="form_0.png"/></p><p class="formulaDsp"><img class="formulaDsp" '
        'alt="\\[ a = b \\]" src="form_1.png"/></p>',
        ["n^2", "a=b"],
    ),
    "Doxygen with MathJax": (r'<p class="formulaDsp">\[ \gamma \]</p><p>is \( k \).</p>', [r"\gamma", "k"]),
    "LaTeX2HTML": ('<IMG WIDTH="9" ALIGN="BOTTOM" BORDER="0" SRC="img1.gif" ALT="$x_n$">', ["x_n"]),
    "Sphinx": (
        '<div class="math notranslate nohighlight"><span class="eqno">(1)<a href="#e">¶</a></span>\\[y = '
        "x\\]</div><p><span "
        'class="math notranslate nohighlight">\\(n\\)</span></p>',
        ["y=x", "n"],
    ),
    "Sphinx, images": (
        '<div class="math"><p><img src="_images/math/1.png" alt="\\oint f"/></p></div><p><img class="math" src="2.png" '
        'alt="k"/></p>',
        [r"\oint f", "k"],
    ),
    "Pandoc with KaTeX": (
        '<p><span class="math inline">x</span> and <span class="math display">y = 2</span></p>',
        ["x", "y=2"],
    ),
    "Stack Exchange": (
        '<p>Let <span class="math-container">$n$</span> and <span class="math-container">$$n+1$$</span></p>',
        ["n", "n+1"],
    ),
    "dollars that the page declares": (
        "<script>MathJax = {tex: {inlineMath: [['$', '$']]}}</script><p>Let $f$ and $ g $ be.</p>",
        ["f", "g"],
    ),
    "dollars of TeX": (r"<p>We have $\alpha_1$ and $x^2$, so $n$.</p>", [r"\alpha_1", "x^2", "n"]),
    "GitLab": ('<pre class="code math js-render-math" data-math-style="display">a^2</pre>', ["a^2"]),
    "Distill": ("<p><d-math>p(x)</d-math></p>", ["p(x)"]),
    "AMP": ('<amp-mathml data-formula="\\[x^3\\]"></amp-mathml>', ["x^3"]),
    "AsciiMath": (
        '<script type="math/asciimath">sum_(i=1)^n i^3=((n(n+1))/2)^2</script>',
        [
            r"\sum_{i=1}^n i^3 = \left( \frac{n(n+1)}{2} \right)^2",
        ],
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_each_formula_comes_out_once(name):
    page, wanted = PAGES[name]
    assert formulas(f"<html><body><h1>Title</h1>{page}<p>End.</p></body></html>") == normal_forms(*wanted)


@pytest.mark.parametrize(
    "prose",
    [
        "It costs $5 or $10, at most $1,000 a year.",
        "Set $HOME and $PATH, then $HOME/bin and ${USER}.",
        "Write $(document).ready(f) or $('#a').hide(), not $(b).",
        r"In sed, \( and \) group, \[ and \] are brackets; \(ab\)* repeats.",
        "<code>$x^2$</code> and <code>\\(\\alpha\\)</code> and <code>\\begin{align} a \\end{align}</code>",
        "<pre>$\\alpha$ \\[ x \\]</pre>",
        "US$20 and A$30; fees of $3_000.",
        "<img src='photo.png' alt='A sunset over the sea'>",
        "The variable $foo_bar and the variable $baz_qux.",
        "Prices: $4.99/$5.99",
        "<span class='tex'>T<sub>E</sub>X</span> is a program",
    ],
)
def test_prose_is_not_a_formula(prose):
    assert formulas(f"<p>{prose}</p>") == []
