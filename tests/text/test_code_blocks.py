"""Code keeps its lines, whatever highlighter wrote it; line numbers, labels and buttons are no part of it."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.math.markup import prepare
from nemotron_assets.text.code_blocks import Code, without_code

CODE = "def f(x):\n    if x:\n\n        return 1\n    return x < 2"


def blocks(page: str) -> list[str]:
    """The code blocks of a page."""
    return [piece.text for piece in prepare(page, "ab").pieces if isinstance(piece, Code)]


def languages(page: str) -> list[str]:
    """The languages of a page's code blocks."""
    return [piece.language for piece in prepare(page, "ab").pieces if isinstance(piece, Code)]


def visible(page: str) -> str:
    """The text of a page outside its formulas and code blocks."""
    return " ".join(re.sub(r"<[^>]+>|zqabx\d+qz", " ", prepare(page, "ab").markup).split())


def lines(form: str, *, joined: str = "", nbsp: bool = False) -> str:
    """`CODE` with every line, and its number, in markup of its own: "<i>{number}</i>{line}"."""
    written = [
        form.format(number=number, line=html.escape(line).replace(" ", "\u00a0" if nbsp else " "))
        for number, line in enumerate(CODE.split("\n"), 1)
    ]
    return joined.join(written)


NUMBERS = "\n".join("12345")
PAGES = {
    "plain": f"<pre>{html.escape(CODE)}</pre>",
    "Prism with a class for line numbers": f'<pre><code class="line-numbers">{html.escape(CODE)}</code></pre>',
    "a class for line numbers on pre": f'<pre class="line-numbers linenums">{html.escape(CODE)}</pre>',
    "Prism after it ran": f'<pre class="line-numbers"><code>{html.escape(CODE)}<span aria-hidden="true" '
    'class="line-numbers-rows"><span></span><span></span></span></code></pre>',
    "Rouge with a table": '<div class="highlight"><pre class="highlight"><code><table class="rouge-table"><tbody><tr>'
    f'<td class="rouge-gutter gl"><pre class="lineno">{NUMBERS}\n</pre></td><td class="rouge-code"><pre>'
    f"{html.escape(CODE)}\n</pre></td></tr></tbody></table></code></pre></div>",
    "Pygments with a table": '<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>'
    f'<span class="normal">1</span>\n<span class="normal">2</span></pre></div></td><td class="code"><div><pre>'
    f"{html.escape(CODE)}</pre></div></td></tr></table>",
    "cells without classes": f"<table><tr><td><pre>{NUMBERS}</pre></td><td><pre>{html.escape(CODE)}</pre></td></tr>"
    "</table>",
    "Chroma in one pre": "<pre><code>" + lines('<span class="line"><span class="ln">{number}</span><span class="cl">'
    "{line}\n</span></span>") + "</code></pre>",
    "Chroma, flex": "<pre><code>" + lines('<span style="display:flex;"><span style="margin-right:1em" '
    'class="lnt">{number}</span><span>{line}\n</span></span>') + "</code></pre>",
    "Pandoc": '<div class="sourceCode"><pre><code>' + lines('<span id="cb1-{number}"><a href="#cb1-{number}" '
    'aria-hidden="true" tabindex="-1"></a>{line}</span>', joined="\n") + "</code></pre></div>",
    "Pandoc 1": '<table class="sourceCode numberLines"><tr><td class="lineNumbers"><pre>' + NUMBERS + "</pre></td>"
    f'<td class="sourceCode"><pre><code>{html.escape(CODE)}</code></pre></td></tr></table>',
    "VuePress": f'<div class="line-numbers-mode"><pre><code>{html.escape(CODE)}\n</code></pre><div '
    'class="line-numbers-wrapper" aria-hidden="true"><span class="line-number">1</span><br><span '
    'class="line-number">2</span><br></div></div>',
    "Hexo": '<figure class="highlight"><table><tr><td class="gutter"><pre><span class="line">1</span><br><span '
    'class="line">2</span><br></pre></td><td class="code"><pre>' + lines('<span class="line">{line}</span><br>')
    + "</pre></td></tr></table></figure>",
    "highlightjs-line-numbers": '<pre><code><table class="hljs-ln"><tbody>' + lines('<tr><td class="hljs-ln-line '
    'hljs-ln-numbers"><div class="hljs-ln-n" data-line-number="{number}"></div></td><td class="hljs-ln-code">{line}'
    "</td></tr>") + "</tbody></table></code></pre>",
    "prettify": '<pre class="prettyprint linenums"><ol>' + lines('<li class="L{number}">{line}</li>') + "</ol></pre>",
    "prettify, source lines": '<pre class="prettyprint"><ol>\n' + lines("<li>{line}</li>", joined="\n  ")
    + "\n</ol></pre>",
    "a div for each line": "<pre><code>" + lines('<div class="line">{line}</div>') + "</code></pre>",
    "a div for each line, with breaks": "<pre>" + lines("<div>{line}</div>", joined="\n") + "</pre>",
    "Expressive Code": "<pre><code>" + lines('<div class="ec-line"><div class="gutter"><div class="ln" '
    'aria-hidden="true">{number}</div></div><div class="code">{line}\n</div></div>') + "</code></pre>",
    "a code for each line": "<pre>" + lines("<code>{line}\n</code>") + "</pre>",
    "Docusaurus": "<pre><code>" + lines('<span class="token-line"><span>{line}</span><br></span>') + "</code></pre>",
    "Shiki without line breaks": "<pre><code>" + lines('<span class="line">{line}</span>') + "</code></pre>",
    "React": "<pre><code>" + lines('<span style="display:block"><span class="linenumber '
    'react-syntax-highlighter-line-number">{number}</span><span>{line}\n</span></span>') + "</code></pre>",
    "SyntaxHighlighter": '<div class="syntaxhighlighter python"><table><tbody><tr><td class="gutter"><div class="line '
    'number1">1</div><div class="line number2">2</div></td><td class="code"><div class="container">'
    + lines('<div class="line number{number}"><code class="plain">{line}</code></div>', nbsp=True)
    + "</div></td></tr></tbody></table></div>",
    "GitHub": '<div class="blob-wrapper"><table>\n' + lines('<tr>\n<td class="blob-num" data-line-number="{number}">'
    '</td>\n<td class="blob-code">{line}</td>\n</tr>', joined="\n") + "</table></div>",
    "CodeMirror": '<div class="CodeMirror-code">' + lines('<div><div class="CodeMirror-linenumber">{number}</div><pre '
    'class="CodeMirror-line"><span>{line}</span></pre></div>') + "</div>",
    "Doxygen": '<div class="fragment">' + lines('<div class="line"><span class="lineno">  {number}</span>{line}</div>')
    + '<div class="ttc">a note</div></div>',
    "Hugo without classes": "<pre><code>" + lines('<span style="display:flex;"><span style="white-space:pre;'
    '-webkit-user-select:none;user-select:none;color:#7f7f7f">{number}</span><span>{line}\n</span></span>')
    + "</code></pre>",
    "rustdoc": "<pre><code>" + lines("<a href=#{number} id={number} data-nosnippet>{number}</a>{line}", joined="\n")
    + "</code></pre>",
    "a code of numbers": "<pre><code style='float: left'>" + "".join(f"<span>{n}\n</span>" for n in range(1, 6))
    + f"</code><code>{html.escape(CODE)}</code></pre>",
    "SyntaxHighlighter, words": '<div class="syntaxhighlighter"><table><tr><td class="code"><div class="container">'
    + lines('<div class="line number{number}"><code class="plain">{line}</code><code class="spaces">\u00a0</code>'
    '<code class="plain">\u00a0</code></div>', nbsp=True) + "</div></td></tr></table></div>",
    "Gitea": '<table class="file-view"><tbody>' + lines('<tr><td class="lines-num"><span data-line-number="{number}">'
    '</span></td><td class="lines-code chroma"><code class="code-inner">{line}\n</code></td></tr>')
    + "</tbody></table>",
    "Monaco": '<div class="margin"><div class="line-numbers">1</div></div><div class="view-lines">'
    + lines('<div class="view-line"><span>{line}</span></div>', nbsp=True) + "</div>",
    "Doxygen with a blank": '<div class="fragment">' + lines('<div class="line"><span class="lineno">  {number}</span>'
    "&#160;{line}</div>") + "</div>",
    "pasted from an editor": "<div style='font-family: Menlo, monospace; white-space: pre;'>"
    + lines("<div>{line}</div>") + "</div>",
    "a toolbar beside": f'<div class="code-toolbar"><pre>{html.escape(CODE)}</pre><div class="toolbar"><div '
    'class="toolbar-item"><span>Python</span></div></div></div>',
    "a preview of a file": '<p>Text:</p><aside class="onebox"><article><pre><ol class="lines">'
    + lines("<li>{line}</li>", joined="\n") + "</ol></pre></article></aside>",
    "code with br": "<p>Text:</p><code>" + lines("{line}", joined="<br>\n", nbsp=True) + "</code>",
    "a header inside": '<pre><div class="code-header"><span class="lang">python</span><button>Copy</button></div><code>'
    f"{html.escape(CODE)}</code></pre>",
    "a label beside the code": f'<pre><span class="code-label">Python</span><code>{html.escape(CODE)}</code><div '
    'class="toolbar"><span>Copy</span></div></pre>',
    "a button behind": f'<pre><code>{html.escape(CODE)}</code><clipboard-copy>copy</clipboard-copy></pre>',
    "a Sage cell": f'<div class="sage"><script type="text/x-sage">{CODE}</script></div>',
    "a Sage cell in pre": f'<pre class="sagecell"><script type="text/x-sage">{CODE}</script></pre>',
}  # fmt: skip


