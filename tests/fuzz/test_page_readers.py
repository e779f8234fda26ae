"""Hostile pages: HTML that becomes text, formulas in it, formulas in text, addresses, personal data."""

from __future__ import annotations

import pytest

from nemotron_assets.math import candidates, markup, render, tex
from nemotron_assets.recipe import load_recipe
from nemotron_assets.text import opt_outs
from nemotron_assets.text.attributes import TooManyAttributes
from nemotron_assets.text.personal_data import scrub
from nemotron_assets.web.extract import extract
from nemotron_assets.web.paragraphs import NestedTooDeeply
from tests.fuzz.hostile import fuzz

RECIPE = load_recipe("laptop")
PARAGRAPH = "The quick brown fox jumps over the lazy dog, and everybody in the whole village is happy about it. "
PAGE = f"""<!doctype html><html lang=en>
<head><title>A page &amp; a title</title><script>var a = "<p>";</script></head>
<body class="a b"><h1>Heading</h1><p>{PARAGRAPH * 3}<a href="http://a.example/?q=1&amp;r=2">link</a></p>
<table><tr><td>one<td>two</table><ul><li>{PARAGRAPH}<li>item</ul><pre>code  here</pre><!-- comment -->
<p>{PARAGRAPH}mail someone@example.com or call +1 212 555 0123 <math><mi>x</mi><mo>=</mo><mn>1</mn></math></p>
<p>The sum \\(\\frac{{a}}{{b}}\\) and $$\\sum_{{i=1}}^n x_i$$ <img alt="$x^2$" class="latex"></p>
</body></html>""".encode()
TAGS = [
    b"<div>", b"</div>", b"<p", b" a=b", b"<!--", b"-->", b"<script>", b"</script", b"<table><tr><td>", b"<b><i>",
    b"<a href=", b"&amp;", b"&#xD83D;", b"&", b"<", b"'", b"<svg><math><mi>", b"<textarea>", b"<![CDATA[", b"<li>",
    b"<select><option>", b"<frameset>", b"<meta charset=utf-16>", b"a ", b"\n",
]  # fmt: skip


def test_html_to_text():
    for mime in ("text/html", "text/plain"):
        fuzz(
            lambda data, mime=mime: extract(data, "utf-8", mime, RECIPE.web.documents),
            [PAGE],
            TAGS,
            errors=(NestedTooDeeply, TooManyAttributes),
            changed=50,
            size=16_384,
        )


def test_personal_data():
    privacy = RECIPE.web.documents.privacy
    text = b"mail a.person+x@example.co.uk, call +49 (0)89 1234-5678, IP 192.168.1.1, 2001:db8::1, 4111 1111 1111 1111 "
    pieces = [
        b"a@", b"@", b".", b"1", b"1 ", b"-", b"(0)", b"+", b"::", b"a.", b"1.", b"mail ", b"ip ", b"/", b"@a.",
        b"\t",
    ]  # fmt: skip
    fuzz(lambda data: scrub(data.decode("utf-8", "replace"), privacy), [text * 9], pieces, size=16_384)


@pytest.mark.parametrize("read", [
    lambda page: candidates.detect(page),
    lambda page: markup.prepare(page, render.salt_for(page)),
], ids=["detect", "prepare"])  # fmt: skip
def test_formulas_in_pages(read):
    pieces = [
        *TAGS, b"\\(", b"\\[", b"$", b"$$", b"{", b"\\begin{align}", b"<mrow>", b"<msup><mi>x</mi>", b"<math>",
        b"\\frac", b"<mjx-container", b'class="katex', b"<pre><code>", b"^{", b"`",
        b"<annotation encoding='application/x-tex'>",
    ]  # fmt: skip
    fuzz(
        lambda data: read(data.decode("utf-8", "replace")),
        [PAGE, PAGE[600:]],
        pieces,
        errors=(TooManyAttributes,),
        size=16_384,
    )


@pytest.mark.parametrize(
    "read", [lambda text: list(tex.find(text)), tex.normal_form, tex.without_code], ids=["find", "normal", "code"]
)
def test_formulas_in_text(read):
    text = (
        rb"Let $x^2$ and \(a\) be $$\frac{a}{b} \left( \sum_i x_i \right)$$ with `code $y$` and ```" b"\nblock\n```\n"
    )
    pieces = [
        b"$", b"$$", b"\\(", b"\\)", b"\\[", b"{", b"}", b"\\", b"\\begin{align}", b"\\end{align}", b"`", b"```\n",
        b"a ", b"\\left(", b"\\right)", b"^", b"_", b"&", b"\\frac", b"\\text{", b"~~~\n", b"%", b"\n",
    ]  # fmt: skip
    fuzz(lambda data: read(data.decode("utf-8", "replace")), [text * 9], pieces, size=8_192)


def test_addresses():
    pieces = [
        b"/", b"..", b"/../", b"%", b"%2e", b"%25", b"a.", b"xn--", b"@", b":", b"?", b"#", b"[", b"::", b"\xc3\xa4",
        b"*",
    ]  # fmt: skip
    seeds = [
        b"https://user:x@www.Example.co.uk:8080/a/b/../c?q=1&r=%41#top", b"http://xn--bcher-kva.example/%7Ea",
        b"http://[::1]/",
    ]  # fmt: skip
    fuzz(lambda data: opt_outs.parse_address(data.decode("utf-8", "replace")), seeds, pieces, size=8_192)
