"""Text by structure: what is short stays, source line wraps go, code and formulas come once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import current_recipe
from nemotron_assets.web.extract import extract
from nemotron_assets.web.paragraphs import NestedTooDeeply
from nemotron_assets.web.structure import structured_text

PROSE = "The lake lies between two ranges of hills, and the road that leads to it has always been there."


def text(body: str) -> str:
    return structured_text(f"<html><head><title>T</title></head><body>{body}</body></html>")


PAGES = {
    "a paragraph on one line": ("<p>One\n  two <b>three</b>\n<i>four</i></p>", "One two three four"),
    "breaks": ("<p>One<br>two<br/>\n three</p>", "One\ntwo\nthree"),
    "text without elements": ("One\ntwo<p>three</p>four", "One two\n\nthree\n\nfour"),
    "headings": (f"<h1>Lake</h1><h2>Road</h2><p>{PROSE}</p>", f"Lake\n\nRoad\n\n{PROSE}"),
    "a heading that nothing follows": (f"<p>{PROSE}</p><h2>Comments</h2>", PROSE),
    "items": ("<p>You need</p><ul><li>one egg</li><li><p>a pot</p></li></ul>", "You need\n\n- one egg\n- a pot"),
    "numbers": ("<ol start=3><li>Put</li><li>Heat</li></ol>", "3. Put\n4. Heat"),
    "nested lists": ("<ul><li>a<ol><li>b</li><li>c</li></ol></li><li>d</li></ul>", "- a\n  1. b\n  2. c\n- d"),
    "code in a list": ("<ul><li>Run<pre>a\n b</pre>and see</li></ul>", "- Run\n\n```\na\n b\n```\n\nand see"),
    "a table": (
        "<table><tr><th>Method</th><th>Error</th></tr>\n<tr><td>Euler</td><td><p>0.1</p></td></tr></table>",
        "Method | Error\nEuler | 0.1",
    ),
    "a layout of tables": (f"<table><tr><td><h1>Lake</h1><p>{PROSE}</p></td><td><p>x</p></td></tr></table>",
                           f"Lake\n\n{PROSE}\n\nx"),
    "definitions": ("<dl><dt>ring</dt><dd>a set</dd></dl>", "ring\n\na set"),
    "code": ("<pre><code class='language-c'>if (a)\n    b;</code></pre>", "```c\nif (a)\n    b;\n```"),
    "highlighted lines": ("<pre><code><div>a</div><div>  b</div></code></pre>", "```\na\n  b\n```"),
    "KaTeX": (
        "<p>Let <span class='katex'><span class='katex-mathml'><math><semantics><mi>x</mi><annotation encoding="
        "'application/x-tex'>x^2</annotation></semantics></math></span><span class='katex-html'>x2</span></span> be.",
        "Let $x^2$ be.",
    ),
    "MathJax 2": (
        "<p>So <span class='MathJax_Preview'>x</span><span class='MathJax'>x2</span>"
        "<script type='math/tex'>x^2</script>.",
        "So $x^2$.",
    ),
    "MediaWiki": (
        "<p>Thus <span><math alttext='{\\displaystyle a}'><mi>a</mi></math><img class='mwe-math-fallback-image-inline' "
        "alt='{\\displaystyle a}'></span>.</p>",
        "Thus $a$.",
    ),
    "MathJax 3 with TeX": (
        "<p>Let <mjx-container><mjx-math data-latex='x^2'><mjx-mi></mjx-mi></mjx-math></mjx-container> be.",
        "Let $x^2$ be.",
    ),
    "MathJax 3": (
        "<p>Let <mjx-container><mjx-math><mjx-mi></mjx-mi></mjx-math><mjx-assistive-mml><math><mi>x</mi></math>"
        "</mjx-assistive-mml></mjx-container> be.",
        "Let x be.",
    ),
    "a wrapped source": ("<p>这个湖位于\n  两座山之间，\n旁边有 road\n和 hills</p>",
                         "这个湖位于两座山之间，旁边有 road 和 hills"),
    "line numbers beside": (f"<p>{PROSE}</p><div><pre class='src-line-numbers'>1\n2</pre><pre><code>a\nb</code></pre>"
                            "</div>", f"{PROSE}\n\n```\na\nb\n```"),
    "a Sage cell": ("<p>Run</p><div><script type='text/x-sage'>a\nb</script></div>", "Run\n\n```sage\na\nb\n```"),
    "hidden and ignored": ("<p>a</p><p hidden>b</p><template>c</template><noscript>d</noscript>",
                           "a"),
    "lines of the frame": (f"<p>Log in</p><p>{PROSE}</p><p>© 2020 Somebody</p>", PROSE),
    "Sphinx": (
        f"<div class='related' role='navigation'><h3>Navigation</h3><a href='x'>next</a></div><div role='main'>"
        f"<h1>Lake<a class='headerlink' href='#l'>¶</a></h1><p>{PROSE}</p></div><div class='sphinxsidebar'>"
        "<h3>This Page</h3><a href='s'>Show Source</a></div>",
        f"Lake\n\n{PROSE}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PAGES)
def test_structure(kind):
    page, wanted = PAGES[kind]
    assert text(page) == wanted


def test_scripts_of_any_language_are_read():
    documents = current_recipe().web.documents.model_copy(
        update={"extractor": "structure", "extractor_by_language": {}}
    )
    chinese = "<ul><li>鸡蛋</li></ul>" + "<p>这个湖位于两座山之间，通往那里的路自村里人记事起就一直存在。</p>" * 3
    found = extract(f"<html><body>{chinese}</body></html>".encode(), "utf-8", "text/html", documents)
    assert (found.fate, found.language) == ("document", "zh") and found.text.startswith("- 鸡蛋")


def test_a_page_of_links_has_no_text():
    links = "".join(f"<li><a href='/{n}'>Part {n} of the list</a></li>" for n in range(30))
    assert text(f"<h1>All</h1><ul>{links}</ul>") == text(f"<main><ul>{links}</ul></main>") == ""
    assert text(f"<p>{PROSE}</p><h2>See also</h2><p>The <a href='l'>lake</a>.</p>").endswith("The lake.")


def test_deep_pages_are_read_or_refused():
    assert text("<div>" * 1_500 + PROSE) == PROSE
    with pytest.raises(NestedTooDeeply):
        text("<font>" * 20_000 + PROSE)
    assert text("") == "" and structured_text("<!-- nothing") == ""


_pieces = st.sampled_from(
    ["<p>", "</p>", "<ul>", "<li>", "</li>", "</ul>", "<ol>", "<table>", "<tr>", "<td>", "</td>", "</tr>", "</table>",
     "<pre>", "</pre>", "<code>", "<br>", "<h1>", "</h1>", "<nav>", "</nav>", "<main>", "<math>",
     "<script type=math/tex>", "</script>", "<span class=katex-html>", "<div class=line>", "word ", "x", "&nbsp;", "\n",
     "<a href=x>", "<dl>", "<dd>"]
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(_pieces | st.text(max_size=6), max_size=40).map("".join))
def test_any_page_gives_tidy_text(body):
    found = text(body)
    assert found == found.strip("\n") and not re.search(r"\n{3,}", re.sub(r"(?ms)^```.*?^```$", "", found))
    found.encode("utf-8", "surrogatepass")