@pytest.mark.parametrize("how", PAGES)
def test_a_block_keeps_its_lines_and_nothing_else(how):
    page = f"<html><body><main>{PAGES[how]}</main></body></html>"
    assert blocks(page) == [CODE]
    assert visible(page) in ("", "Text:", "a note")


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ("<pre>1\n2\n3</pre>", ["1\n2\n3"]),  # the output of a program
        ("<table><tr><td><pre>1\n2</pre></td><td>text</td></tr></table>", ["1\n2"]),
        ("<pre><code>ls</code> and <code>rm</code></pre>", ["ls and rm"]),
        ("<pre><span class='hljs-number'>7</span> + 1</pre>", ["7 + 1"]),
        ("<pre><code>a <span class='label'>x</span> b</code></pre>", ["a x b"]),
        ("<div style='white-space: pre-wrap'>two\nlines</div>", []),
        ("<pre><code>1\n2</code> <code>3</code></pre>", ["1\n2 3"]),  # no column of numbers beside code
        ("<p>Call <code>f<br></code> or <code>g</code>.</p>", []),
        ("<p>Call <code>first\nsecond</code> now.</p>", []),
        ("<script type='text/x-template'>x = 1\ny = 2</script><script type='text/x-mathjax-config'>a\nb</script>", []),
    ],
)
def test_what_only_looks_like_numbers_or_blocks(page, wanted):
    assert blocks(page) == wanted


