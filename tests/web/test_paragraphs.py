"""The selection of paragraphs equals that of the jusText library, on every page of the sample and on made-up markup."""

from __future__ import annotations

import lxml.etree
import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from justext.core import ParagraphMaker, classify_paragraphs, preprocessor, revise_paragraph_classification
from justext.utils import normalize_whitespace

from nemotron_assets.recipe.web.documents import JusText
from nemotron_assets.text.language import stop_list
from nemotron_assets.warc.charset import decide, decode
from nemotron_assets.web.paragraphs import justext_text, normalise_white_space


def reference(markup: str, stop_words: frozenset[str], limits: JusText) -> str:
    """The text that the library keeps, with the same parser."""
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        dom = lxml.html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except lxml.etree.ParserError:
        return ""
    found = ParagraphMaker.make_paragraphs(preprocessor(dom))
    classify_paragraphs(
        found,
        stop_words,
        limits.length_low,
        limits.length_high,
        limits.stopwords_low,
        limits.stopwords_high,
        limits.max_link_density,
        not limits.headings,
    )
    revise_paragraph_classification(found, limits.max_heading_distance)
    return "\n\n".join(paragraph.text for paragraph in found if not paragraph.is_boilerplate)


def test_the_sample_s_pages_read_as_jus_text_reads_them(sample):
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    words, limits, characters = stop_list("en"), JusText(), 0
    for path in sorted(sample.rglob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                body = record.reader.read()
                markup = decode(body, decide(body, None).name)
                text = justext_text(markup, words, limits)
                assert text == reference(markup, words, limits), record.headers["WARC-Target-URI"]
                characters += len(text)
    assert characters > 1_000_000


TAGS = ["p", "div", "a", "b", "br", "h1", "h2", "li", "span", "td", "pre", "form", "select", "option", "script",
        "style",
        "iframe", "object", "textarea", "head", "x-h3", "multiselect", "button"]  # fmt: skip
# No control characters: the library fails on them beside a tag that it removes.
WORDS = ["the lake lies in the hills and the road is closed ", "nothing but nouns here today ", "x", " ", "\n", "\t \n",
         "\xa9", "&copy", "&nbsp;", "\x85", "\u2028", "<!-- c -->", "<?pi x?>", "<br>", "<br><br>", "word " * 30,
         "of the people and the animals that are there for all of them " * 5]  # fmt: skip
MARKUP = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.tuples(st.sampled_from(TAGS), st.lists(inner, max_size=6)).map(
        lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0]}>"
    ),
    max_leaves=40,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(MARKUP, max_size=8).map("".join),
    st.builds(
        JusText,
        length_low=st.integers(0, 80),
        length_high=st.integers(0, 250),
        max_heading_distance=st.integers(0, 300),
        headings=st.booleans(),
        max_link_density=st.sampled_from([0.0, 0.2, 1.0]),
    ),
)
def test_made_up_markup_reads_as_jus_text_reads_it(markup, limits):
    assert justext_text(markup, stop_list("en"), limits) == reference(markup, stop_list("en"), limits)


@given(st.text(alphabet=" \t\n\r\x0b\x1c\x85\xa0\u2028abß", max_size=30))
def test_white_space_is_normalised_as_jus_text_does(text):
    assert normalise_white_space(text) == normalize_whitespace(text)


@pytest.mark.parametrize("markup", ["", "  ", "<!-- x", "<", "\x00", "<head><title>only</title></head>"])
def test_pages_without_paragraphs(markup):
    assert justext_text(markup, stop_list("en"), JusText()) == ""
