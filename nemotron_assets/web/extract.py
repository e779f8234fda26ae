"""From a page's bytes to readable text and its language (Nemotron-CC §2.1 and its open recipe).

The order is that of the published pipeline: a quick look at all visible text finds the language and with it jusText's
stop list; jusText keeps the paragraphs that read like prose of that language; the language of what is left decides
whether the document stays; ftfy repairs its Unicode last. Languages without a usable stop list are read by resiliparse.
"""

from __future__ import annotations

from dataclasses import dataclass

import ftfy
import lxml.etree
import lxml.html
import polars as pl
from justext.core import ParagraphMaker, classify_paragraphs, preprocessor, revise_paragraph_classification
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from nemotron_assets.recipe import Documents
from nemotron_assets.snapshots.charset import decode
from nemotron_assets.web.language import detect, stop_list

#: What may become of a page that is no error.
FATES = {
    "document": "kept",
    "no_text": "nothing in it reads like prose: lists of links, forms, empty pages",
    "too_short": "less text than the recipe's min_characters",
    "language_unsure": "the language scores less than the recipe's language_min_score",
}

TITLE_CHARACTERS = 500
_SCHEMA = {
    "title": pl.String, "language": pl.String, "language_score": pl.Float64, "text": pl.String,
    "characters": pl.Int64, "fate": pl.String,
}  # fmt: skip


class NestedTooDeeply(ValueError):
    """Elements nested deeper than the parser follows (2,048): it would silently lose what is inside."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text of one page. `fate` is a key of `FATES`; `language` is "und" where it was not determined."""

    title: str | None
    language: str
    language_score: float
    text: str
    characters: int
    fate: str


def extract_pages(pages: pl.DataFrame, recipe: Documents) -> pl.DataFrame:
    """Rows of `snapshots.pages` (html, charset, mime and whatever else) with html, charset and mime replaced by
    title, language, language_score, text, characters and fate. Raises for pages that cannot be parsed."""
    results = [extract(*page, recipe) for page in pages.select("html", "charset", "mime").iter_rows()]
    columns = {name: pl.Series(name, [getattr(r, name) for r in results], dtype) for name, dtype in _SCHEMA.items()}
    return pages.drop("html", "charset", "mime").with_columns(**columns)


def extract(html: bytes, charset: str, mime: str, recipe: Documents) -> Extracted:
    """Text, title and language of one page given as bytes, the encoding they are in and their media type."""
    markup = decode(html, charset)[: recipe.max_html_characters]
    title = None
    if mime == "text/plain":
        text = "\n".join(line.rstrip() for line in markup.splitlines())
    else:
        tree = HTMLTree.parse(markup)
        title = " ".join(_sound(tree.title or "").split())[:TITLE_CHARACTERS] or None
        language, _ = _language(extract_plain_text(tree, preserve_formatting=False), recipe)
        text = _main_text(markup, tree, language, recipe)
    text = _sound(text).strip()
    if not text:
        return Extracted(title, "und", 0.0, "", 0, "no_text")
    language, score = _language(text, recipe)
    text = ftfy.fix_text(text).strip()
    fate = "document"
    if len(text) < recipe.min_characters:
        fate = "too_short"
    elif score < recipe.language_min_score:
        fate = "language_unsure"
    return Extracted(title, language, score, text, len(text), fate)


def _main_text(markup: str, tree: HTMLTree, language: str, recipe: Documents) -> str:
    extractor = recipe.extractor_by_language.get(language, recipe.extractor)
    words = stop_list(language) if extractor == "justext" else None
    if words is None:
        return extract_plain_text(tree, main_content=True)
    return justext_text(markup, words, recipe)


def justext_text(markup: str, stop_words: frozenset[str], recipe: Documents) -> str:
    """The paragraphs jusText takes for content, separated by blank lines. Raises `NestedTooDeeply`."""
    # jusText's own entry point trusts an encoding declared inside the markup, which is decoded already; and the
    # parser's ordinary limit drops everything that is nested deeper than 256 elements without a word.
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        dom = lxml.html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except lxml.etree.ParserError:  # "Document is empty"
        return ""
    if any(entry.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise NestedTooDeeply("elements are nested more than 2,048 deep")
    limits = recipe.justext
    paragraphs = ParagraphMaker.make_paragraphs(preprocessor(dom))
    classify_paragraphs(
        paragraphs, stop_words, limits.length_low, limits.length_high, limits.stopwords_low, limits.stopwords_high,
        limits.max_link_density, not limits.headings,
    )  # fmt: skip
    revise_paragraph_classification(paragraphs, limits.max_heading_distance)
    return "\n\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


def _language(text: str, recipe: Documents) -> tuple[str, float]:
    return detect(_sound(text), recipe.language_model, recipe.language_characters)


def _sound(text: str) -> str:
    """Text that can be encoded: character references may name halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")