def test_a_layout_may_be_called_gutter():
    assert visible("<div class='row gutter'><p>Text of 3 words.</p></div>") == "Text of 3 words."
    assert visible("<td class='line-numbers'>12</td><span class='gutter'>3</span>text") == "text"


def test_prose_without_its_code():
    text = "One.\n\n```c\nx\n```\n\nTwo ``` and\n\n````\n```\n````\nThree.\n```\nnot closed"
    assert without_code(text) == "One.\n\n\nTwo ``` and\n\nThree.\n```\nnot closed"
    assert without_code("No code.") == "No code."


def test_languages():
    pre = "<pre{}><code{}>x = 1</code></pre>"
    assert languages(pre.format("", " class='hljs rust'")) == ["rust"]
    assert languages(pre.format(" class='lang:python decode:true'", "")) == ["python"]
    assert languages(pre.format(" data-lang='bash'", "")) == ["bash"]
    assert languages(pre.format("", " class='hljs line-numbers'")) == [""]
    assert languages("<body><p>Run:<script type='text/x-sage'>x = 1</script>") == ["sage"]
    assert languages(pre.format(" class='sourceCode numberSource python numberLines'", "")) == ["python"]
    assert languages(pre.format(" class='sourceCode numberSource'", "")) == [""]
    numbered = "<table class='{}'><tr><td class='code'><div><pre>x = 1</pre></div></td></tr></table>"
    outside = "<div class='language-go'><div class='highlight'>{}</div></div>"
    assert languages(outside.format(numbered.format("highlighttable"))) == ["go"]
    assert languages(outside.format(numbered.format("layout"))) == [""]


_line = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_line, min_size=2, max_size=8),
    st.sampled_from(["<div>{}</div>", "<span class='line'>{}</span>\n", "<span class='line'>{}</span>", "<li>{}</li>",
                     "{}<br>", "<tr><td class='linenos'>9</td><td>{}</td></tr>", "<div>{}\n</div>"]),
)  # fmt: skip
def test_lines_come_back_from_any_markup_of_lines(code, form):
    code = [line.rstrip() for line in code]
    page = "".join(form.format(html.escape(line)) for line in code)
    wanted = "\n".join(code).strip("\n").split("\n")
    while wanted and not wanted[0]:
        wanted.pop(0)
    assert blocks(f"<body><pre><code>{page}</code></pre></body>") == (["\n".join(wanted)] if wanted else [])
